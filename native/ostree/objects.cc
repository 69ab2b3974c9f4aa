// Repo: single objects.
#include "ostree/objects.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "core/variant.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

VariantPtr Child(GVariant* variant, gsize index) {
  return VariantPtr::Take(g_variant_get_child_value(variant, index));
}

// Of a variant that was validated: 32 bytes, or none in the place of a parent.
std::string ChecksumAt(GVariant* variant, gsize index) {
  VariantPtr bytes = Child(variant, index);
  if (g_variant_n_children(bytes.get()) != OSTREE_SHA256_DIGEST_LEN) return "";
  GStringPtr text(ostree_checksum_from_bytes_v(bytes.get()));
  return text.get();
}

std::string TextAt(GVariant* variant, gsize index) {
  return g_variant_get_string(Child(variant, index).get(), nullptr);
}

// Names and checksums as columns: a directory can have tens of thousands of entries.
class Columns {
 public:
  void Add(const std::string& text) { text_.append(text).push_back('\0'); }
  Napi::Value ToJs(Napi::Env env) {
    if (!text_.empty()) text_.pop_back();
    return Napi::String::New(env, text_);
  }

 private:
  std::string text_;
};

Napi::Value DirtreeToJs(Napi::Env env, GVariant* tree) {
  Columns files, file_checksums, directories, contents, metadata;
  VariantPtr list = Child(tree, 0);
  const gsize file_count = g_variant_n_children(list.get());
  for (gsize i = 0; i < file_count; ++i) {
    const NamedFile file = FileAt(list.get(), i);
    files.Add(file.name);
    file_checksums.Add(file.checksum);
  }
  list = Child(tree, 1);
  const gsize directory_count = g_variant_n_children(list.get());
  for (gsize i = 0; i < directory_count; ++i) {
    const NamedDirectory directory = DirectoryAt(list.get(), i);
    directories.Add(directory.name);
    contents.Add(directory.checksums.contents);
    metadata.Add(directory.checksums.metadata);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("files", files.ToJs(env));
  object.Set("fileChecksums", file_checksums.ToJs(env));
  object.Set("directories", directories.ToJs(env));
  object.Set("contents", contents.ToJs(env));
  object.Set("metadata", metadata.ToJs(env));
  return object;
}

Napi::Value DirmetaToJs(Napi::Env env, GVariant* metadata) {
  guint32 uid, gid, mode;
  VariantPtr xattrs;
  g_variant_get(metadata, "(uuu@a(ayay))", &uid, &gid, &mode, xattrs.out());
  Napi::Object object = Napi::Object::New(env);
  object.Set("uid", GUINT32_FROM_BE(uid));
  object.Set("gid", GUINT32_FROM_BE(gid));
  object.Set("mode", GUINT32_FROM_BE(mode) & 07777);
  object.Set("xattrs", XattrsToJs(env, xattrs.get()));
  return object;
}

const GVariantType* TypeOf(OstreeObjectType type) {
  switch (type) {
    case OSTREE_OBJECT_TYPE_COMMIT:
      return OSTREE_COMMIT_GVARIANT_FORMAT;
    case OSTREE_OBJECT_TYPE_DIR_TREE:
      return OSTREE_TREE_GVARIANT_FORMAT;
    case OSTREE_OBJECT_TYPE_DIR_META:
      return OSTREE_DIRMETA_GVARIANT_FORMAT;
    default:
      return nullptr;
  }
}

OstreeObjectType CheckedMetadataType(Napi::Value value, const std::string& name) {
  const OstreeObjectType type = CheckedObjectType(value, name);
  if (TypeOf(type) == nullptr) {
    throw InvalidArgumentValue(value.Env(), name, "must be 'commit', 'dirtree' or 'dirmeta'");
  }
  return type;
}

}  // namespace

Napi::Object CommitToJs(Napi::Env env, GVariant* commit) {
  Napi::Object object = Napi::Object::New(env);
  const std::string parent = ChecksumAt(commit, 1);
  if (!parent.empty()) object.Set("parent", parent);
  object.Set("subject", TextAt(commit, 3));
  object.Set("body", TextAt(commit, 4));
  // Before 1970 it is negative, though libostree's type has no sign.
  const auto timestamp = static_cast<int64_t>(ostree_commit_get_timestamp(commit));
  object.Set("timestamp", static_cast<double>(timestamp));
  object.Set("metadata", VariantToJs(env, Child(commit, 0).get()));
  object.Set("contents", ChecksumAt(commit, 6));
  object.Set("metadataChecksum", ChecksumAt(commit, 7));
  GStringPtr content(ostree_commit_get_content_checksum(commit));
  if (content) object.Set("contentChecksum", content.get());
  return object;
}

void ValidateObject(OstreeObjectType type, GVariant* variant) {
  GError* error = nullptr;
  bool valid = false;
  if (type == OSTREE_OBJECT_TYPE_COMMIT) {
    valid = ostree_validate_structureof_commit(variant, &error) != FALSE;
  } else if (type == OSTREE_OBJECT_TYPE_DIR_TREE) {
    valid = ostree_validate_structureof_dirtree(variant, &error) != FALSE;
  } else {
    valid = ostree_validate_structureof_dirmeta(variant, &error) != FALSE;
  }
  if (valid) return;
  const std::string problem = error != nullptr ? error->message : "not well formed";
  g_clear_error(&error);
  throw NativeError(
      "ERR_INVALID_ARG_VALUE",
      std::string("Not a valid ") + ostree_object_type_to_string(type) + " object: " + problem);
}

Napi::Value ObjectToJs(Napi::Env env, OstreeObjectType type, GVariant* variant) {
  if (type == OSTREE_OBJECT_TYPE_COMMIT) return CommitToJs(env, variant);
  if (type == OSTREE_OBJECT_TYPE_DIR_TREE) return DirtreeToJs(env, variant);
  return DirmetaToJs(env, variant);
}

void InitObjects(Napi::Env env, Napi::Object exports) {
  exports.Set("parseObject", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                const OstreeObjectType type = CheckedMetadataType(info[0], "type");
                const SharedBytes bytes = CheckedBytes(info[1], "bytes");
                try {
                  const VariantPtr variant =
                      VariantPtr::Sink(g_variant_new_from_bytes(TypeOf(type), bytes.get(), FALSE));
                  ValidateObject(type, variant.get());
                  return ObjectToJs(info.Env(), type, variant.get());
                } catch (const NativeError& error) {
                  throw error.ToJs(info.Env());
                }
              }));
}

Napi::Value Repo::LoadObject(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedMetadataType(info[0], "type");
  std::string checksum = CheckedChecksum(info[1], "checksum");
  return Start(info, [state = state(), type, checksum = std::move(checksum)](JobContext&) -> ToJs {
    auto repo = state->Use();
    RequireObject(repo.get(), type, checksum);
    VariantPtr variant = LoadVariant(repo.get(), type, checksum);
    // Not checked when it was read: this is a file that anything may have changed.
    ValidateObject(type, variant.get());
    return [type, variant](Napi::Env env) { return ObjectToJs(env, type, variant.get()); };
  });
}

Napi::Value Repo::LoadFileObject(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  return Start(info, [state = state(), checksum = std::move(checksum)](JobContext& job) -> ToJs {
    auto repo = state->Use();
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_FILE, checksum);
    TreeEntry entry = EntryReader(repo.get(), job.cancellable(), true).File("", checksum);
    return [entry = std::move(entry)](Napi::Env env) { return TreeEntryToJs(env, entry); };
  });
}

Napi::Value Repo::ObjectSize(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedObjectType(info[0], "type");
  std::string checksum = CheckedChecksum(info[1], "checksum");
  return Start(info, [state = state(), type, checksum = std::move(checksum)](JobContext& job) {
    auto repo = state->Use();
    RequireObject(repo.get(), type, checksum);
    guint64 size = 0;
    GError* error = nullptr;
    if (!ostree_repo_query_object_storage_size(repo.get(), type, checksum.c_str(), &size,
                                               job.cancellable(), &error)) {
      throw FromGError(error, "Looking at an object").Detail("ref", checksum);
    }
    return [size](Napi::Env env) -> Napi::Value {
      return Napi::Number::New(env, static_cast<double>(size));
    };
  });
}

Napi::Value Repo::DeleteObject(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedObjectType(info[0], "type");
  std::string checksum = CheckedChecksum(info[1], "checksum");
  return StartAlone(info, [state = state(), type, checksum = std::move(checksum)](JobContext& job) {
    auto repo = state->Use();
    RequireObject(repo.get(), type, checksum);
    GError* error = nullptr;
    if (!ostree_repo_delete_object(repo.get(), type, checksum.c_str(), job.cancellable(), &error)) {
      throw FromGError(error, "Deleting an object").Detail("ref", checksum);
    }
    return Undefined();
  });
}

Napi::Value Repo::ImportObject(const Napi::CallbackInfo& info) {
  auto source = StateOf(info.Env(), info[0], "source");
  const OstreeObjectType type = CheckedContentType(info[1], "type");
  std::string checksum = CheckedChecksum(info[2], "checksum");
  const bool trusted = Arguments(info).Bool(3, "trusted");
  return Start(info, [state = state(), source, type, checksum = std::move(checksum),
                      trusted](JobContext& job) {
    const TransactionShare share = state->RequireTransaction();
    auto from = source->Use();
    RequireObject(from.get(), type, checksum);
    GError* error = nullptr;
    if (!ostree_repo_import_object_from_with_trust(share.repo(), from.get(), type, checksum.c_str(),
                                                   trusted, job.cancellable(), &error)) {
      throw FromGError(error, "Importing an object").Detail("ref", checksum);
    }
    return Undefined();
  });
}

Napi::Value Repo::CommitSizes(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  return Start(info, [state = state(), rev = std::move(rev)](JobContext&) -> ToJs {
    auto repo = state->Use();
    VariantPtr commit =
        LoadVariant(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, ResolveCommit(repo.get(), rev));
    GPtrArrayPtr entries;
    GError* error = nullptr;
    if (!ostree_commit_get_object_sizes(commit.get(), Out(entries), &error)) {
      // Most commits have none.
      if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(&error);
        return [](Napi::Env env) { return env.Null(); };
      }
      throw FromGError(error, "Reading the sizes of objects").Detail("ref", rev);
    }
    auto names = std::make_shared<std::string>();
    std::vector<double> sizes;
    for (guint i = 0; i < entries->len; ++i) {
      const auto* entry = static_cast<const OstreeCommitSizesEntry*>(entries->pdata[i]);
      if (i > 0) names->push_back('\0');
      names->append(entry->checksum).append(".");
      names->append(ostree_object_type_to_string(entry->objtype));
      sizes.push_back(static_cast<double>(entry->unpacked));
      sizes.push_back(static_cast<double>(entry->archived));
    }
    return [names, sizes = std::move(sizes)](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("names", *names);
      Napi::Float64Array column = Napi::Float64Array::New(env, sizes.size());
      std::copy(sizes.begin(), sizes.end(), column.Data());
      object.Set("sizes", column);
      return object;
    };
  });
}

}  // namespace apt_ostree
