// Repo: a tree, entry by entry.
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/cursor.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

struct WalkOptions {
  bool recursive = true;
  // The entry of the path itself comes first.
  bool self = false;
  bool xattrs = false;
  bool checksums = true;
};

// Files of a directory first, then each directory followed by what is below it. Keeps one variant
// for each level of depth, whatever the size of the tree.
class TreeWalk {
 public:
  TreeWalk(std::shared_ptr<RepoState> state, WalkOptions options)
      : state_(std::move(state)), options_(options) {}

  void Start(OstreeRepo* repo, const std::string& rev, const TreePath& path,
             GCancellable* cancellable) {
    EntryReader reader(repo, cancellable, options_.xattrs);
    TreeChecksums directory;
    first_ = reader.Find(RootOf(repo, ResolveCommit(repo, rev)), path, &directory);
    const bool is_directory = first_->type == TreeEntry::Type::kDirectory;
    if (is_directory) Enter(repo, first_->path, directory.contents);
    if (is_directory && !options_.self) first_.reset();
  }

  ToJs Next(JobContext& job, size_t limit) {
    // Held for one piece only, so that a closed repository ends the walk.
    auto repo = state_->Use();
    EntryReader reader(repo.get(), job.cancellable(), options_.xattrs);
    reader.SwapOwners(owners_);
    EntryColumns columns(options_.checksums);
    if (first_) {
      columns.Add(*first_);
      first_.reset();
    }
    while (!levels_.empty() && columns.count() < limit) {
      job.ThrowIfCancelled();
      Level& level = levels_.back();
      const gsize files = g_variant_n_children(level.files.get());
      while (level.file < files && columns.count() < limit) {
        const NamedFile file = FileAt(level.files.get(), level.file++);
        columns.Add(reader.File(ChildPath(level.path, file.name), file.checksum));
      }
      if (level.file < files || columns.count() >= limit) continue;
      if (level.directory == g_variant_n_children(level.directories.get())) {
        levels_.pop_back();
        continue;
      }
      const NamedDirectory child = DirectoryAt(level.directories.get(), level.directory++);
      TreeEntry entry = reader.Directory(ChildPath(level.path, child.name),
                                         child.checksums.contents, child.checksums.metadata);
      columns.Add(entry);
      if (options_.recursive) Enter(repo.get(), std::move(entry.path), child.checksums.contents);
    }
    reader.SwapOwners(owners_);
    return columns.count() == 0 ? ToJs() : columns.Take();
  }

 private:
  struct Level {
    std::string path;
    VariantPtr files, directories;
    gsize file = 0, directory = 0;
  };

  void Enter(OstreeRepo* repo, std::string path, const std::string& contents) {
    RequireDepth(levels_.size(), path);
    VariantPtr tree = LoadVariant(repo, OSTREE_OBJECT_TYPE_DIR_TREE, contents);
    levels_.push_back({std::move(path), VariantPtr::Take(g_variant_get_child_value(tree.get(), 0)),
                       VariantPtr::Take(g_variant_get_child_value(tree.get(), 1))});
  }

  std::shared_ptr<RepoState> state_;
  WalkOptions options_;
  std::optional<TreeEntry> first_;
  std::vector<Level> levels_;
  EntryReader::Owners owners_;
};

}  // namespace

Napi::Value Repo::Walk(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  const Options options = arguments.Object(2, "options");
  WalkOptions walk;
  walk.recursive = options.Bool("recursive", true);
  walk.self = options.Bool("self", false);
  walk.xattrs = options.Bool("xattrs", false);
  walk.checksums = options.Bool("checksums", true);
  return Start(
      info, [state = state(), rev = std::move(rev), path = std::move(path), walk](JobContext& job) {
        auto tree = std::make_shared<TreeWalk>(state, walk);
        tree->Start(state->Use().get(), rev, path, job.cancellable());
        return Cursor::Opened(
            [tree](JobContext& next, size_t limit) { return tree->Next(next, limit); });
      });
}

}  // namespace apt_ostree
