// Repo: comparing trees.
#include <map>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// Paths of each kind, joined by NUL: a single string crosses to JavaScript faster than many.
struct DiffPaths {
  std::string modified, removed, added;

  static void Add(std::string& list, const std::string& path) {
    if (!list.empty()) list.push_back('\0');
    list += path;
  }
};

ToJs DiffToJs(DiffPaths paths) {
  return [paths = std::move(paths)](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("modified", paths.modified);
    object.Set("removed", paths.removed);
    object.Set("added", paths.added);
    return object;
  };
}

struct Directory {
  std::map<std::string, std::string> files;
  std::map<std::string, TreeChecksums> directories;
};

// Compares two commits by their objects alone: equal directories are not opened. The result is
// that of ostree_diff_dirs, which goes through GFile and reads more.
class CommitDiff {
 public:
  CommitDiff(OstreeRepo* repo, const JobContext& job) : repo_(repo), job_(job) {}

  void Compare(const std::string& path, const std::string& from, const std::string& to,
               size_t depth = 0) {
    job_.ThrowIfCancelled();
    RequireDepth(depth, path);
    if (from == to) return;
    const Directory a = Load(from);
    const Directory b = Load(to);
    for (const auto& [name, checksum] : a.files) {
      const std::string child = path + "/" + name;
      const auto same = b.files.find(name);
      if (same != b.files.end()) {
        if (same->second != checksum) DiffPaths::Add(paths.modified, child);
      } else {
        // A file that became a directory is one change.
        DiffPaths::Add(b.directories.count(name) != 0 ? paths.modified : paths.removed, child);
      }
    }
    for (const auto& [name, sums] : a.directories) {
      const std::string child = path + "/" + name;
      const auto same = b.directories.find(name);
      if (same != b.directories.end()) {
        if (same->second.metadata != sums.metadata) DiffPaths::Add(paths.modified, child);
        Compare(child, sums.contents, same->second.contents, depth + 1);
      } else {
        DiffPaths::Add(b.files.count(name) != 0 ? paths.modified : paths.removed, child);
      }
    }
    const auto is_new = [&a](const std::string& name) {
      return a.files.count(name) == 0 && a.directories.count(name) == 0;
    };
    for (const auto& [name, checksum] : b.files) {
      if (is_new(name)) DiffPaths::Add(paths.added, path + "/" + name);
    }
    for (const auto& [name, sums] : b.directories) {
      if (!is_new(name)) continue;
      DiffPaths::Add(paths.added, path + "/" + name);
      AddAll(path + "/" + name, sums.contents, depth + 1);
    }
  }

  DiffPaths paths;

 private:
  void AddAll(const std::string& path, const std::string& contents, size_t depth) {
    RequireDepth(depth, path);
    const Directory directory = Load(contents);
    for (const auto& [name, checksum] : directory.files) {
      DiffPaths::Add(paths.added, path + "/" + name);
    }
    for (const auto& [name, sums] : directory.directories) {
      DiffPaths::Add(paths.added, path + "/" + name);
      AddAll(path + "/" + name, sums.contents, depth + 1);
    }
  }

  Directory Load(const std::string& contents) {
    Directory directory;
    ReadDirectory(
        repo_, contents,
        [&](const char* name, std::string checksum) {
          directory.files.emplace(name, std::move(checksum));
        },
        [&](const char* name, TreeChecksums sums) {
          directory.directories.emplace(name, std::move(sums));
        });
    return directory;
  }

  OstreeRepo* repo_;
  const JobContext& job_;
};

// A revision, or a directory on disk.
struct DiffSide {
  std::string rev;
  std::string directory;
};

DiffSide CheckedSide(Napi::Value value, const std::string& name) {
  if (value.IsString()) return {CheckedRev(value, name), ""};
  return {"", Options(value.Env(), value, name).Path("directory")};
}

GObjectPtr<GFile> Root(OstreeRepo* repo, const DiffSide& side, GCancellable* cancellable) {
  if (side.rev.empty()) {
    return GObjectPtr<GFile>::Take(g_file_new_for_path(side.directory.c_str()));
  }
  SoundTrees(repo, cancellable).Commit(ResolveCommit(repo, side.rev));
  GObjectPtr<GFile> root;
  GError* error = nullptr;
  if (!ostree_repo_read_commit(repo, side.rev.c_str(), root.out(), nullptr, cancellable, &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", side.rev);
  }
  return root;
}

void AddRelative(std::string& list, GFile* root, GFile* file) {
  GStringPtr path(g_file_get_relative_path(root, file));
  if (!path) return;
  GStringPtr text(g_utf8_make_valid(path.get(), -1));
  DiffPaths::Add(list, std::string("/") + text.get());
}

void UnrefItem(gpointer item) { ostree_diff_item_unref(static_cast<OstreeDiffItem*>(item)); }

struct DiffOptions {
  bool ignore_xattrs = false;
  int uid = -1;
  int gid = -1;
};

DiffPaths DiffDirectories(OstreeRepo* repo, const DiffSide& from, const DiffSide& to,
                          const DiffOptions& options, GCancellable* cancellable) {
  auto a = Root(repo, from, cancellable);
  auto b = Root(repo, to, cancellable);
  GPtrArrayPtr modified(g_ptr_array_new_with_free_func(UnrefItem));
  GPtrArrayPtr removed(g_ptr_array_new_with_free_func(g_object_unref));
  GPtrArrayPtr added(g_ptr_array_new_with_free_func(g_object_unref));
  OstreeDiffDirsOptions with = {};
  with.owner_uid = options.uid;
  with.owner_gid = options.gid;
  GError* error = nullptr;
  if (!ostree_diff_dirs_with_options(
          options.ignore_xattrs ? OSTREE_DIFF_FLAGS_IGNORE_XATTRS : OSTREE_DIFF_FLAGS_NONE, a.get(),
          b.get(), modified.get(), removed.get(), added.get(), &with, cancellable, &error)) {
    throw FromGError(error, "Comparing directories")
        .Detail("path", to.rev.empty() ? to.directory : from.directory);
  }
  DiffPaths paths;
  for (guint i = 0; i < modified->len; ++i) {
    AddRelative(paths.modified, a.get(), static_cast<OstreeDiffItem*>(modified->pdata[i])->src);
  }
  for (guint i = 0; i < removed->len; ++i) {
    AddRelative(paths.removed, a.get(), G_FILE(removed->pdata[i]));
  }
  for (guint i = 0; i < added->len; ++i) {
    AddRelative(paths.added, b.get(), G_FILE(added->pdata[i]));
  }
  return paths;
}

}  // namespace

Napi::Value Repo::Diff(const Napi::CallbackInfo& info) {
  DiffSide from = CheckedSide(info[0], "from");
  DiffSide to = CheckedSide(info[1], "to");
  const Options given = Arguments(info).Object(2, "options");
  DiffOptions options;
  options.ignore_xattrs = given.Bool("ignoreXattrs", false);
  options.uid = static_cast<int>(given.Integer("uid", -1, 0, INT32_MAX));
  options.gid = static_cast<int>(given.Integer("gid", -1, 0, INT32_MAX));
  return StartWaiting(info, [state = state(), from = std::move(from), to = std::move(to),
                             options = std::move(options)](JobContext& job) {
    auto repo = state->Use();
    if (from.rev.empty() || to.rev.empty()) {
      return DiffToJs(DiffDirectories(repo.get(), from, to, options, job.cancellable()));
    }
    // The options are about what a directory would be in a commit.
    CommitDiff diff(repo.get(), job);
    diff.Compare("", RootOf(repo.get(), ResolveCommit(repo.get(), from.rev)).contents,
                 RootOf(repo.get(), ResolveCommit(repo.get(), to.rev)).contents);
    return DiffToJs(std::move(diff.paths));
  });
}

}  // namespace apt_ostree
