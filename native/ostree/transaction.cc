// Repo: transactions and what is written inside them.
#include <fcntl.h>

#include <set>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/variant.h"
#include "ostree/devino_cache.h"
#include "ostree/mutable_tree.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/tree_edit.h"

namespace apt_ostree {

namespace {

// Writes what is new in the tree and returns its root.
TreeChecksums WriteRoot(OstreeRepo* repo, OstreeMutableTree* tree, GObjectPtr<GFile>* root,
                        GCancellable* cancellable) {
  if (ostree_mutable_tree_get_metadata_checksum(tree) == nullptr) {
    TreeEditor(repo, tree, cancellable).MakeDirectory({}, {});
  }
  GError* error = nullptr;
  if (!ostree_repo_write_mtree(repo, tree, root->out(), cancellable, &error)) {
    throw FromGError(error, "Writing a tree");
  }
  return {ostree_mutable_tree_get_contents_checksum(tree),
          ostree_mutable_tree_get_metadata_checksum(tree)};
}

ToJs TreeChecksumsToJs(TreeChecksums root) {
  return [root = std::move(root)](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("contents", root.contents);
    object.Set("metadata", root.metadata);
    return object;
  };
}

// What an import changes or leaves out, decided here: a call into JavaScript for each file would
// cost more than the import.
struct ImportFilter {
  bool set_uid = false;
  bool set_gid = false;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::set<std::string> skip;

  static OstreeRepoCommitFilterResult Call(OstreeRepo*, const char* path, GFileInfo* file,
                                           gpointer data) {
    const auto* filter = static_cast<const ImportFilter*>(data);
    if (!filter->skip.empty() && filter->skip.count(path) != 0) {
      return OSTREE_REPO_COMMIT_FILTER_SKIP;
    }
    if (filter->set_uid) g_file_info_set_attribute_uint32(file, "unix::uid", filter->uid);
    if (filter->set_gid) g_file_info_set_attribute_uint32(file, "unix::gid", filter->gid);
    return OSTREE_REPO_COMMIT_FILTER_ALLOW;
  }
};

using ModifierPtr =
    std::unique_ptr<OstreeRepoCommitModifier, FreeWith<ostree_repo_commit_modifier_unref>>;

}  // namespace

Napi::Value Repo::BeginTransaction(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext& job) {
    state->BeginTransaction(job.cancellable());
    return Undefined();
  });
}

Napi::Value Repo::CommitTransaction(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext& job) -> ToJs {
    const OstreeRepoTransactionStats stats = state->CommitTransaction(job.cancellable());
    return [stats](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("metadataObjectsTotal", stats.metadata_objects_total);
      object.Set("metadataObjectsWritten", stats.metadata_objects_written);
      object.Set("contentObjectsTotal", stats.content_objects_total);
      object.Set("contentObjectsWritten", stats.content_objects_written);
      object.Set("contentBytesWritten", static_cast<double>(stats.content_bytes_written));
      object.Set("devinoCacheHits", stats.devino_cache_hits);
      return object;
    };
  });
}

Napi::Value Repo::AbortTransaction(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext&) {
    state->AbortTransaction();
    return Undefined();
  });
}

Napi::Value Repo::TransactionSetRef(const Napi::CallbackInfo& info) {
  Refspec refspec = CheckedRefspec(info[0], "ref");
  std::optional<std::string> checksum = CheckedOptionalChecksum(info[1], "checksum");
  return Start(info, [state = state(), refspec = std::move(refspec),
                      checksum = std::move(checksum)](JobContext&) {
    const TransactionShare transaction = state->RequireTransaction();
    if (checksum) RequireObject(transaction.repo(), OSTREE_OBJECT_TYPE_COMMIT, *checksum);
    ostree_repo_transaction_set_ref(transaction.repo(), refspec.remote_or_null(),
                                    refspec.ref.c_str(), checksum ? checksum->c_str() : nullptr);
    return Undefined();
  });
}

Napi::Value Repo::WriteTree(const Napi::CallbackInfo& info) {
  auto tree_state = MutableTree::StateOf(info.Env(), info[0], "tree");
  return Start(info, [state = state(), tree_state](JobContext& job) {
    const TransactionShare transaction = state->RequireTransaction();
    const MutableTreeState::Locked tree = tree_state->Lock();
    GObjectPtr<GFile> root;
    return TreeChecksumsToJs(WriteRoot(transaction.repo(), tree.get(), &root, job.cancellable()));
  });
}

Napi::Value Repo::WriteCommit(const Napi::CallbackInfo& info) {
  const Options options(info.Env(), info[0], "options");
  TreeChecksums tree{CheckedChecksum(options.Raw("contents"), "tree.contents"),
                     CheckedChecksum(options.Raw("metadata"), "tree.metadata")};
  auto parent = CheckedOptionalChecksum(options.Raw("parent"), "parent");
  auto subject = options.OptionalString("subject");
  auto body = options.OptionalString("body");
  VariantPtr metadata = VardictFromJs(options.Raw("commitMetadata"), "metadata");
  // Seconds; -1 is now.
  const int64_t timestamp = options.Integer("timestamp", -1, -1, INT64_C(253402300799));
  return Start(
      info,
      [state = state(), tree = std::move(tree), parent = std::move(parent),
       subject = std::move(subject), body = std::move(body), metadata = std::move(metadata),
       timestamp](JobContext& job) -> ToJs {
        const TransactionShare transaction = state->RequireTransaction();
        OstreeRepo* repo = transaction.repo();
        RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_TREE, tree.contents);
        RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_META, tree.metadata);
        // A lazily loaded tree that nobody touched: writing it only names the two objects.
        auto root_tree = GObjectPtr<OstreeMutableTree>::Take(ostree_mutable_tree_new_from_checksum(
            repo, tree.contents.c_str(), tree.metadata.c_str()));
        GObjectPtr<GFile> root;
        WriteRoot(repo, root_tree.get(), &root, job.cancellable());
        auto* root_file = reinterpret_cast<OstreeRepoFile*>(root.get());
        GStringPtr checksum;
        GError* error = nullptr;
        const char* parent_text = parent ? parent->c_str() : nullptr;
        const char* subject_text = subject ? subject->c_str() : nullptr;
        const char* body_text = body ? body->c_str() : nullptr;
        const bool written =
            timestamp < 0
                ? ostree_repo_write_commit(repo, parent_text, subject_text, body_text,
                                           metadata.get(), root_file, Out(checksum),
                                           job.cancellable(), &error)
                : ostree_repo_write_commit_with_time(
                      repo, parent_text, subject_text, body_text, metadata.get(), root_file,
                      static_cast<guint64>(timestamp), Out(checksum), job.cancellable(), &error);
        if (!written) throw FromGError(error, "Writing a commit").Detail("path", state->path());
        return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
          return Napi::String::New(env, text);
        };
      });
}

namespace {

// How an import reads files, as JavaScript asked for it.
struct ImportOptions {
  ImportFilter filter;
  int flags = OSTREE_REPO_COMMIT_MODIFIER_FLAGS_NONE;
  std::shared_ptr<DevinoCacheState> devino;

  // Points into this object.
  ModifierPtr Modifier() {
    const bool filtered = filter.set_uid || filter.set_gid || !filter.skip.empty();
    ModifierPtr modifier(ostree_repo_commit_modifier_new(
        static_cast<OstreeRepoCommitModifierFlags>(flags), filtered ? ImportFilter::Call : nullptr,
        filtered ? &filter : nullptr, nullptr));
    if (devino) ostree_repo_commit_modifier_set_devino_cache(modifier.get(), devino->cache.get());
    return modifier;
  }
  std::unique_lock<std::mutex> LockDevino() {
    return devino ? std::unique_lock<std::mutex>(devino->mutex) : std::unique_lock<std::mutex>();
  }
};

ImportOptions CheckedImport(const Options& options, Napi::Env env) {
  ImportOptions import;
  import.filter.set_uid = options.Has("uid");
  import.filter.set_gid = options.Has("gid");
  import.filter.uid = static_cast<uint32_t>(options.Integer("uid", 0, 0, UINT32_MAX));
  import.filter.gid = static_cast<uint32_t>(options.Integer("gid", 0, 0, UINT32_MAX));
  for (std::string& name : options.Strings("skip")) import.filter.skip.insert(std::move(name));
  const auto flag = [&](const char* key, int value) {
    if (options.Bool(key, false)) import.flags |= value;
  };
  flag("skipXattrs", OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS);
  flag("canonicalPermissions", OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CANONICAL_PERMISSIONS);
  flag("consume", OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CONSUME);
  flag("devinoCanonical", OSTREE_REPO_COMMIT_MODIFIER_FLAGS_DEVINO_CANONICAL);
  import.devino = DevinoCache::Optional(env, options.Raw("devinoCache"));
  return import;
}

}  // namespace

Napi::Value Repo::WriteDirectory(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  auto tree_state = MutableTree::StateOf(info.Env(), info[1], "tree");
  ImportOptions import = CheckedImport(arguments.Object(2, "options"), info.Env());
  return Start(info, [state = state(), tree_state, path = std::move(path),
                      import = std::move(import)](JobContext& job) mutable {
    const TransactionShare transaction = state->RequireTransaction();
    const MutableTreeState::Locked tree = tree_state->Lock();
    const auto devino_lock = import.LockDevino();
    const ModifierPtr modifier = import.Modifier();
    GError* error = nullptr;
    if (!ostree_repo_write_dfd_to_mtree(transaction.repo(), AT_FDCWD, path.c_str(), tree.get(),
                                        modifier.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Importing a directory").Detail("path", path);
    }
    return Undefined();
  });
}

Napi::Value Repo::WriteArchive(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  auto tree_state = MutableTree::StateOf(info.Env(), info[1], "tree");
  const Options options = arguments.Object(2, "options");
  ImportOptions import = CheckedImport(options, info.Env());
  const bool create_parents = options.Bool("createParents", true);
  return Start(info, [state = state(), tree_state, path = std::move(path),
                      import = std::move(import), create_parents](JobContext& job) mutable {
    const TransactionShare transaction = state->RequireTransaction();
    const MutableTreeState::Locked tree = tree_state->Lock();
    const ModifierPtr modifier = import.Modifier();
    auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
    GError* error = nullptr;
    if (!ostree_repo_write_archive_to_mtree(transaction.repo(), file.get(), tree.get(),
                                            modifier.get(), create_parents, job.cancellable(),
                                            &error)) {
      throw FromGError(error, "Importing an archive").Detail("path", path);
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
