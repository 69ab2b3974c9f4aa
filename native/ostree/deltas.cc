// Repo: static deltas.
#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/delta_file.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sign_engine.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// The parameters of ostree_repo_static_delta_generate; those of another type are passed over.
VariantPtr CheckedParameters(Napi::Env env, const Options& options) {
  const auto size = [&](const char* key) {
    return static_cast<guint32>(options.Integer(key, 0, 0, UINT32_MAX));
  };
  const bool has_fallback = options.Has("minFallbackSize");
  const bool has_bsdiff = options.Has("maxBsdiffSize");
  const bool has_chunk = options.Has("maxChunkSize");
  const guint32 fallback = size("minFallbackSize"), bsdiff = size("maxBsdiffSize"),
                chunk = size("maxChunkSize");
  const bool with_bsdiff = options.Bool("bsdiff", true);
  const bool inline_parts = options.Bool("inlineParts", false);
  const std::optional<std::string> endianness = options.OptionalString("endianness");
  if (endianness && *endianness != "little" && *endianness != "big") {
    throw InvalidArgumentValue(env, "endianness", "must be 'little' or 'big'");
  }
  const std::optional<std::string> file = options.OptionalPath("file");
  std::optional<SignOptions> signer;
  if (options.Has("signer")) signer = CheckedSigner(env, options.Raw("signer"), "signer");
  GVariantDict dict;
  g_variant_dict_init(&dict, nullptr);
  if (has_fallback) g_variant_dict_insert(&dict, "min-fallback-size", "u", fallback);
  if (has_bsdiff) g_variant_dict_insert(&dict, "max-bsdiff-size", "u", bsdiff);
  if (has_chunk) g_variant_dict_insert(&dict, "max-chunk-size", "u", chunk);
  g_variant_dict_insert(&dict, "bsdiff-enabled", "b", with_bsdiff ? TRUE : FALSE);
  g_variant_dict_insert(&dict, "inline-parts", "b", inline_parts ? TRUE : FALSE);
  if (endianness) {
    g_variant_dict_insert(&dict, "endianness", "u",
                          *endianness == "little" ? G_LITTLE_ENDIAN : G_BIG_ENDIAN);
  }
  if (file) {
    g_variant_dict_insert_value(&dict, "filename", g_variant_new_bytestring(file->c_str()));
  }
  if (signer) {
    g_variant_dict_insert_value(&dict, "sign-name",
                                g_variant_new_bytestring(signer->engine.c_str()));
    g_variant_dict_insert_value(&dict, "sign-key-ids", StringsVariant(signer->secret_keys).get());
  }
  return VariantPtr::Sink(g_variant_dict_end(&dict));
}

std::vector<std::string> TakeStrings(GPtrArray* array) {
  std::vector<std::string> strings;
  for (guint i = 0; array != nullptr && i < array->len; ++i) {
    strings.emplace_back(static_cast<const char*>(array->pdata[i]));
  }
  return strings;
}

using ListCall = gboolean (*)(OstreeRepo*, GPtrArray**, GCancellable*, GError**);

Work ListWork(std::shared_ptr<RepoState> state, ListCall call) {
  return [state = std::move(state), call](JobContext& job) -> ToJs {
    auto repo = state->Use();
    GPtrArrayPtr names;
    GError* error = nullptr;
    if (!call(repo.get(), Out(names), job.cancellable(), &error)) {
      throw FromGError(error, "Listing static deltas").Detail("path", state->path());
    }
    return [list = TakeStrings(names.get())](Napi::Env env) { return StringsToJs(env, list); };
  };
}

}  // namespace

Napi::Value Repo::DeltaGenerate(const Napi::CallbackInfo& info) {
  std::optional<std::string> from = CheckedOptionalChecksum(info[0], "from");
  std::string to = CheckedChecksum(info[1], "to");
  const Options options(info.Env(), info[2], "options");
  VariantPtr parameters = CheckedParameters(info.Env(), options);
  const auto kind = options.Bool("lowLatency", false) ? OSTREE_STATIC_DELTA_GENERATE_OPT_LOWLATENCY
                                                      : OSTREE_STATIC_DELTA_GENERATE_OPT_MAJOR;
  std::optional<std::string> engine;
  if (options.Has("signer")) {
    engine = CheckedSigner(info.Env(), options.Raw("signer"), "signer").engine;
  }
  return StartAlone(info, [state = state(), from = std::move(from), to = std::move(to), parameters,
                           kind, engine = std::move(engine)](JobContext& job) {
    auto repo = state->Use();
    if (from) RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, *from);
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, to);
    SoundTrees sound(repo.get(), job.cancellable());
    if (from) sound.Commit(*from);
    sound.Commit(to);
    if (engine) RequireSignEngine(*engine);
    GError* error = nullptr;
    if (!ostree_repo_static_delta_generate(repo.get(), kind, from ? from->c_str() : nullptr,
                                           to.c_str(), nullptr, parameters.get(), job.cancellable(),
                                           &error)) {
      throw FromGError(error, "Generating a static delta").Detail("ref", to);
    }
    return Undefined();
  });
}

Napi::Value Repo::DeltaList(const Napi::CallbackInfo& info) {
  return Start(info, ListWork(state(), ostree_repo_list_static_delta_names));
}

Napi::Value Repo::DeltaIndexes(const Napi::CallbackInfo& info) {
  return Start(info, ListWork(state(), ostree_repo_list_static_delta_indexes));
}

Napi::Value Repo::DeltaReindex(const Napi::CallbackInfo& info) {
  std::optional<std::string> to = CheckedOptionalChecksum(info[0], "to");
  return StartAlone(info, [state = state(), to = std::move(to)](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    GError* error = nullptr;
    if (!ostree_repo_static_delta_reindex(repo.get(), OSTREE_STATIC_DELTA_INDEX_FLAGS_NONE,
                                          to ? to->c_str() : nullptr, job.cancellable(), &error)) {
      throw FromGError(error, "Indexing static deltas").Detail("path", state->path());
    }
    return Undefined();
  });
}

Napi::Value Repo::DeltaApply(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  const Options options(info.Env(), info[1], "options");
  const bool skip_validation = options.Bool("skipValidation", false);
  std::optional<SignOptions> verifier;
  if (options.Has("verifier")) {
    verifier = CheckedVerifier(info.Env(), options.Raw("verifier"), "verifier");
  }
  return StartAlone(
      info,
      [state = state(), path = std::move(path), skip_validation,
       verifier = std::move(verifier)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const DeltaHead head = ReadDeltaHead(path, job.cancellable());
        if (head.from && ostree_repo_get_mode(repo.get()) == OSTREE_REPO_MODE_ARCHIVE) {
          // libostree ends the process when a part reads a file of the older commit.
          throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                            "An archive repository can only take static deltas from nothing")
              .Detail("path", path);
        }
        SignPtr engine;
        if (verifier) {
          // libostree passes over the keys where there is no signature to check with them.
          if (!head.is_signed) {
            throw NativeError("ERR_OSTREE_FAILED", "The static delta is not signed")
                .Detail("path", path);
          }
          engine = MakeVerifier(*verifier);
        }
        auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
        state->BeginTransaction(job.cancellable());
        GError* error = nullptr;
        if (!ostree_repo_static_delta_execute_offline_with_signature(
                repo.get(), file.get(), engine.get(), skip_validation, job.cancellable(), &error)) {
          NativeError failure = FromGError(error, "Applying a static delta").Detail("path", path);
          state->AbortTransaction();
          throw failure;
        }
        state->CommitTransaction(job.cancellable());
        return [to = head.to](Napi::Env env) -> Napi::Value { return Napi::String::New(env, to); };
      });
}

Napi::Value Repo::DeltaVerify(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  SignOptions verifier = CheckedVerifier(info.Env(), info[1], "verifier");
  return Start(info,
               [state = state(), path = std::move(path),
                verifier = std::move(verifier)](JobContext& job) -> ToJs {
                 auto repo = state->Use();
                 const std::string file = DeltaHeadFile(path);
                 const SignPtr engine = MakeVerifier(verifier);
                 if (!ReadDeltaHead(file, job.cancellable()).is_signed) {
                   throw NativeError("ERR_OSTREE_FAILED", "The static delta is not signed")
                       .Detail("path", path);
                 }
                 GStringPtr message;
                 GError* error = nullptr;
                 // A name with a slash is taken for a path.
                 if (!ostree_repo_static_delta_verify_signature(
                         repo.get(), file.c_str(), engine.get(), Out(message), &error)) {
                   throw FromGError(error, "Verifying a static delta").Detail("path", path);
                 }
                 return [text = std::string(message ? message.get() : "")](
                            Napi::Env env) -> Napi::Value { return Napi::String::New(env, text); };
               });
}

Napi::Value Repo::DeltaShow(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Start(info, [state = state(), path = std::move(path)](JobContext& job) -> ToJs {
    state->Use();
    return [head = ReadDeltaHead(path, job.cancellable())](Napi::Env env) {
      return DeltaHeadToJs(env, head);
    };
  });
}

}  // namespace apt_ostree
