// A root's own apt.conf(5), as far as it may count on this machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace apt_ostree::apt {

// In order. A name that ends in `::` adds one value to a list; the name `#clear` drops what the
// option that is its value had before.
using Settings = std::vector<std::pair<std::string, std::string>>;

struct RootConfig {
  Settings settings;
  // Names of options that the root has and that do not count here.
  std::vector<std::string> ignored;
};

// Whether a root may set this option: one that changes answers or how downloads are asked for, and
// none that names programs, files, keys or checks.
bool AllowedRootOption(const std::string& name);

// Reads etc/apt/apt.conf.d and etc/apt/apt.conf of `root`; links in it lead to places in it. Only
// in a session. `scratch` is a file of the caller's, which is removed again. Throws Failure for
// what apt could not parse either.
RootConfig ReadRootConfig(const std::string& root, const std::string& scratch);

}  // namespace apt_ostree::apt
