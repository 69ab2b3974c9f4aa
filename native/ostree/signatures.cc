// Repo: detached metadata, GPG signatures of commits and data, and the policy of a remote.
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "core/variant.h"
#include "ostree/gpg.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

constexpr const char* kGpgSignatures = "ostree.gpgsigs";

std::string CheckedKeyId(Napi::Value value, const std::string& name) {
  std::string id = CheckedString(value, name);
  // gpg would take a leading dash for an option.
  if (id.empty() || id[0] == '-') throw InvalidArgumentValue(value.Env(), name, "is no key");
  return id;
}

std::vector<std::string> CheckedKeyIds(Napi::Value value, const std::string& name) {
  std::vector<std::string> ids = CheckedStrings(value, name);
  if (ids.empty()) throw InvalidArgumentValue(value.Env(), name, "must not be empty");
  for (uint32_t i = 0; i < ids.size(); ++i) CheckedKeyId(value.As<Napi::Array>().Get(i), name);
  return ids;
}

const char* OrNull(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

GObjectPtr<GFile> FileOrNull(const std::optional<std::string>& path) {
  return GObjectPtr<GFile>::Take(path ? g_file_new_for_path(path->c_str()) : nullptr);
}

void WriteDetachedMetadata(OstreeRepo* repo, const std::string& checksum, GVariant* metadata,
                           JobContext& job) {
  GError* error = nullptr;
  if (!ostree_repo_write_commit_detached_metadata(repo, checksum.c_str(), metadata,
                                                  job.cancellable(), &error)) {
    throw FromGError(error, "Writing detached metadata").Detail("ref", checksum);
  }
}

SharedBytes CommitBytes(OstreeRepo* repo, const std::string& checksum) {
  RequireObject(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum);
  VariantPtr commit;
  GError* error = nullptr;
  if (!ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(), commit.out(),
                                &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", checksum);
  }
  return TakeBytes(g_variant_get_data_as_bytes(commit.get()));
}

// Whose keys count: those of a remote, or of a directory and a file.
struct Keyring {
  std::optional<std::string> remote;
  std::optional<std::string> directory;
  std::optional<std::string> file;
};

// libostree would wait for its writer, and could not be stopped.
void RefuseFifo(const std::optional<std::string>& path) {
  struct stat info;
  if (path && stat(path->c_str(), &info) == 0 && S_ISFIFO(info.st_mode)) {
    throw FromErrno(EINVAL, "Reading a keyring", *path);
  }
}

Keyring CheckedKeyring(Napi::Env env, Napi::Value value) {
  const Options options(env, value, "options");
  Keyring keyring;
  if (options.Has("remote")) keyring.remote = CheckedRemoteName(options.Raw("remote"), "remote");
  keyring.directory = options.OptionalPath("keyringDirectory");
  keyring.file = options.OptionalPath("keyring");
  return keyring;
}

ToJs SignaturesResult(OstreeGpgVerifyResult* result) {
  return [signatures = ReadGpgResult(result)](Napi::Env env) {
    return GpgSignaturesToJs(env, signatures);
  };
}

}  // namespace

Napi::Value Repo::ReadDetachedMetadata(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  return Start(info, [state = state(), checksum = std::move(checksum)](JobContext& job) -> ToJs {
    VariantPtr metadata = LoadDetached(state->Use().get(), checksum, job.cancellable());
    return [metadata](Napi::Env env) -> Napi::Value {
      // Removed metadata stay as an empty file.
      if (!metadata || g_variant_n_children(metadata.get()) == 0) return env.Null();
      return VariantToJs(env, metadata.get());
    };
  });
}

Napi::Value Repo::WriteDetachedMetadata(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  VariantPtr metadata;
  if (!info[1].IsNull()) metadata = VardictFromJs(info[1], "metadata");
  return StartAlone(info,
                    [state = state(), checksum = std::move(checksum), metadata](JobContext& job) {
                      auto repo = state->Use();
                      RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
                      apt_ostree::WriteDetachedMetadata(repo.get(), checksum, metadata.get(), job);
                      return Undefined();
                    });
}

Napi::Value Repo::GpgSignCommit(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  std::string key = CheckedKeyId(info[1], "key");
  std::optional<std::string> home = Arguments(info).OptionalString(2, "gpgHome");
  return StartAlone(info, [state = state(), checksum = std::move(checksum), key = std::move(key),
                           home = std::move(home)](JobContext& job) {
    auto repo = state->Use();
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
    LoadDetached(repo.get(), checksum, job.cancellable());
    GError* error = nullptr;
    if (!ostree_repo_sign_commit(repo.get(), checksum.c_str(), key.c_str(), OrNull(home),
                                 job.cancellable(), &error)) {
      throw FromGError(error, "Signing a commit").Detail("ref", checksum);
    }
    return Undefined();
  });
}

Napi::Value Repo::GpgAppendSignature(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  SharedBytes signature = CheckedBytes(info[1], "signature");
  return StartAlone(info, [state = state(), checksum = std::move(checksum),
                           signature = std::move(signature)](JobContext& job) {
    auto repo = state->Use();
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
    LoadDetached(repo.get(), checksum, job.cancellable());
    GError* error = nullptr;
    if (!ostree_repo_append_gpg_signature(repo.get(), checksum.c_str(), signature.get(),
                                          job.cancellable(), &error)) {
      throw FromGError(error, "Adding a signature").Detail("ref", checksum);
    }
    return Undefined();
  });
}

// As `ostree gpg-sign --delete`, each signature by itself: one that cannot be checked does not
// shift the others.
Napi::Value Repo::GpgDeleteSignatures(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  std::vector<std::string> ids = CheckedKeyIds(info[1], "keys");
  return StartAlone(
      info,
      [state = state(), checksum = std::move(checksum),
       ids = std::move(ids)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const SharedBytes commit = CommitBytes(repo.get(), checksum);
        const VariantPtr metadata = LoadDetached(repo.get(), checksum, job.cancellable());
        VariantPtr signatures;
        if (metadata) {
          signatures = VariantPtr::Take(
              g_variant_lookup_value(metadata.get(), kGpgSignatures, G_VARIANT_TYPE("aay")));
        }
        const gsize count = signatures ? g_variant_n_children(signatures.get()) : 0;
        std::vector<VariantPtr> kept;
        for (gsize i = 0; i < count; ++i) {
          VariantPtr signature = VariantPtr::Take(g_variant_get_child_value(signatures.get(), i));
          const SharedBytes bytes = TakeBytes(g_variant_get_data_as_bytes(signature.get()));
          GError* error = nullptr;
          auto result = GpgResultPtr::Take(
              ostree_repo_gpg_verify_data(repo.get(), nullptr, commit.get(), bytes.get(), nullptr,
                                          nullptr, job.cancellable(), &error));
          g_clear_error(&error);
          bool drop = false;
          if (result) {
            for (const GpgSignature& found : ReadGpgResult(result.get())) {
              for (const std::string& id : ids) drop = drop || found.IsBy(id);
            }
          }
          if (!drop) kept.push_back(std::move(signature));
        }
        const size_t removed = count - kept.size();
        if (removed != 0) {
          GVariantDict dict;
          g_variant_dict_init(&dict, metadata.get());
          g_variant_dict_remove(&dict, kGpgSignatures);
          if (!kept.empty()) {
            std::vector<GVariant*> raw;
            for (const VariantPtr& signature : kept) raw.push_back(signature.get());
            g_variant_dict_insert_value(
                &dict, kGpgSignatures,
                g_variant_new_array(G_VARIANT_TYPE_BYTESTRING, raw.data(), raw.size()));
          }
          const VariantPtr changed = VariantPtr::Sink(g_variant_dict_end(&dict));
          apt_ostree::WriteDetachedMetadata(
              repo.get(), checksum,
              g_variant_n_children(changed.get()) == 0 ? nullptr : changed.get(), job);
        }
        return [removed](Napi::Env env) -> Napi::Value {
          return Napi::Number::New(env, static_cast<double>(removed));
        };
      });
}

Napi::Value Repo::GpgVerifyCommit(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  Keyring keyring = CheckedKeyring(info.Env(), info[1]);
  return StartWaiting(info,
                      [state = state(), checksum = std::move(checksum),
                       keyring = std::move(keyring)](JobContext& job) -> ToJs {
                        auto repo = state->Use();
                        RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
                        LoadDetached(repo.get(), checksum, job.cancellable());
                        GError* error = nullptr;
                        RefuseFifo(keyring.file);
                        const auto directory = FileOrNull(keyring.directory);
                        const auto file = FileOrNull(keyring.file);
                        auto result = GpgResultPtr::Take(
                            keyring.remote ? ostree_repo_verify_commit_for_remote(
                                                 repo.get(), checksum.c_str(),
                                                 keyring.remote->c_str(), job.cancellable(), &error)
                                           : ostree_repo_verify_commit_ext(
                                                 repo.get(), checksum.c_str(), directory.get(),
                                                 file.get(), job.cancellable(), &error));
                        if (!result)
                          throw FromGError(error, "Verifying a commit").Detail("ref", checksum);
                        return SignaturesResult(result.get());
                      });
}

Napi::Value Repo::GpgSignData(const Napi::CallbackInfo& info) {
  SharedBytes data = CheckedBytes(info[0], "data");
  std::vector<std::string> ids = CheckedKeyIds(info[1], "keys");
  std::optional<std::string> home = Arguments(info).OptionalString(2, "gpgHome");
  return StartWaiting(
      info,
      [state = state(), data = std::move(data), ids = std::move(ids),
       home = std::move(home)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const StringVector keys(ids);
        GBytesPtr metadata;
        GError* error = nullptr;
        // The pointers are const all the way down, whatever the header says.
        if (!ostree_repo_gpg_sign_data(repo.get(), data.get(), nullptr,
                                       const_cast<const gchar**>(keys.get()), OrNull(home),
                                       Out(metadata), job.cancellable(), &error)) {
          throw FromGError(error, "Signing");
        }
        // It packs them as a summary's signatures are; what verifies data wants them as
        // they are.
        const VariantPtr dict = VariantPtr::Sink(
            g_variant_new_from_bytes(G_VARIANT_TYPE_VARDICT, metadata.get(), FALSE));
        const VariantPtr list = VariantPtr::Take(
            g_variant_lookup_value(dict.get(), kGpgSignatures, G_VARIANT_TYPE("aay")));
        std::vector<SharedBytes> signatures;
        for (gsize i = 0; list && i < g_variant_n_children(list.get()); ++i) {
          const VariantPtr one = VariantPtr::Take(g_variant_get_child_value(list.get(), i));
          signatures.push_back(TakeBytes(g_variant_get_data_as_bytes(one.get())));
        }
        return [signatures = std::move(signatures)](Napi::Env env) -> Napi::Value {
          Napi::Array array = Napi::Array::New(env, signatures.size());
          for (size_t i = 0; i < signatures.size(); ++i) {
            array.Set(static_cast<uint32_t>(i), BytesToJs(env, signatures[i].get()));
          }
          return array;
        };
      });
}

Napi::Value Repo::GpgVerifyData(const Napi::CallbackInfo& info) {
  SharedBytes data = CheckedBytes(info[0], "data");
  SharedBytes signatures = CheckedBytes(info[1], "signatures");
  Keyring keyring = CheckedKeyring(info.Env(), info[2]);
  return StartWaiting(info,
                      [state = state(), data = std::move(data), signatures = std::move(signatures),
                       keyring = std::move(keyring)](JobContext& job) -> ToJs {
                        auto repo = state->Use();
                        GError* error = nullptr;
                        RefuseFifo(keyring.file);
                        const auto directory = FileOrNull(keyring.directory);
                        const auto file = FileOrNull(keyring.file);
                        auto result = GpgResultPtr::Take(ostree_repo_gpg_verify_data(
                            repo.get(), OrNull(keyring.remote), data.get(), signatures.get(),
                            directory.get(), file.get(), job.cancellable(), &error));
                        if (!result) throw FromGError(error, "Verifying");
                        return SignaturesResult(result.get());
                      });
}

Napi::Value Repo::Verify(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(arguments.Raw(0), "rev");
  std::string remote = CheckedRemoteName(arguments.Raw(1), "remote");
  int flags = OSTREE_REPO_VERIFY_FLAGS_NONE;
  if (!arguments.Bool(2, "gpg")) flags |= OSTREE_REPO_VERIFY_FLAGS_NO_GPG;
  if (!arguments.Bool(3, "sign")) flags |= OSTREE_REPO_VERIFY_FLAGS_NO_SIGNAPI;
  return StartWaiting(
      info,
      [state = state(), rev = std::move(rev), remote = std::move(remote),
       flags](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const std::string checksum = ResolveCommit(repo.get(), rev);
        const SharedBytes commit = CommitBytes(repo.get(), checksum);
        // A remote that does not exist must not look like a bad signature.
        gboolean ignored = FALSE;
        GError* error = nullptr;
        if (!ostree_repo_remote_get_gpg_verify(repo.get(), remote.c_str(), &ignored, &error)) {
          throw FromGError(error, "Reading a remote").Detail("remote", remote);
        }
        const VariantPtr metadata = LoadDetached(repo.get(), checksum, job.cancellable());
        const SharedBytes metadata_bytes =
            metadata ? TakeBytes(g_variant_get_data_as_bytes(metadata.get())) : SharedBytes();
        GStringPtr text;
        const bool accepted =
            ostree_repo_signature_verify_commit_data(
                repo.get(), remote.c_str(), commit.get(), metadata_bytes.get(),
                static_cast<OstreeRepoVerifyFlags>(flags), Out(text), &error) != FALSE;
        std::string message, code;
        if (accepted) {
          if (text) message = text.get();
        } else {
          const NativeError failure = FromGError(error, "Verifying a commit");
          message = failure.message();
          code = failure.code();
        }
        return [accepted, checksum, message = std::move(message),
                code = std::move(code)](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("accepted", Napi::Boolean::New(env, accepted));
          object.Set("checksum", checksum);
          object.Set("message", message);
          if (!code.empty()) object.Set("code", code);
          return object;
        };
      });
}

}  // namespace apt_ostree
