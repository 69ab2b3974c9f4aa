#include "deb/tree_builder.h"

#include <sys/stat.h>
#include <climits>

#include "deb/source.h"
#include "ostree/names.h"

namespace apt_ostree {

std::string CleanPath(const std::string& name) {
  // Names are strings in OSTree's own metadata.
  if (!g_utf8_validate(name.data(), static_cast<gssize>(name.size()), nullptr)) {
    throw Unsupported("a file name that is not UTF-8");
  }
  return ContainedPath(name);
}

std::string ContainedPath(const std::string& name) {
  std::string path;
  size_t depth = 0;
  for (size_t begin = 0; begin < name.size();) {
    size_t end = name.find('/', begin);
    if (end == std::string::npos) end = name.size();
    const std::string part = name.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") throw Damaged("the name " + name + " leads out of the package");
    if (part.size() > 255) throw Unsupported("too long a file name");
    if (++depth > kDeepestTree || path.size() > PATH_MAX) throw Unsupported("too deep a directory");
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

TreeBuilder::TreeBuilder(ContentWriter& writer)
    : writer_(writer), root_(GObjectPtr<OstreeMutableTree>::Take(ostree_mutable_tree_new())) {
  ostree_mutable_tree_set_metadata_checksum(root_.get(), Metadata(0, 0, 0755).c_str());
}

const std::string& TreeBuilder::Metadata(uint32_t uid, uint32_t gid, uint32_t mode) {
  const std::string key =
      std::to_string(uid) + ":" + std::to_string(gid) + ":" + std::to_string(mode);
  std::string& checksum = metadata_[key];
  if (checksum.empty()) checksum = writer_.Directory({uid, gid, mode | S_IFDIR, nullptr});
  return checksum;
}

OstreeMutableTree* TreeBuilder::Ensure(const std::string& path) {
  if (path.empty()) return root_.get();
  const auto known = directories_.find(path);
  if (known != directories_.end()) return known->second.get();
  const size_t slash = path.rfind('/');
  OstreeMutableTree* parent = Ensure(slash == std::string::npos ? "" : path.substr(0, slash));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  GObjectPtr<OstreeMutableTree> tree;
  GError* error = nullptr;
  if (!ostree_mutable_tree_ensure_dir(parent, name.c_str(), tree.out(), &error)) {
    g_clear_error(&error);
    throw Unsupported(path + " is both a directory and something else");
  }
  ostree_mutable_tree_set_metadata_checksum(tree.get(), Metadata(0, 0, 0755).c_str());
  return directories_.emplace(path, std::move(tree)).first->second.get();
}

void TreeBuilder::Directory(const std::string& path, uint32_t uid, uint32_t gid, uint32_t mode) {
  ostree_mutable_tree_set_metadata_checksum(Ensure(path), Metadata(uid, gid, mode).c_str());
}

void TreeBuilder::File(const std::string& path, const std::string& checksum) {
  if (path.empty()) throw Damaged("the root of the archive is not a directory");
  const size_t slash = path.rfind('/');
  OstreeMutableTree* parent = Ensure(slash == std::string::npos ? "" : path.substr(0, slash));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  GError* error = nullptr;
  if (!ostree_mutable_tree_replace_file(parent, name.c_str(), checksum.c_str(), &error)) {
    g_clear_error(&error);
    throw Unsupported(path + " is both a directory and something else");
  }
}

}  // namespace apt_ostree
