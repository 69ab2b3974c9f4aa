// Files of an archive, in any order, as a mutable tree.
#pragma once

#include <ostree.h>

#include <string>
#include <unordered_map>

#include "core/gobject.h"
#include "ostree/content.h"

namespace apt_ostree {

// A name of an archive without "./", "//" and the like; "" for the root. Throws ERR_DEB_DAMAGED
// for names that lead out of it, ERR_DEB_UNSUPPORTED for those that OSTree cannot hold.
std::string CleanPath(const std::string& name);
// The same for names of any bytes.
std::string ContainedPath(const std::string& name);

class TreeBuilder {
 public:
  explicit TreeBuilder(ContentWriter& writer);
  // Paths as CleanPath makes them. Missing parents become directories of root, mode 0755.
  void Directory(const std::string& path, uint32_t uid, uint32_t gid, uint32_t mode);
  void File(const std::string& path, const std::string& checksum);
  OstreeMutableTree* root() const { return root_.get(); }

 private:
  OstreeMutableTree* Ensure(const std::string& path);
  const std::string& Metadata(uint32_t uid, uint32_t gid, uint32_t mode);

  ContentWriter& writer_;
  GObjectPtr<OstreeMutableTree> root_;
  std::unordered_map<std::string, GObjectPtr<OstreeMutableTree>> directories_;
  std::unordered_map<std::string, std::string> metadata_;
};

}  // namespace apt_ostree
