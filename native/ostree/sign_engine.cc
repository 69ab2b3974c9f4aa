#include "ostree/sign_engine.h"

#include <cstdlib>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

std::vector<std::string> CheckedKeys(const Options& options, const char* key,
                                     const std::string& name, Napi::Env env) {
  std::vector<std::string> keys = options.Strings(key);
  for (const std::string& text : keys) {
    if (text.empty()) throw InvalidArgumentValue(env, name, "has an empty key");
  }
  return keys;
}

SignPtr MakeEngine(const std::string& name) {
  for (const std::string& known : SignEngines()) {
    if (known != name) continue;
    GError* error = nullptr;
    auto engine = SignPtr::Take(ostree_sign_get_by_name(name.c_str(), &error));
    if (engine) return engine;
    g_clear_error(&error);
  }
  throw NativeError("ERR_OSTREE_NOT_SUPPORTED", "This libostree has no signature engine " + name);
}

void AddPublicKey(OstreeSign* engine, const std::string& key) {
  const VariantPtr variant = VariantPtr::Sink(g_variant_new_string(key.c_str()));
  GError* error = nullptr;
  if (!ostree_sign_add_pk(engine, variant.get(), &error)) {
    throw FromGError(error, "Taking a public key");
  }
}

void LoadPublicKeys(OstreeSign* engine, const char* where, const std::string& path) {
  GVariantDict dict;
  g_variant_dict_init(&dict, nullptr);
  g_variant_dict_insert(&dict, where, "s", path.c_str());
  const VariantPtr options = VariantPtr::Sink(g_variant_dict_end(&dict));
  GError* error = nullptr;
  if (!ostree_sign_load_pk(engine, options.get(), &error)) {
    throw FromGError(error, "Loading public keys").Detail("path", path);
  }
}

Napi::Value TextToJs(Napi::Env env, const std::string& text) {
  return Napi::String::New(env, text);
}

}  // namespace

SignOptions CheckedSigner(Napi::Env env, Napi::Value value, const std::string& name) {
  const Options options(env, value, name);
  SignOptions result;
  result.engine = options.String("engine");
  result.secret_keys = CheckedKeys(options, "secretKeys", name, env);
  if (result.secret_keys.empty()) throw InvalidArgumentValue(env, name, "has no secret key");
  return result;
}

SignOptions CheckedVerifier(Napi::Env env, Napi::Value value, const std::string& name) {
  const Options options(env, value, name);
  SignOptions result;
  result.engine = options.String("engine");
  result.public_keys = CheckedKeys(options, "publicKeys", name, env);
  result.keys_file = options.OptionalPath("keysFile");
  result.keys_directory = options.OptionalPath("keysDirectory");
  if (result.public_keys.empty() && !result.keys_file && !result.keys_directory) {
    throw InvalidArgumentValue(env, name, "has no public key");
  }
  return result;
}

std::vector<std::string> SignEngines() {
  std::vector<std::string> names;
  const GPtrArrayPtr engines(ostree_sign_get_all());
  for (guint i = 0; engines && i < engines->len; ++i) {
    const char* name = ostree_sign_get_name(static_cast<OstreeSign*>(engines->pdata[i]));
    if (name == nullptr) continue;
    // It is for tests, and refuses to work otherwise.
    if (std::string(name) == "dummy" && std::getenv("OSTREE_DUMMY_SIGN_ENABLED") == nullptr) {
      continue;
    }
    names.emplace_back(name);
  }
  return names;
}

void RequireSignEngine(const std::string& name) { MakeEngine(name); }

SignPtr MakeSigner(const SignOptions& options) {
  SignPtr engine = MakeEngine(options.engine);
  const VariantPtr key =
      VariantPtr::Sink(g_variant_new_string(options.secret_keys.front().c_str()));
  GError* error = nullptr;
  if (!ostree_sign_set_sk(engine.get(), key.get(), &error)) {
    throw FromGError(error, "Taking a secret key");
  }
  return engine;
}

SignPtr MakeVerifier(const SignOptions& options) {
  SignPtr engine = MakeEngine(options.engine);
  for (const std::string& key : options.public_keys) AddPublicKey(engine.get(), key);
  if (options.keys_file) LoadPublicKeys(engine.get(), "filename", *options.keys_file);
  if (options.keys_directory) LoadPublicKeys(engine.get(), "basedir", *options.keys_directory);
  return engine;
}

namespace {

// One signature for each secret key.
Napi::Value SignData(const Napi::CallbackInfo& info) {
  SharedBytes data = CheckedBytes(info[0], "data");
  SignOptions signer = CheckedSigner(info.Env(), info[1], "signer");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
      [data = std::move(data), signer = std::move(signer)](JobContext& job) -> ToJs {
        std::vector<SharedBytes> signatures;
        for (const std::string& key : signer.secret_keys) {
          SignOptions one;
          one.engine = signer.engine;
          one.secret_keys = {key};
          const SignPtr engine = MakeSigner(one);
          GBytes* signature = nullptr;
          GError* error = nullptr;
          if (!ostree_sign_data(engine.get(), data.get(), &signature, job.cancellable(), &error)) {
            throw FromGError(error, "Signing data");
          }
          signatures.push_back(TakeBytes(signature));
        }
        return [signatures = std::move(signatures)](Napi::Env env) -> Napi::Value {
          Napi::Array list = Napi::Array::New(env, signatures.size());
          for (size_t i = 0; i < signatures.size(); ++i) {
            list.Set(static_cast<uint32_t>(i), BytesToJs(env, signatures[i].get()));
          }
          return list;
        };
      });
}

// The signatures: a list of bytes each, or the bytes of a summary.sig with those of all engines.
struct GivenSignatures {
  std::vector<SharedBytes> list;
  SharedBytes summary;

  // Of type `aay`; libostree takes anything else for a broken signature.
  VariantPtr For(OstreeSign* engine) const {
    std::vector<GVariant*> children;
    if (!summary) {
      for (const SharedBytes& bytes : list) {
        children.push_back(g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes.get(), TRUE));
      }
      return VariantPtr::Sink(
          g_variant_new_array(G_VARIANT_TYPE_BYTESTRING, children.data(), children.size()));
    }
    const VariantPtr all =
        VariantPtr::Sink(g_variant_new_from_bytes(G_VARIANT_TYPE_VARDICT, summary.get(), FALSE));
    if (!g_variant_is_normal_form(all.get())) {
      throw NativeError("ERR_OSTREE_FAILED", "These are no signatures of a summary");
    }
    VariantPtr found = VariantPtr::Take(
        g_variant_lookup_value(all.get(), ostree_sign_metadata_key(engine), G_VARIANT_TYPE("aay")));
    if (found) return found;
    return VariantPtr::Sink(g_variant_new_array(G_VARIANT_TYPE_BYTESTRING, nullptr, 0));
  }
};

Napi::Value VerifyData(const Napi::CallbackInfo& info) {
  SharedBytes data = CheckedBytes(info[0], "data");
  GivenSignatures signatures;
  if (info[1].IsArray()) {
    Napi::Array list = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      signatures.list.push_back(CheckedBytes(list.Get(i), "signatures"));
    }
  } else {
    signatures.summary = CheckedBytes(info[1], "signatures");
  }
  SignOptions verifier = CheckedVerifier(info.Env(), info[2], "verifier");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
      [data = std::move(data), signatures = std::move(signatures),
       verifier = std::move(verifier)](JobContext&) -> ToJs {
        const SignPtr engine = MakeVerifier(verifier);
        const VariantPtr list = signatures.For(engine.get());
        if (g_variant_n_children(list.get()) == 0) {
          throw NativeError("ERR_OSTREE_FAILED",
                            "There is no signature of the engine " + verifier.engine);
        }
        GStringPtr message;
        GError* error = nullptr;
        if (!ostree_sign_data_verify(engine.get(), data.get(), list.get(), Out(message), &error)) {
          throw FromGError(error, "Verifying data");
        }
        return [text = std::string(message ? message.get() : "")](Napi::Env env) {
          return TextToJs(env, text);
        };
      });
}

}  // namespace

void InitSignEngines(Napi::Env env, Napi::Object exports) {
  exports.Set("signData", Napi::Function::New(env, SignData));
  exports.Set("signVerifyData", Napi::Function::New(env, VerifyData));
  exports.Set("signEngines", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                return StringsToJs(info.Env(), SignEngines());
              }));
}

Napi::Value Repo::SignCommit(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  SignOptions signer = CheckedSigner(info.Env(), info[1], "signer");
  return StartAlone(info, [state = state(), checksum = std::move(checksum),
                           signer = std::move(signer)](JobContext& job) mutable {
    auto repo = state->Use();
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
    LoadDetached(repo.get(), checksum, job.cancellable());
    for (const std::string& key : signer.secret_keys) {
      SignOptions one;
      one.engine = signer.engine;
      one.secret_keys = {key};
      const SignPtr engine = MakeSigner(one);
      GError* error = nullptr;
      if (!ostree_sign_commit(engine.get(), repo.get(), checksum.c_str(), job.cancellable(),
                              &error)) {
        throw FromGError(error, "Signing a commit").Detail("ref", checksum);
      }
    }
    return Undefined();
  });
}

Napi::Value Repo::SignVerifyCommit(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  SignOptions verifier = CheckedVerifier(info.Env(), info[1], "verifier");
  return Start(info,
               [state = state(), checksum = std::move(checksum),
                verifier = std::move(verifier)](JobContext& job) -> ToJs {
                 auto repo = state->Use();
                 RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
                 LoadDetached(repo.get(), checksum, job.cancellable());
                 const SignPtr engine = MakeVerifier(verifier);
                 GStringPtr message;
                 GError* error = nullptr;
                 if (!ostree_sign_commit_verify(engine.get(), repo.get(), checksum.c_str(),
                                                Out(message), job.cancellable(), &error)) {
                   throw FromGError(error, "Verifying a commit").Detail("ref", checksum);
                 }
                 return [text = std::string(message ? message.get() : "")](Napi::Env env) {
                   return TextToJs(env, text);
                 };
               });
}

Napi::Value Repo::SignDeleteSignatures(const Napi::CallbackInfo& info) {
  std::string checksum = CheckedChecksum(info[0], "checksum");
  SignOptions verifier = CheckedVerifier(info.Env(), info[1], "verifier");
  return StartAlone(
      info,
      [state = state(), checksum = std::move(checksum),
       verifier = std::move(verifier)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
        const SignPtr engine = MakeVerifier(verifier);
        const VariantPtr commit = LoadVariant(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
        const VariantPtr metadata = LoadDetached(repo.get(), checksum, job.cancellable());
        GError* error = nullptr;
        const SharedBytes bytes = TakeBytes(g_variant_get_data_as_bytes(commit.get()));
        const char* key = ostree_sign_metadata_key(engine.get());
        VariantPtr list;
        if (metadata) {
          list =
              VariantPtr::Take(g_variant_lookup_value(metadata.get(), key, G_VARIANT_TYPE("aay")));
        }
        const gsize count = list ? g_variant_n_children(list.get()) : 0;
        std::vector<VariantPtr> kept;
        for (gsize i = 0; i < count; ++i) {
          VariantPtr signature = VariantPtr::Take(g_variant_get_child_value(list.get(), i));
          GVariant* raw = signature.get();
          const VariantPtr one =
              VariantPtr::Sink(g_variant_new_array(G_VARIANT_TYPE_BYTESTRING, &raw, 1));
          if (!ostree_sign_data_verify(engine.get(), bytes.get(), one.get(), nullptr, &error)) {
            g_clear_error(&error);
            kept.push_back(std::move(signature));
          }
        }
        const size_t removed = count - kept.size();
        if (removed != 0) {
          GVariantDict dict;
          g_variant_dict_init(&dict, metadata.get());
          g_variant_dict_remove(&dict, key);
          if (!kept.empty()) {
            std::vector<GVariant*> raw;
            for (const VariantPtr& signature : kept) raw.push_back(signature.get());
            g_variant_dict_insert_value(
                &dict, key, g_variant_new_array(G_VARIANT_TYPE_BYTESTRING, raw.data(), raw.size()));
          }
          const VariantPtr changed = VariantPtr::Sink(g_variant_dict_end(&dict));
          if (!ostree_repo_write_commit_detached_metadata(
                  repo.get(), checksum.c_str(),
                  g_variant_n_children(changed.get()) == 0 ? nullptr : changed.get(),
                  job.cancellable(), &error)) {
            throw FromGError(error, "Writing detached metadata").Detail("ref", checksum);
          }
        }
        return [removed](Napi::Env env) -> Napi::Value {
          return Napi::Number::New(env, static_cast<double>(removed));
        };
      });
}

}  // namespace apt_ostree
