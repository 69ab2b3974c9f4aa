#include "ostree/mutable_tree.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"
#include "ostree/tree_edit.h"
#include "ostree/tree_edits.h"

namespace apt_ostree {

namespace {

ToJs Wrapped(OstreeMutableTree* tree) {
  auto state = std::make_shared<MutableTreeState>(GObjectPtr<OstreeMutableTree>::Take(tree));
  return [state](Napi::Env env) -> Napi::Value { return MutableTree::Create(env, state); };
}

ToJs FromRoot(OstreeRepo* repo, const TreeChecksums& root, GCancellable* cancellable) {
  RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_TREE, root.contents);
  RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_META, root.metadata);
  // It is loaded bit by bit when it is used.
  SoundTrees(repo, cancellable).Directory(root.contents, root.metadata);
  return Wrapped(
      ostree_mutable_tree_new_from_checksum(repo, root.contents.c_str(), root.metadata.c_str()));
}

std::string OrEmpty(const char* text) { return text != nullptr ? text : ""; }

// The names of a table, sorted.
std::vector<std::string> Names(GHashTable* table) {
  std::vector<std::string> names;
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, &key, nullptr)) {
    names.emplace_back(static_cast<const char*>(key));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void ListTree(EntryReader& reader, OstreeMutableTree* tree, const std::string& path, bool recursive,
              EntryBatches& batches) {
  // Unchanged directories are read as they are stored, so that listing does not load them into
  // the tree for good.
  if (const char* contents = ostree_mutable_tree_get_contents_checksum(tree)) {
    reader.Walk(path.empty() ? "/" : path, contents, recursive,
                [&batches](const TreeEntry& entry) { batches.Add(entry); });
    return;
  }
  for (const std::string& name : Names(FilesOf(tree))) {
    const TreeChild child = FindChild(tree, name);
    batches.Add(reader.File(path + "/" + name, *child.file));
  }
  for (const std::string& name : Names(DirectoriesOf(tree))) {
    const TreeChild child = FindChild(tree, name);
    OstreeMutableTree* directory = child.directory.get();
    const std::string child_path = path + "/" + name;
    batches.Add(reader.Directory(child_path,
                                 OrEmpty(ostree_mutable_tree_get_contents_checksum(directory)),
                                 OrEmpty(ostree_mutable_tree_get_metadata_checksum(directory))));
    if (recursive) ListTree(reader, directory, child_path, true, batches);
  }
}

}  // namespace

void MutableTree::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&MutableTree::CreateTree>("create"),
             StaticMethod<&MutableTree::FromCommit>("fromCommit"),
             StaticMethod<&MutableTree::FromChecksums>("fromChecksums"),
             InstanceMethod<&MutableTree::Apply>("apply"),
             InstanceMethod<&MutableTree::List>("list"),
             InstanceMethod<&MutableTree::Close>("close"),
         });
}

Napi::Value MutableTree::CreateTree(const Napi::CallbackInfo& info) {
  return Wrapped(ostree_mutable_tree_new())(info.Env());
}

Napi::Value MutableTree::FromCommit(const Napi::CallbackInfo& info) {
  auto repo = Repo::StateOf(info.Env(), info[0], "repo");
  std::string rev = CheckedRev(info[1], "rev");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [repo, rev = std::move(rev)](JobContext& job) {
                      auto handle = repo->Use();
                      return FromRoot(handle.get(),
                                      RootOf(handle.get(), ResolveCommit(handle.get(), rev)),
                                      job.cancellable());
                    });
}

Napi::Value MutableTree::FromChecksums(const Napi::CallbackInfo& info) {
  auto repo = Repo::StateOf(info.Env(), info[0], "repo");
  TreeChecksums root{CheckedChecksum(info[1], "contents"), CheckedChecksum(info[2], "metadata")};
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [repo, root = std::move(root)](JobContext& job) {
                      return FromRoot(repo->Use().get(), root, job.cancellable());
                    });
}

Napi::Value MutableTree::Apply(const Napi::CallbackInfo& info) {
  auto repo = Repo::StateOf(info.Env(), info[0], "repo");
  auto given = TreeEdits::StateOf(info.Env(), info[1], "edits");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).waiting(), nullptr,
                    info.Env().Undefined(), [state = state(), repo, given](JobContext& job) {
                      // Their memory is given back here, not on the JavaScript thread.
                      const TreeEditList edits = std::move(*given);
                      const TransactionShare transaction = repo->RequireTransaction();
                      const MutableTreeState::Locked tree = state->Lock();
                      TreeEditor editor(transaction.repo(), tree.get(), job.cancellable());
                      for (const TreeEdit& edit : edits) {
                        job.ThrowIfCancelled();
                        ApplyEdit(editor, edit);
                      }
                      return Undefined();
                    });
}

Napi::Value MutableTree::List(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto repo = Repo::StateOf(info.Env(), info[0], "repo");
  TreePath path = CheckedTreePath(info[1], "path");
  const bool recursive = arguments.Bool(2, "recursive");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).waiting(), nullptr, info[3],
                    [state = state(), repo, path = std::move(path), recursive](JobContext& job) {
                      auto handle = repo->Use();
                      EntryReader reader(handle.get(), job.cancellable());
                      EntryBatches batches(job);
                      const MutableTreeState::Locked tree = state->Lock();
                      auto directory = GObjectPtr<OstreeMutableTree>::Share(tree.get());
                      std::string text;
                      for (size_t i = 0; i < path.size(); ++i) {
                        const TreeChild child = FindChild(directory.get(), path[i]);
                        text += "/" + path[i];
                        if (child.file && i + 1 == path.size()) {
                          batches.Add(reader.File(text, *child.file));
                          batches.Flush();
                          return Undefined();
                        }
                        if (!child.directory) {
                          throw NativeError(
                              child.file ? "ENOTDIR" : "ENOENT",
                              (child.file ? "Not a directory in the tree: "
                                          : "No such file or directory in the tree: ") +
                                  TreePathText(path))
                              .Detail("path", TreePathText(path));
                        }
                        directory = child.directory;
                      }
                      ListTree(reader, directory.get(), text, recursive, batches);
                      batches.Flush();
                      return Undefined();
                    });
}

Napi::Value MutableTree::Close(const Napi::CallbackInfo& info) {
  state()->Close();
  return info.Env().Undefined();
}

}  // namespace apt_ostree
