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
      "native/ostree/checkout.cc",
      "native/ostree/mutable_tree.cc",
      "native/ostree/names.cc",
      "native/ostree/read.cc",
      "native/ostree/refs.cc",
      "native/ostree/repo.cc",
      "native/ostree/repo_read.cc",
      "native/ostree/repo_state.cc",
      "native/ostree/transaction.cc",
      "native/ostree/tree_edit.cc"
    ]
  }
}
