#include "ostree/tree_edit.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/pieces.h"
#include "ostree/read.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

NativeError PathError(const char* code, const char* what, const TreePath& path) {
  return NativeError(code, std::string(what) + ": " + TreePathText(path))
      .Detail("path", TreePathText(path));
}

void CheckLoaded(OstreeMutableTree* tree) {
  GError* error = nullptr;
  if (!ostree_mutable_tree_check_error(tree, &error)) {
    throw FromGError(error, "Reading a directory of the tree");
  }
}

void RemoveName(OstreeMutableTree* tree, const std::string& name) {
  GError* error = nullptr;
  if (!ostree_mutable_tree_remove(tree, name.c_str(), TRUE, &error)) {
    throw FromGError(error, "Removing a name from a tree").Detail("path", name);
  }
}

GObjectPtr<OstreeMutableTree> EnsureDirectory(OstreeMutableTree* tree, const std::string& name) {
  GObjectPtr<OstreeMutableTree> child;
  GError* error = nullptr;
  if (!ostree_mutable_tree_ensure_dir(tree, name.c_str(), child.out(), &error)) {
    throw FromGError(error, "Adding a directory to a tree").Detail("path", name);
  }
  return child;
}

}  // namespace

GHashTable* FilesOf(OstreeMutableTree* tree) {
  GHashTable* table = ostree_mutable_tree_get_files(tree);
  CheckLoaded(tree);
  return table;
}

GHashTable* DirectoriesOf(OstreeMutableTree* tree) {
  GHashTable* table = ostree_mutable_tree_get_subdirs(tree);
  CheckLoaded(tree);
  return table;
}

// Not ostree_mutable_tree_lookup: it reports a missing name and a missing object alike.
TreeChild FindChild(OstreeMutableTree* tree, const std::string& name) {
  TreeChild child;
  if (auto* file = static_cast<const char*>(g_hash_table_lookup(FilesOf(tree), name.c_str()))) {
    child.file = file;
  } else {
    child.directory = GObjectPtr<OstreeMutableTree>::Share(
        static_cast<OstreeMutableTree*>(g_hash_table_lookup(DirectoriesOf(tree), name.c_str())));
  }
  return child;
}

const std::string& TreeEditor::DirectoryMetadata(const Ownership& ownership) {
  const auto key = std::make_tuple(ownership.uid, ownership.gid, ownership.mode);
  auto found = metadata_.find(key);
  if (found != metadata_.end()) return found->second;
  VariantPtr variant = VariantPtr::Sink(
      g_variant_new("(uuu@a(ayay))", GUINT32_TO_BE(ownership.uid), GUINT32_TO_BE(ownership.gid),
                    GUINT32_TO_BE(ownership.mode | S_IFDIR),
                    g_variant_new_array(G_VARIANT_TYPE("(ayay)"), nullptr, 0)));
  std::unique_ptr<guchar, FreeWith<g_free>> bytes;
  GError* error = nullptr;
  if (!ostree_repo_write_metadata(repo_, OSTREE_OBJECT_TYPE_DIR_META, nullptr, variant.get(),
                                  Out(bytes), cancellable_, &error)) {
    throw FromGError(error, "Writing the metadata of a directory");
  }
  GStringPtr checksum(ostree_checksum_from_bytes(bytes.get()));
  return metadata_.emplace(key, checksum.get()).first->second;
}

GObjectPtr<OstreeMutableTree> TreeEditor::Parent(const TreePath& path) {
  auto current = GObjectPtr<OstreeMutableTree>::Share(root_);
  if (ostree_mutable_tree_get_metadata_checksum(root_) == nullptr) {
    ostree_mutable_tree_set_metadata_checksum(root_, DirectoryMetadata({}).c_str());
  }
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    TreeChild child = FindChild(current.get(), path[i]);
    if (child.file) {
      throw PathError("ENOTDIR", "Not a directory", {path.begin(), path.begin() + i + 1});
    }
    if (!child.directory) {
      child.directory = EnsureDirectory(current.get(), path[i]);
      ostree_mutable_tree_set_metadata_checksum(child.directory.get(),
                                                DirectoryMetadata({}).c_str());
    }
    current = child.directory;
  }
  return current;
}

GObjectPtr<OstreeMutableTree> TreeEditor::FindParent(const TreePath& path) {
  auto current = GObjectPtr<OstreeMutableTree>::Share(root_);
  for (size_t i = 0; i + 1 < path.size() && current; ++i) {
    current = FindChild(current.get(), path[i]).directory;
  }
  return current;
}

GObjectPtr<OstreeMutableTree> TreeEditor::MakeDirectory(const TreePath& path,
                                                        const Ownership& ownership) {
  GObjectPtr<OstreeMutableTree> directory;
  if (path.empty()) {
    directory = GObjectPtr<OstreeMutableTree>::Share(root_);
  } else {
    auto parent = Parent(path);
    if (FindChild(parent.get(), path.back()).file) {
      throw PathError("EEXIST", "Exists and is not a directory", path);
    }
    directory = EnsureDirectory(parent.get(), path.back());
  }
  ostree_mutable_tree_set_metadata_checksum(directory.get(), DirectoryMetadata(ownership).c_str());
  return directory;
}

void TreeEditor::Remove(const TreePath& path, bool allow_missing) {
  auto parent = FindParent(path);
  if (!parent || !FindChild(parent.get(), path.back())) {
    if (allow_missing) return;
    throw PathError("ENOENT", "No such file or directory in the tree", path);
  }
  RemoveName(parent.get(), path.back());
}

void TreeEditor::Move(const TreePath& from, const TreePath& to, bool allow_missing) {
  auto parent = FindParent(from);
  TreeChild child = parent ? FindChild(parent.get(), from.back()) : TreeChild();
  if (!child) {
    if (allow_missing) return;
    throw PathError("ENOENT", "No such file or directory in the tree", from);
  }
  if (from == to) return;
  if (from.size() < to.size() && std::equal(from.begin(), from.end(), to.begin())) {
    throw PathError("EINVAL", "Cannot be moved below itself", from);
  }
  if (child.file) {
    const std::string checksum = *child.file;
    // Put may fail on the way to the target; only then let go of the source.
    Put(to, checksum, true);
    // The target may have been a parent of the source.
    parent = FindParent(from);
    if (parent && FindChild(parent.get(), from.back()).file) RemoveName(parent.get(), from.back());
    return;
  }
  // A subtree cannot be re-parented, but a written one can be named anywhere.
  GObjectPtr<GFile> written;
  GError* error = nullptr;
  if (!ostree_repo_write_mtree(repo_, child.directory.get(), written.out(), cancellable_, &error)) {
    throw FromGError(error, "Writing a directory").Detail("path", TreePathText(from));
  }
  const std::string contents = ostree_mutable_tree_get_contents_checksum(child.directory.get());
  const std::string metadata = ostree_mutable_tree_get_metadata_checksum(child.directory.get());
  const size_t below = SoundTrees(repo_, cancellable_).Directory(contents, metadata);
  RequireDepth(to.size() + below, TreePathText(to));
  const auto target_parent = Parent(to);
  RemoveName(parent.get(), from.back());
  PutDirectory(to, contents, metadata);
}

void TreeEditor::PutDirectory(const TreePath& path, const std::string& contents,
                              const std::string& metadata) {
  auto parent = Parent(path);
  RemoveName(parent.get(), path.back());
  auto directory = EnsureDirectory(parent.get(), path.back());
  if (!ostree_mutable_tree_fill_empty_from_dirtree(directory.get(), repo_, contents.c_str(),
                                                   metadata.c_str())) {
    throw PathError("ERR_INTERNAL", "Cannot fill the directory", path);
  }
}

void TreeEditor::Put(const TreePath& path, const std::string& checksum, bool replace_directory) {
  auto parent = Parent(path);
  if (FindChild(parent.get(), path.back()).directory) {
    if (!replace_directory) throw PathError("EISDIR", "Is a directory", path);
    RemoveName(parent.get(), path.back());
  }
  GError* error = nullptr;
  if (!ostree_mutable_tree_replace_file(parent.get(), path.back().c_str(), checksum.c_str(),
                                        &error)) {
    throw FromGError(error, "Adding a file to a tree").Detail("path", TreePathText(path));
  }
}

void TreeEditor::Symlink(const TreePath& path, const std::string& target) {
  GError* error = nullptr;
  GStringPtr checksum(ostree_repo_write_symlink(repo_, nullptr, 0, 0, nullptr, target.c_str(),
                                                cancellable_, &error));
  if (!checksum) {
    throw FromGError(error, "Writing a symbolic link").Detail("path", TreePathText(path));
  }
  Put(path, checksum.get(), true);
}

void TreeEditor::File(const TreePath& path, GBytes* content, const Ownership& ownership) {
  // libostree would name the object by an owner that it does not store: damaged from the start.
  if ((ownership.uid != 0 || ownership.gid != 0) &&
      ostree_repo_get_mode(repo_) == OSTREE_REPO_MODE_BARE_USER_ONLY) {
    throw PathError("EINVAL", "A bare-user-only repository keeps no owners but root", path);
  }
  gsize size = 0;
  const auto* data = static_cast<const guint8*>(g_bytes_get_data(content, &size));
  GError* error = nullptr;
  // Of nothing there is no pointer, which libostree insists on.
  GStringPtr checksum(ostree_repo_write_regfile_inline(
      repo_, nullptr, ownership.uid, ownership.gid, ownership.mode | S_IFREG, nullptr,
      data != nullptr ? data : reinterpret_cast<const guint8*>(""), size, cancellable_, &error));
  if (!checksum) throw FromGError(error, "Writing a file").Detail("path", TreePathText(path));
  Put(path, checksum.get(), false);
}

void TreeEditor::Link(const TreePath& path, const std::string& checksum) {
  RequireObject(repo_, OSTREE_OBJECT_TYPE_FILE, checksum);
  Put(path, checksum, false);
}

namespace {

Ownership CheckedOwnership(const Options& edit, uint32_t mode) {
  Ownership ownership;
  ownership.mode = static_cast<uint32_t>(edit.Integer("mode", mode, 0, 07777));
  ownership.uid = static_cast<uint32_t>(edit.Integer("uid", 0, 0, UINT32_MAX));
  ownership.gid = static_cast<uint32_t>(edit.Integer("gid", 0, 0, UINT32_MAX));
  return ownership;
}

// A path that is not the root.
TreePath CheckedName(const Options& edit, const char* key) {
  TreePath path = CheckedTreePath(edit.Raw(key), key);
  if (path.empty()) throw InvalidArgumentValue(edit.Raw(key).Env(), key, "must not be the root");
  return path;
}

SharedBytes CheckedContent(Napi::Value value) {
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    return TakeBytes(g_bytes_new(text.data(), text.size()));
  }
  if (!value.IsTypedArray() && !Pieces::Is(value)) {
    throw InvalidArgumentType(value.Env(), "content", "of type string or an instance of Uint8Array",
                              value);
  }
  return Pieces::Checked(value, "content");
}

TreeEdit CheckedTreeEdit(Napi::Value value, const std::string& name) {
  const Options options(value.Env(), value, name);
  const std::string op = options.String("op");
  TreeEdit edit;
  if (op == "mkdir") {
    edit.op = TreeEdit::Op::kMkdir;
    edit.path = CheckedTreePath(options.Raw("path"), "path");
    edit.ownership = CheckedOwnership(options, 0755);
  } else if (op == "remove") {
    edit.op = TreeEdit::Op::kRemove;
    edit.path = CheckedName(options, "path");
    edit.allow_missing = options.Bool("allowMissing", false);
  } else if (op == "move") {
    edit.op = TreeEdit::Op::kMove;
    edit.path = CheckedName(options, "from");
    edit.to = CheckedName(options, "to");
    edit.allow_missing = options.Bool("allowMissing", false);
  } else if (op == "symlink") {
    edit.op = TreeEdit::Op::kSymlink;
    edit.path = CheckedName(options, "path");
    edit.text = options.String("target");
    if (edit.text.empty()) throw InvalidArgumentValue(value.Env(), "target", "must not be empty");
  } else if (op == "file") {
    edit.op = TreeEdit::Op::kFile;
    edit.path = CheckedName(options, "path");
    edit.content = CheckedContent(options.Raw("content"));
    edit.ownership = CheckedOwnership(options, 0644);
  } else if (op == "link") {
    edit.op = TreeEdit::Op::kLink;
    edit.path = CheckedName(options, "path");
    edit.text = CheckedChecksum(options.Raw("checksum"), "checksum");
  } else {
    throw InvalidArgumentValue(value.Env(), name + ".op", "is not an edit");
  }
  return edit;
}

}  // namespace

void AddCheckedTreeEdits(Napi::Value value, const std::string& name, std::deque<TreeEdit>* edits) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Array", value);
  }
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const std::string place = name + "[" + std::to_string(edits->size()) + "]";
    edits->push_back(CheckedTreeEdit(array.Get(i), place));
  }
}

void ApplyEdit(TreeEditor& editor, const TreeEdit& edit) {
  switch (edit.op) {
    case TreeEdit::Op::kMkdir:
      editor.MakeDirectory(edit.path, edit.ownership);
      return;
    case TreeEdit::Op::kRemove:
      editor.Remove(edit.path, edit.allow_missing);
      return;
    case TreeEdit::Op::kMove:
      editor.Move(edit.path, edit.to, edit.allow_missing);
      return;
    case TreeEdit::Op::kSymlink:
      editor.Symlink(edit.path, edit.text);
      return;
    case TreeEdit::Op::kFile:
      editor.File(edit.path, edit.content.get(), edit.ownership);
      return;
    case TreeEdit::Op::kLink:
      editor.Link(edit.path, edit.text);
      return;
  }
}

}  // namespace apt_ostree
