// Shell-like patterns of paths within a tree.
#pragma once

#include <gio/gio.h>

#include <memory>
#include <string>

#include "core/gobject.h"

namespace apt_ostree {

// `*` and `?` stop at slashes, `**` does not, `[...]` is a set of ASCII characters. A pattern that
// begins with a slash fits whole paths, any other one fits the last names of a path. Paths are
// bytes, with a slash first.
class PathPattern {
 public:
  explicit PathPattern(const std::string& text);
  bool Matches(const std::string& path) const;

 private:
  std::unique_ptr<GRegex, FreeWith<g_regex_unref>> regex_;
};

}  // namespace apt_ostree
