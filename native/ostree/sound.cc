#include "ostree/sound.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/job.h"
#include "core/sha256.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/read.h"

namespace apt_ostree {

VariantPtr Untrusted(GVariant* variant) {
  const SharedBytes bytes = TakeBytes(g_variant_get_data_as_bytes(variant));
  return VariantPtr::Sink(
      g_variant_new_from_bytes(g_variant_get_type(variant), bytes.get(), FALSE));
}

void RequireForm(GVariant* variant, OstreeObjectType type, const std::string& checksum) {
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

void RequireSound(GVariant* variant, OstreeObjectType type, const std::string& checksum) {
  RequireForm(variant, type, checksum);
  const bool hashed = type == OSTREE_OBJECT_TYPE_COMMIT || type == OSTREE_OBJECT_TYPE_DIR_TREE ||
                      type == OSTREE_OBJECT_TYPE_DIR_META;
  if (!hashed) return;
  Sha256 hash;
  hash.Update(g_variant_get_data(variant), g_variant_get_size(variant));
  if (const std::string actual = hash.Hex(); actual != checksum) {
    throw NativeError("ERR_OSTREE_FAILED",
                      "Reading a damaged object: the checksum of " + checksum + " is " + actual)
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

void SoundTrees::Metadata(const std::string& checksum) {
  if (metadata_.insert(checksum).second) Load(OSTREE_OBJECT_TYPE_DIR_META, checksum);
}

SoundTrees::Level SoundTrees::Enter(const std::string& contents) {
  if (g_cancellable_is_cancelled(cancellable_)) throw Aborted();
  Level level;
  level.contents = contents;
  const VariantPtr tree = Load(OSTREE_OBJECT_TYPE_DIR_TREE, contents);
  if (!tree) return level;
  level.directories = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
  level.count = g_variant_n_children(level.directories.get());
  return level;
}

size_t SoundTrees::Directory(const std::string& contents, const std::string& metadata) {
  Metadata(metadata);
  if (const auto known = heights_.find(contents); known != heights_.end()) return known->second;
  // A loop and no recursion: this is what finds out how deep they are.
  std::vector<Level> levels;
  levels.push_back(Enter(contents));
  while (true) {
    Level& level = levels.back();
    if (level.next < level.count) {
      const TreeChecksums child = DirectoryAt(level.directories.get(), level.next++).checksums;
      Metadata(child.metadata);
      const auto known = heights_.find(child.contents);
      const size_t below = known != heights_.end() ? known->second : 0;
      RequireDepth(levels.size() + below, "");
      level.height = std::max(level.height, below + 1);
      if (known == heights_.end()) levels.push_back(Enter(child.contents));
      continue;
    }
    const size_t height = level.height;
    heights_.emplace(std::move(level.contents), height);
    levels.pop_back();
    if (levels.empty()) return height;
    levels.back().height = std::max(levels.back().height, height + 1);
  }
}

}  // namespace apt_ostree
