// Path-based edits of a mutable tree, many in one job. Also used by C++ that merges other sources
// into a tree.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/gobject.h"
#include "core/values.h"
#include "ostree/names.h"

namespace apt_ostree {

struct Ownership {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0755;  // permission bits
};

// A name in a directory: a file, a directory or nothing.
struct TreeChild {
  std::optional<std::string> file;
  GObjectPtr<OstreeMutableTree> directory;
  explicit operator bool() const { return file.has_value() || directory; }
};

// The tables of a directory, which is loaded if it was not; throws where that fails.
GHashTable* FilesOf(OstreeMutableTree* tree);
GHashTable* DirectoriesOf(OstreeMutableTree* tree);
TreeChild FindChild(OstreeMutableTree* tree, const std::string& name);

// Edits one tree inside an open transaction of `repo`; the caller holds the tree's lock.
class TreeEditor {
 public:
  TreeEditor(OstreeRepo* repo, OstreeMutableTree* root, GCancellable* cancellable)
      : repo_(repo), root_(root), cancellable_(cancellable) {}

  // Makes the directory and its parents (root-owned, 0755); an existing one gets the ownership.
  GObjectPtr<OstreeMutableTree> MakeDirectory(const TreePath& path, const Ownership& ownership);
  void Remove(const TreePath& path, bool allow_missing);
  // Files, links and whole directories, none of them read; replaces what is at `to`.
  void Move(const TreePath& from, const TreePath& to, bool allow_missing);
  // Replaces anything, directories too.
  void Symlink(const TreePath& path, const std::string& target);
  void File(const TreePath& path, GBytes* content, const Ownership& ownership);
  // Names a content object that the repository has.
  void Link(const TreePath& path, const std::string& checksum);
  // Puts a written directory at `path`, in place of what is there.
  void PutDirectory(const TreePath& path, const std::string& contents, const std::string& metadata);

  // The checksum of a written dirmeta without extended attributes.
  const std::string& DirectoryMetadata(const Ownership& ownership);

 private:
  // The directory that holds the last name of `path`, made if it is missing.
  GObjectPtr<OstreeMutableTree> Parent(const TreePath& path);
  GObjectPtr<OstreeMutableTree> FindParent(const TreePath& path);
  void Put(const TreePath& path, const std::string& checksum, bool replace_directory);

  OstreeRepo* repo_;
  OstreeMutableTree* root_;
  GCancellable* cancellable_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, std::string> metadata_;
};

struct TreeEdit {
  enum class Op { kMkdir, kRemove, kMove, kSymlink, kFile, kLink };
  Op op = Op::kMkdir;
  TreePath path;  // `from` of a move
  TreePath to;
  Ownership ownership;
  bool allow_missing = false;
  std::string text;     // link target or checksum
  SharedBytes content;  // of a file
};

// Puts the edits of an array at the end of a list. Throws a JavaScript TypeError for anything
// malformed.
void AddCheckedTreeEdits(Napi::Value value, const std::string& name, std::deque<TreeEdit>* edits);
void ApplyEdit(TreeEditor& editor, const TreeEdit& edit);

}  // namespace apt_ostree
