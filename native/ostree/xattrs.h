// Extended attributes, and rules that change them on their way into a tree.
#pragma once

#include <napi.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/gobject.h"
#include "ostree/path_pattern.h"

namespace apt_ostree {

// Values by name. Sorted by bytes, as libostree has them from files.
using Xattrs = std::map<std::string, std::string>;

// `[{name, value}, ...]` with names and sizes that Linux and libostree take; undefined gives none.
Xattrs CheckedXattrs(Napi::Value value, const std::string& name);
// a(ayay), the names with their NUL; never null.
VariantPtr ToVariant(const Xattrs& xattrs);
// Of such a variant, or of null.
Xattrs FromVariant(GVariant* variant);

// What happens to the attributes of the paths that fit a pattern.
struct XattrRule {
  std::string path;
  bool files = true;
  bool directories = true;
  bool links = false;
  std::vector<std::string> drop;  // patterns of names
  Xattrs set;                     // afterwards
};

std::vector<XattrRule> CheckedXattrRules(Napi::Value value, const std::string& name);

// The rules of one import. Any thread may use them.
class XattrRules {
 public:
  // Throws NativeError where a pattern is none. The rules must stay.
  explicit XattrRules(const std::vector<XattrRule>& rules);
  // Indices of the rules for an entry, first to last. `mode` with the file type.
  std::vector<uint32_t> For(const std::string& path, mode_t mode) const;
  // What they make of `xattrs`, which may be null; never null.
  VariantPtr Apply(const std::vector<uint32_t>& rules, GVariant* xattrs) const;

 private:
  struct Compiled {
    const XattrRule* rule;
    PathPattern path;
    std::vector<PathPattern> drop;
  };
  std::vector<Compiled> rules_;
};

}  // namespace apt_ostree
