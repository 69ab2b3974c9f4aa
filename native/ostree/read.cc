#include "ostree/read.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/variant.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

const char* TypeName(TreeEntry::Type type) {
  switch (type) {
    case TreeEntry::Type::kFile:
      return "file";
    case TreeEntry::Type::kDirectory:
      return "directory";
    case TreeEntry::Type::kSymlink:
      return "symlink";
  }
  return "file";
}

// 32 bytes as hexadecimal; anything else is a damaged object.
std::string ChecksumText(GVariant* bytes) {
  GError* error = nullptr;
  if (!ostree_validate_structureof_csum_v(bytes, &error)) {
    throw FromGError(error, "Reading a checksum");
  }
  GStringPtr text(ostree_checksum_from_bytes_v(bytes));
  return text.get();
}

}  // namespace

std::string ChildPath(const std::string& parent, const std::string& name) {
  return parent == "/" ? "/" + name : parent + "/" + name;
}

bool HasStoredObject(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum) {
  gboolean found = FALSE;
  GError* error = nullptr;
  if (!ostree_repo_has_object(repo, type, checksum.c_str(), &found, nullptr, &error)) {
    throw FromGError(error, "Looking for an object").Detail("ref", checksum);
  }
  return found != FALSE;
}

void RequireObject(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum) {
  if (HasStoredObject(repo, type, checksum)) return;
  throw NativeError("ENOENT", std::string("No such object: ") + checksum + "." +
                                  ostree_object_type_to_string(type))
      .Detail("ref", checksum);
}

std::optional<std::string> TryResolveCommit(OstreeRepo* repo, const std::string& rev) {
  // Parents are followed here: libostree reads that of a missing commit through a null pointer,
  // and calls itself for each `^`.
  const size_t end = rev.find_last_not_of('^') + 1;
  GStringPtr checksum;
  GError* error = nullptr;
  if (!ostree_repo_resolve_rev(repo, rev.substr(0, end).c_str(), TRUE, Out(checksum), &error)) {
    throw FromGError(error, "Resolving a revision").Detail("ref", rev);
  }
  for (size_t at = end; checksum && at < rev.size(); ++at) {
    if (!HasStoredObject(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum.get())) return std::nullopt;
    const VariantPtr commit = LoadVariant(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum.get());
    checksum.reset(ostree_commit_get_parent(commit.get()));
  }
  if (!checksum) return std::nullopt;
  return checksum.get();
}

std::string ResolveCommit(OstreeRepo* repo, const std::string& rev) {
  std::optional<std::string> checksum = TryResolveCommit(repo, rev);
  if (!checksum) throw NativeError("ENOENT", "No such revision: " + rev).Detail("ref", rev);
  RequireSoundCommit(repo, *checksum);
  return *checksum;
}

VariantPtr LoadVariant(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum) {
  VariantPtr variant;
  GError* error = nullptr;
  if (!ostree_repo_load_variant(repo, type, checksum.c_str(), variant.out(), &error)) {
    throw FromGError(error, "Reading an object").Detail("ref", checksum);
  }
  RequireSound(variant.get(), type, checksum);
  return variant;
}

TreeChecksums RootOf(OstreeRepo* repo, const std::string& commit) {
  VariantPtr variant = LoadVariant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
  VariantPtr contents = VariantPtr::Take(g_variant_get_child_value(variant.get(), 6));
  VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(variant.get(), 7));
  return {ChecksumText(contents.get()), ChecksumText(metadata.get())};
}

NamedFile FileAt(GVariant* files, gsize index) {
  const char* name = nullptr;
  VariantPtr checksum;
  g_variant_get_child(files, index, "(&s@ay)", &name, checksum.out());
  return {name, ChecksumText(checksum.get())};
}

NamedDirectory DirectoryAt(GVariant* directories, gsize index) {
  const char* name = nullptr;
  VariantPtr contents, metadata;
  g_variant_get_child(directories, index, "(&s@ay@ay)", &name, contents.out(), metadata.out());
  return {name, {ChecksumText(contents.get()), ChecksumText(metadata.get())}};
}

void ReadDirectory(OstreeRepo* repo, const std::string& contents,
                   const std::function<void(const char*, std::string)>& file,
                   const std::function<void(const char*, TreeChecksums)>& directory) {
  VariantPtr tree = LoadVariant(repo, OSTREE_OBJECT_TYPE_DIR_TREE, contents);
  VariantPtr files = VariantPtr::Take(g_variant_get_child_value(tree.get(), 0));
  VariantPtr directories = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
  const gsize file_count = g_variant_n_children(files.get());
  for (gsize i = 0; i < file_count; ++i) {
    NamedFile child = FileAt(files.get(), i);
    file(child.name, std::move(child.checksum));
  }
  const gsize directory_count = g_variant_n_children(directories.get());
  for (gsize i = 0; i < directory_count; ++i) {
    NamedDirectory child = DirectoryAt(directories.get(), i);
    directory(child.name, std::move(child.checksums));
  }
}

TreeEntry EntryReader::File(std::string path, const std::string& checksum) {
  GObjectPtr<GFileInfo> file;
  GError* error = nullptr;
  TreeEntry entry;
  if (!ostree_repo_load_file(repo_, checksum.c_str(), nullptr, file.out(),
                             with_xattrs_ ? entry.xattrs.out() : nullptr, cancellable_, &error)) {
    throw FromGError(error, "Reading a file object").Detail("ref", checksum).Detail("path", path);
  }
  entry.path = std::move(path);
  entry.checksum = checksum;
  entry.mode = g_file_info_get_attribute_uint32(file.get(), "unix::mode") & 07777;
  entry.uid = g_file_info_get_attribute_uint32(file.get(), "unix::uid");
  entry.gid = g_file_info_get_attribute_uint32(file.get(), "unix::gid");
  if (g_file_info_get_file_type(file.get()) == G_FILE_TYPE_SYMBOLIC_LINK) {
    entry.type = TreeEntry::Type::kSymlink;
    const char* target = g_file_info_get_symlink_target(file.get());
    entry.target = target != nullptr ? target : "";
    entry.size = entry.target.size();
  } else {
    entry.size = static_cast<uint64_t>(g_file_info_get_size(file.get()));
  }
  return entry;
}

TreeEntry EntryReader::Directory(std::string path, const std::string& contents,
                                 const std::string& metadata) {
  TreeEntry entry;
  entry.type = TreeEntry::Type::kDirectory;
  entry.path = std::move(path);
  entry.checksum = contents;
  entry.metadata = metadata;
  // A directory of an unsaved tree may have no metadata yet.
  if (metadata.empty()) return entry;
  auto found = owners_.find(metadata);
  if (found == owners_.end()) {
    VariantPtr variant = LoadVariant(repo_, OSTREE_OBJECT_TYPE_DIR_META, metadata);
    guint32 uid, gid, mode;
    VariantPtr xattrs;
    g_variant_get(variant.get(), "(uuu@a(ayay))", &uid, &gid, &mode, xattrs.out());
    const Owner owner{GUINT32_FROM_BE(uid), GUINT32_FROM_BE(gid), GUINT32_FROM_BE(mode) & 07777,
                      xattrs};
    found = owners_.emplace(metadata, owner).first;
  }
  entry.uid = found->second.uid;
  entry.gid = found->second.gid;
  entry.mode = found->second.mode;
  if (with_xattrs_) entry.xattrs = found->second.xattrs;
  return entry;
}

void EntryReader::Walk(const std::string& path, const std::string& contents, bool recursive,
                       const Visit& visit, size_t depth) {
  if (g_cancellable_is_cancelled(cancellable_)) throw Aborted();
  RequireDepth(depth, path);
  ReadDirectory(
      repo_, contents,
      [&](const char* name, const std::string& checksum) {
        visit(File(ChildPath(path, name), checksum));
      },
      [&](const char* name, const TreeChecksums& sums) {
        const std::string child = ChildPath(path, name);
        visit(Directory(child, sums.contents, sums.metadata));
        if (recursive) Walk(child, sums.contents, true, visit, depth + 1);
      });
}

TreeEntry EntryReader::Find(const TreeChecksums& root, const TreePath& path,
                            TreeChecksums* directory) {
  TreeChecksums current = root;
  for (size_t depth = 0; depth < path.size(); ++depth) {
    const bool last = depth + 1 == path.size();
    VariantPtr tree = LoadVariant(repo_, OSTREE_OBJECT_TYPE_DIR_TREE, current.contents);
    VariantPtr directories = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
    bool found = false;
    const gsize directory_count = g_variant_n_children(directories.get());
    for (gsize i = 0; i < directory_count && !found; ++i) {
      NamedDirectory child = DirectoryAt(directories.get(), i);
      if (path[depth] != child.name) continue;
      current = std::move(child.checksums);
      found = true;
    }
    if (found) continue;
    VariantPtr files = VariantPtr::Take(g_variant_get_child_value(tree.get(), 0));
    const gsize file_count = g_variant_n_children(files.get());
    for (gsize i = 0; i < file_count; ++i) {
      const NamedFile child = FileAt(files.get(), i);
      if (path[depth] != child.name) continue;
      if (last) return File(TreePathText(path), child.checksum);
      throw NativeError("ENOTDIR", "Not a directory in the tree: " +
                                       TreePathText({path.begin(), path.begin() + depth + 1}))
          .Detail("path", TreePathText(path));
    }
    throw NativeError("ENOENT", "No such file or directory in the tree: " + TreePathText(path))
        .Detail("path", TreePathText(path));
  }
  if (directory != nullptr) *directory = current;
  return Directory(TreePathText(path), current.contents, current.metadata);
}

TreeEntry FindFile(OstreeRepo* repo, const std::string& rev, const TreePath& path,
                   GCancellable* cancellable) {
  const TreeChecksums root = RootOf(repo, ResolveCommit(repo, rev));
  TreeEntry entry = EntryReader(repo, cancellable).Find(root, path, nullptr);
  if (entry.type == TreeEntry::Type::kFile) return entry;
  const bool directory = entry.type == TreeEntry::Type::kDirectory;
  throw NativeError(directory ? "EISDIR" : "ELOOP",
                    (directory ? "Is a directory: " : "Is a symbolic link: ") + entry.path)
      .Detail("path", entry.path);
}

GObjectPtr<GInputStream> LoadContent(OstreeRepo* repo, const TreeEntry& file,
                                     GCancellable* cancellable) {
  GObjectPtr<GInputStream> stream;
  GError* error = nullptr;
  if (!ostree_repo_load_file(repo, file.checksum.c_str(), stream.out(), nullptr, nullptr,
                             cancellable, &error)) {
    throw FromGError(error, "Reading a file object").Detail("path", file.path);
  }
  return stream;
}

void EntryColumns::Add(const TreeEntry& entry) {
  // Ostree refuses names with NUL, so it can stand between them.
  paths_.append(entry.path).push_back('\0');
  targets_.append(entry.target).push_back('\0');
  if (with_checksums_) {
    checksums_.append(entry.checksum).push_back('\0');
    metadata_.append(entry.metadata).push_back('\0');
  }
  double xattrs = -1;
  if (entry.xattrs) {
    const std::string key(static_cast<const char*>(g_variant_get_data(entry.xattrs.get())),
                          g_variant_get_size(entry.xattrs.get()));
    const auto [found, added] = xattr_index_.emplace(key, xattr_sets_.size());
    if (added) xattr_sets_.push_back(entry.xattrs);
    xattrs = static_cast<double>(found->second);
  }
  numbers_.insert(numbers_.end(), {static_cast<double>(entry.type), static_cast<double>(entry.mode),
                                   static_cast<double>(entry.uid), static_cast<double>(entry.gid),
                                   static_cast<double>(entry.size), xattrs});
  ++count_;
}

ToJs EntryColumns::Take() {
  for (std::string* column : {&paths_, &targets_, &checksums_, &metadata_}) {
    if (!column->empty()) column->pop_back();
  }
  count_ = 0;
  xattr_index_.clear();
  return [paths = std::exchange(paths_, {}), targets = std::exchange(targets_, {}),
          checksums = std::exchange(checksums_, {}), metadata = std::exchange(metadata_, {}),
          numbers = std::exchange(numbers_, {}),
          xattr_sets = std::exchange(xattr_sets_, {})](Napi::Env env) -> Napi::Value {
    Napi::Object batch = Napi::Object::New(env);
    batch.Set("paths", paths);
    batch.Set("targets", targets);
    batch.Set("checksums", checksums);
    batch.Set("metadata", metadata);
    Napi::Float64Array column = Napi::Float64Array::New(env, numbers.size());
    std::copy(numbers.begin(), numbers.end(), column.Data());
    batch.Set("numbers", column);
    Napi::Array sets = Napi::Array::New(env, xattr_sets.size());
    for (size_t i = 0; i < xattr_sets.size(); ++i) {
      sets.Set(static_cast<uint32_t>(i), XattrsToJs(env, xattr_sets[i].get()));
    }
    batch.Set("xattrSets", sets);
    return batch;
  };
}

void EntryBatches::Add(const TreeEntry& entry) {
  columns_.Add(entry);
  if (columns_.count() == kBatch) Flush();
}

void EntryBatches::Flush() {
  if (columns_.count() > 0) job_.Emit(columns_.Take());
}

Napi::Value XattrsToJs(Napi::Env env, GVariant* xattrs) {
  const gsize count = g_variant_n_children(xattrs);
  Napi::Array list = Napi::Array::New(env, count);
  for (gsize i = 0; i < count; ++i) {
    const char* name = nullptr;
    VariantPtr value;
    g_variant_get_child(xattrs, i, "(^&ay@ay)", &name, value.out());
    // Names are bytes to the kernel; in JavaScript they are text.
    GStringPtr text(g_utf8_make_valid(name, -1));
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", text.get());
    entry.Set("value", VariantToJs(env, value.get()));
    list.Set(static_cast<uint32_t>(i), entry);
  }
  return list;
}

Napi::Value TreeEntryToJs(Napi::Env env, const TreeEntry& entry) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("path", entry.path);
  object.Set("type", TypeName(entry.type));
  object.Set("mode", entry.mode);
  object.Set("uid", entry.uid);
  object.Set("gid", entry.gid);
  object.Set("size", static_cast<double>(entry.size));
  if (entry.type == TreeEntry::Type::kSymlink) object.Set("target", entry.target);
  if (!entry.checksum.empty()) object.Set("checksum", entry.checksum);
  if (!entry.metadata.empty()) object.Set("metadataChecksum", entry.metadata);
  if (entry.xattrs) object.Set("xattrs", XattrsToJs(env, entry.xattrs.get()));
  return object;
}

}  // namespace apt_ostree
