#include "ostree/sound.h"

#include <memory>
#include <utility>

#include "core/error.h"
#include "core/job.h"
#include "core/values.h"
#include "ostree/read.h"

namespace apt_ostree {

VariantPtr Untrusted(GVariant* variant) {
  const SharedBytes bytes = TakeBytes(g_variant_get_data_as_bytes(variant));
  return VariantPtr::Sink(
      g_variant_new_from_bytes(g_variant_get_type(variant), bytes.get(), FALSE));
}

void RequireSound(GVariant* variant, OstreeObjectType type, const std::string& checksum) {
  const VariantPtr object = Untrusted(variant);
  GError* error = nullptr;
  gboolean sound = TRUE;
  if (type == OSTREE_OBJECT_TYPE_COMMIT) {
    sound = ostree_validate_structureof_commit(object.get(), &error);
  } else if (type == OSTREE_OBJECT_TYPE_DIR_TREE) {
    sound = ostree_validate_structureof_dirtree(object.get(), &error);
  } else if (type == OSTREE_OBJECT_TYPE_DIR_META) {
    sound = ostree_validate_structureof_dirmeta(object.get(), &error);
  }
  if (!sound) throw FromGError(error, "Reading a damaged object").Detail("ref", checksum);
  // Of no size is the default value, which libostree could not write again.
  if (g_variant_get_size(variant) == 0 || !g_variant_is_normal_form(object.get())) {
    throw NativeError("ERR_OSTREE_FAILED",
                      "Reading a damaged object: " + checksum + " has another form than its type")
        .Detail("ref", checksum);
  }
}

void RequireSoundCommit(OstreeRepo* repo, const std::string& checksum) {
  VariantPtr commit;
  GError* error = nullptr;
  if (!ostree_repo_load_variant_if_exists(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(),
                                          commit.out(), &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", checksum);
  }
  if (commit) RequireSound(commit.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
}

VariantPtr LoadDetached(OstreeRepo* repo, const std::string& commit, GCancellable* cancellable) {
  VariantPtr stored;
  GError* error = nullptr;
  if (!ostree_repo_read_commit_detached_metadata(repo, commit.c_str(), stored.out(), cancellable,
                                                 &error)) {
    throw FromGError(error, "Reading detached metadata").Detail("ref", commit);
  }
  if (!stored) return stored;
  VariantPtr metadata = Untrusted(stored.get());
  if (!g_variant_is_normal_form(metadata.get())) {
    throw NativeError("ERR_OSTREE_FAILED", "The detached metadata of " + commit + " are damaged")
        .Detail("ref", commit);
  }
  return metadata;
}

void RequireSoundConfig(GKeyFile* config, const std::string& path) {
  const std::unique_ptr<char*, FreeWith<g_strfreev>> groups(g_key_file_get_groups(config, nullptr));
  for (char** group = groups.get(); *group != nullptr; ++group) {
    const GStringPtr id(g_key_file_get_string(config, *group, "collection-id", nullptr));
    if (!id) continue;
    GError* error = nullptr;
    if (ostree_validate_collection_id(id.get(), &error)) continue;
    throw FromGError(error, std::string("Reading the configuration, [") + *group + "]")
        .Detail("path", path);
  }
}

VariantPtr SoundTrees::Load(OstreeObjectType type, const std::string& checksum) {
  VariantPtr variant;
  GError* error = nullptr;
  if (!ostree_repo_load_variant_if_exists(repo_, type, checksum.c_str(), variant.out(), &error)) {
    throw FromGError(error, "Reading an object").Detail("ref", checksum);
  }
  if (variant) RequireSound(variant.get(), type, checksum);
  return variant;
}

void SoundTrees::Commit(const std::string& checksum) { History(checksum, 0); }

void SoundTrees::History(std::string checksum, int depth) {
  for (; commits_.insert(checksum).second; --depth) {
    const VariantPtr commit = Load(OSTREE_OBJECT_TYPE_COMMIT, checksum);
    if (!commit) return;
    LoadDetached(repo_, checksum, cancellable_);
    const TreeChecksums root = RootOf(repo_, checksum);
    Directory(root.contents, root.metadata);
    const GStringPtr parent(ostree_commit_get_parent(commit.get()));
    if (depth == 0 || !parent) return;
    checksum = parent.get();
  }
}

void SoundTrees::Directory(const std::string& contents, const std::string& metadata) {
  std::vector<std::string> left;
  const auto add = [&](const TreeChecksums& directory) {
    if (metadata_.insert(directory.metadata).second) {
      Load(OSTREE_OBJECT_TYPE_DIR_META, directory.metadata);
    }
    if (directories_.insert(directory.contents).second) left.push_back(directory.contents);
  };
  add({contents, metadata});
  while (!left.empty()) {
    const std::string next = std::move(left.back());
    left.pop_back();
    if (g_cancellable_is_cancelled(cancellable_)) throw Aborted();
    const VariantPtr tree = Load(OSTREE_OBJECT_TYPE_DIR_TREE, next);
    if (!tree) continue;
    const auto children = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
    const gsize count = g_variant_n_children(children.get());
    for (gsize i = 0; i < count; ++i) add(DirectoryAt(children.get(), i).checksums);
  }
}

}  // namespace apt_ostree
