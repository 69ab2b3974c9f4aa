// Repo: transactions and what is written inside them.
#include <optional>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/variant.h"
#include "ostree/collections.h"
#include "ostree/features.h"
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

// Keys of the parent's metadata, then `metadata`, whose own keys win.
VariantPtr KeepMetadata(OstreeRepo* repo, const std::string& parent,
                        const std::vector<std::string>& keys, GVariant* metadata) {
  const VariantPtr commit = LoadVariant(repo, OSTREE_OBJECT_TYPE_COMMIT, parent);
  const VariantPtr old = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
  std::vector<GVariant*> entries;
  const auto add = [&entries](const char* key, GVariant* value) {
    entries.push_back(
        g_variant_new_dict_entry(g_variant_new_string(key), g_variant_new_variant(value)));
  };
  std::vector<VariantPtr> kept;
  for (const std::string& key : keys) {
    if (metadata != nullptr) {
      const VariantPtr own =
          VariantPtr::Take(g_variant_lookup_value(metadata, key.c_str(), nullptr));
      if (own) continue;
    }
    kept.push_back(VariantPtr::Take(g_variant_lookup_value(old.get(), key.c_str(), nullptr)));
    if (!kept.back()) {
      for (GVariant* entry : entries) g_variant_unref(g_variant_ref_sink(entry));
      throw NativeError("ENOENT", "The parent has no metadata " + key).Detail("ref", parent);
    }
    add(key.c_str(), kept.back().get());
  }
  std::vector<VariantPtr> given;
  const gsize count = metadata == nullptr ? 0 : g_variant_n_children(metadata);
  for (gsize i = 0; i < count; ++i) {
    given.push_back(VariantPtr::Take(g_variant_get_child_value(metadata, i)));
    entries.push_back(given.back().get());
  }
  return VariantPtr::Sink(
      g_variant_new_array(G_VARIANT_TYPE("{sv}"), entries.data(), entries.size()));
}

// The metadata and what says which kernel the tree has.
VariantPtr BootableMetadata(GFile* root, GVariant* metadata, GCancellable* cancellable) {
  g_auto(GVariantDict) dict;
  g_variant_dict_init(&dict, metadata);
  GError* error = nullptr;
  if (!ostree_commit_metadata_for_bootable(root, &dict, cancellable, &error)) {
    throw FromGError(error, "Looking for a kernel");
  }
  return VariantPtr::Sink(g_variant_dict_end(&dict));
}

// The metadata and the digest of the tree as a composefs image, in the newest format (0).
VariantPtr ComposefsMetadata(OstreeRepo* repo, OstreeRepoFile* root, GVariant* metadata,
                             GCancellable* cancellable) {
  using Call =
      gboolean (*)(OstreeRepo*, guint, GVariantDict*, OstreeRepoFile*, GCancellable*, GError**);
  // Since 2023.4.
  const auto call = RequireOstree<Call>("ostree_repo_commit_add_composefs_metadata");
  g_auto(GVariantDict) dict;
  g_variant_dict_init(&dict, metadata);
  GError* error = nullptr;
  if (!call(repo, 0, &dict, root, cancellable, &error)) {
    throw FromGError(error, "Computing a composefs digest");
  }
  return VariantPtr::Sink(g_variant_dict_end(&dict));
}

ToJs TreeChecksumsToJs(TreeChecksums root) {
  return [root = std::move(root)](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("contents", root.contents);
    object.Set("metadata", root.metadata);
    return object;
  };
}

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

Napi::Value Repo::TransactionSetCollectionRef(const Napi::CallbackInfo& info) {
  std::string id = CheckedCollectionId(info[0], "collectionId");
  std::string ref = CheckedRefName(info[1], "ref");
  std::optional<std::string> checksum = CheckedOptionalChecksum(info[2], "checksum");
  return Start(info, [state = state(), id = std::move(id), ref = std::move(ref),
                      checksum = std::move(checksum)](JobContext&) {
    const TransactionShare transaction = state->RequireTransaction();
    if (checksum) RequireObject(transaction.repo(), OSTREE_OBJECT_TYPE_COMMIT, *checksum);
    const CollectionRefVector refs({{id, ref}});
    ostree_repo_transaction_set_collection_ref(transaction.repo(), refs.get()[0],
                                               checksum ? checksum->c_str() : nullptr);
    return Undefined();
  });
}

Napi::Value Repo::WriteTree(const Napi::CallbackInfo& info) {
  auto tree_state = MutableTree::StateOf(info.Env(), info[0], "tree");
  return StartWaiting(info, [state = state(), tree_state](JobContext& job) {
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
  // Seconds; none is now. libostree's number has no sign, but what reads it gives it one again.
  std::optional<int64_t> timestamp;
  if (options.Has("timestamp")) {
    timestamp = options.Integer("timestamp", 0, INT64_C(-62135596800), INT64_C(253402300799));
  }
  const bool bootable = options.Bool("bootable", false);
  const bool composefs = options.Bool("composefs", false);
  std::vector<std::string> keep = options.Strings("keepMetadata");
  if (!keep.empty() && !parent)
    throw InvalidArgumentValue(info.Env(), "keepMetadata", "needs a parent");
  return Start(info,
               [state = state(), tree = std::move(tree), parent = std::move(parent),
                subject = std::move(subject), body = std::move(body), given = std::move(metadata),
                bootable, composefs, keep = std::move(keep), timestamp](JobContext& job) -> ToJs {
                 const TransactionShare transaction = state->RequireTransaction();
                 OstreeRepo* repo = transaction.repo();
                 RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_TREE, tree.contents);
                 RequireObject(repo, OSTREE_OBJECT_TYPE_DIR_META, tree.metadata);
                 // A lazily loaded tree that nobody touched: writing it only names the two objects.
                 auto root_tree =
                     GObjectPtr<OstreeMutableTree>::Take(ostree_mutable_tree_new_from_checksum(
                         repo, tree.contents.c_str(), tree.metadata.c_str()));
                 GObjectPtr<GFile> root;
                 WriteRoot(repo, root_tree.get(), &root, job.cancellable());
                 auto* root_file = reinterpret_cast<OstreeRepoFile*>(root.get());
                 VariantPtr metadata = given;
                 if (!keep.empty()) metadata = KeepMetadata(repo, *parent, keep, metadata.get());
                 if (bootable)
                   metadata = BootableMetadata(root.get(), metadata.get(), job.cancellable());
                 if (composefs) {
                   metadata = ComposefsMetadata(repo, root_file, metadata.get(), job.cancellable());
                 }
                 GStringPtr checksum;
                 GError* error = nullptr;
                 const char* parent_text = parent ? parent->c_str() : nullptr;
                 const char* subject_text = subject ? subject->c_str() : nullptr;
                 const char* body_text = body ? body->c_str() : nullptr;
                 const bool written =
                     timestamp ? ostree_repo_write_commit_with_time(
                                     repo, parent_text, subject_text, body_text, metadata.get(),
                                     root_file, static_cast<guint64>(*timestamp), Out(checksum),
                                     job.cancellable(), &error)
                               : ostree_repo_write_commit(repo, parent_text, subject_text,
                                                          body_text, metadata.get(), root_file,
                                                          Out(checksum), job.cancellable(), &error);
                 if (!written)
                   throw FromGError(error, "Writing a commit").Detail("path", state->path());
                 return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
                   return Napi::String::New(env, text);
                 };
               });
}

}  // namespace apt_ostree
