{
  "includes": ["native/sources.gypi"],
  "variables": {
    # -Dsanitize=address|undefined|thread and -Dnative_coverage=true are developer switches.
    # ("coverage" would be overridden by Node's own configuration.)
    "sanitize%": "",
    "native_coverage%": "false"
  },
  "target_defaults": {
    "include_dirs": [
      "native",
      "<!@(pkg-config --cflags-only-I ostree-1 apt-pkg libarchive | sed s/-I//g)"
    ],
    "defines": ["_FILE_OFFSET_BITS=64"],
    "cflags_cc!": ["-fno-rtti", "-fno-exceptions", "-std=gnu++17"],
    # RTTI is needed: libapt-pkg dynamic_casts acquire items.
    "cflags_cc": ["-std=c++20", "-frtti", "-fvisibility=hidden", "-Wall", "-Wextra"],
    # Node's Debug configuration defines DEBUG, which is an enumerator in apt-pkg/error.h.
    "configurations": { "Debug": { "defines!": ["DEBUG"] } },
    "conditions": [
      ["sanitize!=''", {
        "cflags": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g", "-O1"],
        "cflags!": ["-O3"],
        "ldflags": ["-fsanitize=<(sanitize)"]
      }],
      ["native_coverage=='true'", {
        "cflags": ["--coverage", "-O0", "-g"],
        "cflags!": ["-O3"],
        "ldflags": ["--coverage"]
      }]
    ]
  },
  "targets": [
    {
      "target_name": "apt_ostree",
      # Not a library of what the program uses too: in a tree of links (.ci/asan) a makefile that
      # makes itself anew puts that in the place of its own copy.
      "sources": ["<@(native_sources)", "<@(shared_sources)"],
      "libraries": ["<!@(pkg-config --libs ostree-1 apt-pkg libarchive)"],
      # _except_all: a std::exception that leaves a synchronous method becomes a JS Error
      # instead of ending the process.
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"],
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        # Rejecting a promise while a worker is being terminated must not abort the process.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      # GObject types cannot be unregistered, so the addon must never be unloaded.
      "ldflags": ["-Wl,-z,nodelete"]
    },
    {
      # The program that downloads (native/fetch); it stays beside the addon.
      "target_name": "apt_ostree-fetch",
      "type": "executable",
      "sources": ["<@(fetch_sources)", "<@(shared_sources)"],
      "libraries": ["<!@(pkg-config --libs apt-pkg)"]
    }
  ]
}
