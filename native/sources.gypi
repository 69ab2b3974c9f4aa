{
  "variables": {
    "native_sources": [
      "native/addon.cc",
      "native/core/addon_data.cc",
      "native/core/error.cc",
      "native/core/executor.cc",
      "native/core/job.cc",
      "native/core/arguments.cc",
      "native/core/variant.cc",
      "native/ostree/repo.cc"
    ]
  }
}
