// Repo: directories, archives and other commits on their way into a mutable tree.
#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/open.h"
#include "ostree/archive_import.h"
#include "ostree/directory_import.h"
#include "ostree/import_rules.h"
#include "ostree/mutable_tree.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"
#include "ostree/tree_edit.h"

namespace apt_ostree {

namespace {

ToJs ResultToJs(ImportResult result) {
  return [result = std::move(result)](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("directories", static_cast<double>(result.directories));
    object.Set("files", static_cast<double>(result.files));
    object.Set("hashed", static_cast<double>(result.hashed));
    object.Set("bytes", static_cast<double>(result.bytes));
    object.Set("known", static_cast<double>(result.known));
    std::string unmatched;
    for (const std::string& path : result.unmatched) {
      if (!unmatched.empty()) unmatched.push_back('\0');
      unmatched += path;
    }
    object.Set("unmatched", unmatched);
    return object;
  };
}

// The directory of the tree that an import goes to; made with its parents if it is missing.
GObjectPtr<OstreeMutableTree> Target(OstreeRepo* repo, OstreeMutableTree* tree,
                                     const TreePath& prefix, GCancellable* cancellable) {
  auto current = GObjectPtr<OstreeMutableTree>::Share(tree);
  for (const std::string& name : prefix) {
    TreeChild child = FindChild(current.get(), name);
    if (!child.directory) {
      return TreeEditor(repo, tree, cancellable).MakeDirectory(prefix, {});
    }
    current = child.directory;
  }
  return current;
}

TreePath CheckedPrefix(const Options& options) {
  return options.Has("prefix") ? CheckedTreePath(options.Raw("prefix"), "prefix") : TreePath();
}

void ImportByLibostree(OstreeRepo* repo, const std::string& path, OstreeMutableTree* tree,
                       const ImportOptions& options, ImportResult& result, const JobContext& job) {
  CommitModifier modifier(options, repo, job);
  if (options.selinux_from_tree) {
    modifier.UsePolicy(SePolicyState::OfDirectory(path, job.cancellable()));
  }
  UniqueFd root;
  if (!options.xattrs.empty()) {
    root = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) throw FromErrno(errno, "Opening", path);
  }
  modifier.ReadXattrsWith([&](const std::string& file) {
    // Relative to the root, which is "/".
    const std::string name = file == "/" ? "." : file.substr(1);
    GError* error = nullptr;
    auto xattrs = VariantPtr::Take(
        ostree_fs_get_all_xattrs_at(root.get(), name.c_str(), job.cancellable(), &error));
    if (xattrs) return xattrs;
    throw FromGError(error, "Reading extended attributes").Detail("path", file);
  });
  GError* error = nullptr;
  const bool imported = ostree_repo_write_dfd_to_mtree(repo, AT_FDCWD, path.c_str(), tree,
                                                       modifier.get(), job.cancellable(), &error);
  try {
    modifier.Check();
  } catch (...) {
    g_clear_error(&error);
    throw;
  }
  if (!imported) throw FromGError(error, "Importing a directory").Detail("path", path);
  result.unmatched = modifier.Unmatched();
}

// Lays a written directory over `tree`, object by object; what the tree lacks is only named.
void Overlay(OstreeRepo* repo, OstreeMutableTree* tree, const TreeChecksums& from,
             const JobContext& job) {
  job.ThrowIfCancelled();
  ostree_mutable_tree_set_metadata_checksum(tree, from.metadata.c_str());
  ReadDirectory(
      repo, from.contents,
      [tree](const char* name, const std::string& checksum) {
        GError* error = nullptr;
        if (!ostree_mutable_tree_replace_file(tree, name, checksum.c_str(), &error)) {
          throw FromGError(error, "Importing a file").Detail("path", name);
        }
      },
      [&](const char* name, const TreeChecksums& sums) {
        const bool known = static_cast<bool>(FindChild(tree, name).directory);
        GObjectPtr<OstreeMutableTree> child;
        GError* error = nullptr;
        if (!ostree_mutable_tree_ensure_dir(tree, name, child.out(), &error)) {
          throw FromGError(error, "Importing a directory").Detail("path", name);
        }
        if (!known && ostree_mutable_tree_fill_empty_from_dirtree(
                          child.get(), repo, sums.contents.c_str(), sums.metadata.c_str())) {
          return;
        }
        Overlay(repo, child.get(), sums, job);
      });
}

bool ChangesNothing(const ImportOptions& options) {
  return !options.uid && !options.gid && options.files.clear == 0 && options.files.set == 0 &&
         options.directories.clear == 0 && options.directories.set == 0 &&
         !options.read_only_executables && options.stat_overrides.empty() && options.skip.empty() &&
         options.skip_patterns.empty() && options.xattrs.empty() && !options.ask &&
         !options.skip_xattrs && !options.canonical_permissions && !options.generate_sizes &&
         !options.labels();
}

void ImportCommit(OstreeRepo* repo, const std::string& rev, const TreePath& subpath,
                  OstreeMutableTree* tree, const ImportOptions& options, ImportResult& result,
                  const JobContext& job) {
  const std::string commit = ResolveCommit(repo, rev);
  SoundTrees sound(repo, job.cancellable());
  sound.Commit(commit);
  TreeChecksums root = RootOf(repo, commit);
  const TreeEntry entry = EntryReader(repo, job.cancellable()).Find(root, subpath, &root);
  if (entry.type != TreeEntry::Type::kDirectory) {
    throw NativeError("ENOTDIR", "Not a directory in the tree: " + entry.path)
        .Detail("path", entry.path);
  }
  RequireDepth(options.depth + sound.Directory(root.contents, root.metadata), entry.path);
  if (ChangesNothing(options)) {
    Overlay(repo, tree, root, job);
    return;
  }
  CommitModifier modifier(options, repo, job);
  if (options.selinux_from_tree) {
    modifier.UsePolicy(SePolicyState::OfCommit(repo, commit, job.cancellable()));
  }
  GObjectPtr<GFile> file;
  GError* error = nullptr;
  if (!ostree_repo_read_commit(repo, commit.c_str(), file.out(), nullptr, job.cancellable(),
                               &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", rev);
  }
  if (!subpath.empty()) {
    file = GObjectPtr<GFile>::Take(
        g_file_resolve_relative_path(file.get(), TreePathText(subpath).c_str() + 1));
  }
  modifier.ReadXattrsWith([&](const std::string& path) {
    auto entry = file;
    if (path != "/") {
      entry = GObjectPtr<GFile>::Take(g_file_resolve_relative_path(file.get(), path.c_str() + 1));
    }
    VariantPtr xattrs;
    GError* failure = nullptr;
    if (ostree_repo_file_get_xattrs(OSTREE_REPO_FILE(entry.get()), xattrs.out(), job.cancellable(),
                                    &failure)) {
      return xattrs;
    }
    throw FromGError(failure, "Reading extended attributes").Detail("path", path);
  });
  const bool imported = ostree_repo_write_directory_to_mtree(repo, file.get(), tree, modifier.get(),
                                                             job.cancellable(), &error);
  try {
    modifier.Check();
  } catch (...) {
    g_clear_error(&error);
    throw;
  }
  if (!imported) throw FromGError(error, "Importing a commit").Detail("ref", rev);
  result.unmatched = modifier.Unmatched();
}

}  // namespace

// writeDirectory(path, tree, options, listener)
Napi::Value Repo::WriteDirectory(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  auto tree_state = MutableTree::StateOf(info.Env(), info[1], "tree");
  const Options options = arguments.Object(2, "options");
  ImportOptions import = CheckedImport(options, info[3]);
  TreePath prefix = CheckedPrefix(options);
  import.depth = prefix.size();
  return StartWaiting(
      info,
      [state = state(), tree_state, path = std::move(path), import = std::move(import),
       prefix = std::move(prefix)](JobContext& job) {
        const TransactionShare transaction = state->RequireTransaction();
        OstreeRepo* repo = transaction.repo();
        const MutableTreeState::Locked tree = tree_state->Lock();
        const auto target = Target(repo, tree.get(), prefix, job.cancellable());
        ImportResult result;
        if (CanImportDirectory(repo, import)) {
          result = ImportDirectory(repo, path, target.get(), import, job);
        } else {
          ImportByLibostree(repo, path, target.get(), import, result, job);
        }
        return ResultToJs(std::move(result));
      },
      info[3]);
}

// writeArchive(path or descriptor, tree, options, listener)
Napi::Value Repo::WriteArchive(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path;
  int given = -1;
  if (info[0].IsNumber()) {
    given = static_cast<int>(arguments.Integer(0, "source", 0, INT32_MAX));
  } else {
    path = arguments.Path(0, "source");
  }
  auto tree_state = MutableTree::StateOf(info.Env(), info[1], "tree");
  const Options options = arguments.Object(2, "options");
  ImportOptions import = CheckedImport(options, info[3]);
  ArchiveOptions archive = CheckedArchive(options, info.Env());
  TreePath prefix = CheckedPrefix(options);
  import.depth = prefix.size();
  // A copy of the descriptor: the caller may close its own any time.
  const auto source = std::make_shared<UniqueFd>(given < 0 ? -1 : fcntl(given, F_DUPFD_CLOEXEC, 0));
  if (given >= 0 && !*source) throw FromErrno(errno, "Reading an archive", "").ToJs(info.Env());
  return StartWaiting(
      info,
      [state = state(), tree_state, path = std::move(path), source, import = std::move(import),
       archive = std::move(archive), prefix = std::move(prefix)](JobContext& job) {
        const TransactionShare transaction = state->RequireTransaction();
        OstreeRepo* repo = transaction.repo();
        const MutableTreeState::Locked tree = tree_state->Lock();
        if (!*source) *source = OpenToRead(path, "Opening an archive");
        const auto target = Target(repo, tree.get(), prefix, job.cancellable());
        CommitModifier modifier(import, repo, job);
        ImportArchive(repo, source->get(), path, target.get(), modifier, archive, job);
        modifier.ChangeDirectories(target.get());
        ImportResult result;
        result.unmatched = modifier.Unmatched();
        *source = UniqueFd();
        return ResultToJs(std::move(result));
      },
      info[3]);
}

// writeCommitTree(rev, subpath, tree, options, listener)
Napi::Value Repo::WriteCommitTree(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(info[0], "rev");
  TreePath subpath = CheckedTreePath(info[1], "subpath");
  auto tree_state = MutableTree::StateOf(info.Env(), info[2], "tree");
  const Options options = arguments.Object(3, "options");
  ImportOptions import = CheckedImport(options, info[4]);
  TreePath prefix = CheckedPrefix(options);
  import.depth = prefix.size();
  return StartWaiting(
      info,
      [state = state(), tree_state, rev = std::move(rev), subpath = std::move(subpath),
       import = std::move(import), prefix = std::move(prefix)](JobContext& job) {
        const TransactionShare transaction = state->RequireTransaction();
        OstreeRepo* repo = transaction.repo();
        const MutableTreeState::Locked tree = tree_state->Lock();
        const auto target = Target(repo, tree.get(), prefix, job.cancellable());
        ImportResult result;
        ImportCommit(repo, rev, subpath, target.get(), import, result, job);
        return ResultToJs(std::move(result));
      },
      info[4]);
}

}  // namespace apt_ostree
