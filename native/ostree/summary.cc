// Repo: the summary, the file that tells what a repository offers.
#include "ostree/summary.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "core/variant.h"
#include "ostree/features.h"
#include "ostree/gpg.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/pull_options.h"
#include "ostree/reachable.h"
#include "ostree/repo.h"
#include "ostree/sign_engine.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// Refs as columns: thousands of them are common, and the JavaScript thread must not stop for them.
struct RefColumns {
  std::string names;
  std::string checksums;
  std::string versions;
  // Size of the commit object, time of the commit in seconds or 0.
  std::vector<double> numbers;
};

struct RefMap {
  std::string collection_id;
  RefColumns refs;
};

void Join(std::string* column, bool first, const std::string& text) {
  if (!first) column->push_back('\0');
  column->append(text);
}

RefColumns ReadRefs(GVariant* list) {
  RefColumns columns;
  const gsize count = g_variant_n_children(list);
  bool first = true;
  for (gsize i = 0; i < count; ++i) {
    const char* name = nullptr;
    guint64 size = 0;
    GVariant *digest_raw = nullptr, *metadata_raw = nullptr;
    g_variant_get_child(list, i, "(&s(t@ay@a{sv}))", &name, &size, &digest_raw, &metadata_raw);
    const VariantPtr digest = VariantPtr::Take(digest_raw);
    const VariantPtr metadata = VariantPtr::Take(metadata_raw);
    // Of another length, and libostree would abort on it.
    if (g_variant_n_children(digest.get()) != OSTREE_SHA256_DIGEST_LEN) continue;
    const GStringPtr checksum(ostree_checksum_from_bytes_v(digest.get()));
    guint64 timestamp = 0;
    const char* version = "";
    (void)g_variant_lookup(metadata.get(), "ostree.commit.timestamp", "t", &timestamp);
    (void)g_variant_lookup(metadata.get(), "ostree.commit.version", "&s", &version);
    Join(&columns.names, first, name);
    Join(&columns.checksums, first, checksum.get());
    Join(&columns.versions, first, version);
    columns.numbers.push_back(static_cast<double>(GUINT64_FROM_BE(size)));
    columns.numbers.push_back(
        static_cast<double>(static_cast<int64_t>(GUINT64_FROM_BE(timestamp))));
    first = false;
  }
  return columns;
}

Napi::Value ColumnsToJs(Napi::Env env, const RefColumns& columns) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("names", columns.names);
  object.Set("checksums", columns.checksums);
  object.Set("versions", columns.versions);
  auto numbers = Napi::Float64Array::New(env, columns.numbers.size());
  std::copy(columns.numbers.begin(), columns.numbers.end(), numbers.Data());
  object.Set("numbers", numbers);
  return object;
}

// What is not shown as a member of its own: deltas and collections can be long.
bool IsListed(const std::string& key) {
  return key == "ostree.static-deltas" || key == "ostree.summary.collection-map" ||
         key == "ostree.summary.last-modified" || key == "ostree.summary.expires";
}

double Seconds(GVariant* metadata, const char* key) {
  guint64 value = 0;
  (void)g_variant_lookup(metadata, key, "t", &value);
  return static_cast<double>(GUINT64_FROM_BE(value));
}

ToJs ParseSummaryBytes(GBytes* bytes) {
  const VariantPtr summary =
      VariantPtr::Sink(g_variant_new_from_bytes(OSTREE_SUMMARY_GVARIANT_FORMAT, bytes, FALSE));
  // No bytes at all would stand for a tuple of defaults.
  if (g_bytes_get_size(bytes) == 0 || !g_variant_is_normal_form(summary.get())) {
    throw NativeError("ERR_INVALID_ARG_VALUE", "This is no summary, or a damaged one");
  }
  const VariantPtr list = VariantPtr::Take(g_variant_get_child_value(summary.get(), 0));
  const VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(summary.get(), 1));
  RefColumns refs = ReadRefs(list.get());
  std::vector<RefMap> collections;
  const VariantPtr map = VariantPtr::Take(g_variant_lookup_value(
      metadata.get(), "ostree.summary.collection-map", G_VARIANT_TYPE("a{sa(s(taya{sv}))}")));
  for (gsize i = 0; map && i < g_variant_n_children(map.get()); ++i) {
    const char* id = nullptr;
    GVariant* entry = nullptr;
    g_variant_get_child(map.get(), i, "{&s@a(s(taya{sv}))}", &id, &entry);
    const VariantPtr owned = VariantPtr::Take(entry);
    collections.push_back({id, ReadRefs(owned.get())});
  }
  std::string deltas;
  const VariantPtr delta_map = VariantPtr::Take(
      g_variant_lookup_value(metadata.get(), "ostree.static-deltas", G_VARIANT_TYPE_VARDICT));
  for (gsize i = 0; delta_map && i < g_variant_n_children(delta_map.get()); ++i) {
    const char* name = nullptr;
    g_variant_get_child(delta_map.get(), i, "{&sv}", &name, nullptr);
    Join(&deltas, i == 0, name);
  }
  GVariantDict rest;
  g_variant_dict_init(&rest, nullptr);
  for (gsize i = 0; i < g_variant_n_children(metadata.get()); ++i) {
    const char* key = nullptr;
    GVariant* value = nullptr;
    g_variant_get_child(metadata.get(), i, "{&sv}", &key, &value);
    const VariantPtr owned = VariantPtr::Take(value);
    if (!IsListed(key)) g_variant_dict_insert_value(&rest, key, owned.get());
  }
  const VariantPtr others = VariantPtr::Sink(g_variant_dict_end(&rest));
  const double modified = Seconds(metadata.get(), "ostree.summary.last-modified");
  const double expires = Seconds(metadata.get(), "ostree.summary.expires");
  return [refs = std::move(refs), collections = std::move(collections), deltas = std::move(deltas),
          others, modified, expires](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("refs", ColumnsToJs(env, refs));
    Napi::Array maps = Napi::Array::New(env, collections.size());
    for (size_t i = 0; i < collections.size(); ++i) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("collectionId", collections[i].collection_id);
      entry.Set("refs", ColumnsToJs(env, collections[i].refs));
      maps.Set(static_cast<uint32_t>(i), entry);
    }
    object.Set("collections", maps);
    object.Set("deltas", deltas);
    object.Set("metadata", VariantToJs(env, others.get()));
    if (modified != 0) object.Set("lastModified", modified);
    if (expires != 0) object.Set("expires", expires);
    return object;
  };
}

// What the fetch of a summary takes of the options of a pull.
PullOptions CheckedFetchOptions(Napi::Env env, Napi::Value value) {
  PullOptions options = CheckedPullOptions(value, "options");
  for (const auto& entry : options.entries) {
    const std::string& key = entry.first;
    if (key != "override-url" && key != "http-headers" && key != "append-user-agent" &&
        key != "n-network-retries") {
      throw InvalidArgumentValue(env, "options", "has a member that is not for summaries");
    }
  }
  return options;
}

// A summary tells of each ref's commit, whatever is in its place: those who pull a damaged one see
// that, and the others are there for them meanwhile.
void RequireFormOfRefs(OstreeRepo* repo, GCancellable* cancellable) {
  for (const RefCommit& ref : ListRefCommits(repo, true, cancellable)) {
    if (!IsChecksum(ref.checksum)) continue;
    VariantPtr commit;
    GError* error = nullptr;
    if (!ostree_repo_load_variant_if_exists(repo, OSTREE_OBJECT_TYPE_COMMIT, ref.checksum.c_str(),
                                            commit.out(), &error)) {
      throw FromGError(error, "Reading a commit").Detail("ref", ref.checksum);
    }
    if (commit) RequireForm(commit.get(), OSTREE_OBJECT_TYPE_COMMIT, ref.checksum);
  }
}

}  // namespace

void InitSummary(Napi::Env env, Napi::Object exports) {
  exports.Set("parseSummary", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                SharedBytes bytes = CheckedBytes(info[0], "bytes");
                return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr,
                                  info.Env().Undefined(), [bytes = std::move(bytes)](JobContext&) {
                                    return ParseSummaryBytes(bytes.get());
                                  });
              }));
}

Napi::Value Repo::SummaryRegenerate(const Napi::CallbackInfo& info) {
  VariantPtr metadata = VardictFromJs(info[0], "metadata");
  return StartAlone(info, [state = state(), metadata](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    RequireFormOfRefs(repo.get(), job.cancellable());
    GError* error = nullptr;
    if (!ostree_repo_regenerate_summary(repo.get(), metadata.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Writing the summary").Detail("path", state->path());
    }
    return Undefined();
  });
}

Napi::Value Repo::RegenerateMetadata(const Napi::CallbackInfo& info) {
  VariantPtr metadata = VardictFromJs(info[0], "metadata");
  const Options options(info.Env(), info[1], "options");
  GVariantDict dict;
  std::vector<std::string> gpg_keys = options.Strings("gpgKeys");
  std::optional<std::string> gpg_home = options.OptionalPath("gpgHome");
  std::optional<SignOptions> signer;
  if (options.Has("signer")) signer = CheckedSigner(info.Env(), options.Raw("signer"), "signer");
  g_variant_dict_init(&dict, nullptr);
  if (!gpg_keys.empty()) {
    g_variant_dict_insert_value(&dict, "gpg-key-ids", StringsVariant(gpg_keys).get());
  }
  if (gpg_home) g_variant_dict_insert(&dict, "gpg-homedir", "s", gpg_home->c_str());
  if (signer) {
    GVariantBuilder keys;
    g_variant_builder_init(&keys, G_VARIANT_TYPE("av"));
    for (const std::string& key : signer->secret_keys) {
      g_variant_builder_add(&keys, "v", g_variant_new_string(key.c_str()));
    }
    g_variant_dict_insert_value(&dict, "sign-keys", g_variant_builder_end(&keys));
    g_variant_dict_insert(&dict, "sign-type", "s", signer->engine.c_str());
  }
  VariantPtr variant = VariantPtr::Sink(g_variant_dict_end(&dict));
  return StartAlone(info, [state = state(), metadata, variant](JobContext& job) {
    using Call = gboolean (*)(OstreeRepo*, GVariant*, GVariant*, GCancellable*, GError**);
    // Since 2023.1.
    const auto call = RequireOstree<Call>("ostree_repo_regenerate_metadata");
    auto repo = state->Use();
    state->RequireNoTransaction();
    RequireFormOfRefs(repo.get(), job.cancellable());
    GError* error = nullptr;
    if (!call(repo.get(), metadata.get(), variant.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Writing the metadata").Detail("path", state->path());
    }
    return Undefined();
  });
}

Napi::Value Repo::RemoteFetchSummary(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  PullOptions options = CheckedFetchOptions(info.Env(), info[1]);
  return StartAlone(info,
                    [state = state(), name = std::move(name),
                     options = std::move(options)](JobContext& job) -> ToJs {
                      auto repo = state->Use();
                      const VariantPtr dict = options.Build();
                      const ScopedContext context;
                      const CancelGuard guard(job.cancellable());
                      GBytesPtr summary_raw, signatures_raw;
                      GError* error = nullptr;
                      if (!ostree_repo_remote_fetch_summary_with_options(
                              repo.get(), name.c_str(), dict.get(), Out(summary_raw),
                              Out(signatures_raw), job.cancellable(), &error)) {
                        if (job.cancelled()) {
                          g_clear_error(&error);
                          throw Aborted();
                        }
                        throw FromGError(error, "Fetching the summary").Detail("remote", name);
                      }
                      SharedBytes summary = TakeBytes(summary_raw.release());
                      SharedBytes signatures = TakeBytes(signatures_raw.release());
                      return [summary, signatures](Napi::Env env) -> Napi::Value {
                        Napi::Object object = Napi::Object::New(env);
                        object.Set("summary", BytesToJs(env, summary.get()));
                        object.Set("signatures", BytesToJs(env, signatures.get()));
                        return object;
                      };
                    });
}

Napi::Value Repo::SummaryVerify(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "remote");
  SharedBytes summary = CheckedBytes(info[1], "summary");
  SharedBytes signatures = CheckedBytes(info[2], "signatures");
  return StartWaiting(
      info,
      [state = state(), name = std::move(name), summary = std::move(summary),
       signatures = std::move(signatures)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        GError* error = nullptr;
        auto result = GpgResultPtr::Take(ostree_repo_verify_summary(
            repo.get(), name.c_str(), summary.get(), signatures.get(), job.cancellable(), &error));
        if (!result) throw FromGError(error, "Verifying a summary").Detail("remote", name);
        return [found = ReadGpgResult(result.get())](Napi::Env env) {
          return GpgSignaturesToJs(env, found);
        };
      });
}

// 2026.3
Napi::Value Repo::VerifyLocalSummary(const Napi::CallbackInfo& info) {
  SharedBytes summary = CheckedBytes(info[0], "summary");
  SharedBytes signatures = CheckedBytes(info[1], "signatures");
  const Options options(info.Env(), info[2], "options");
  std::optional<std::string> directory = options.OptionalPath("keyringDirectory");
  std::optional<std::string> file = options.OptionalPath("keyring");
  return Start(
      info,
      [state = state(), summary = std::move(summary), signatures = std::move(signatures),
       directory = std::move(directory), file = std::move(file)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        using Call = OstreeGpgVerifyResult* (*)(OstreeRepo*, GBytes*, GBytes*, GFile*, GFile*,
                                                GCancellable*, GError**);
        const auto call = RequireOstree<Call>("ostree_repo_verify_local_summary");
        const auto file_or_null = [](const std::optional<std::string>& path) {
          return GObjectPtr<GFile>::Take(path ? g_file_new_for_path(path->c_str()) : nullptr);
        };
        const auto keyring_directory = file_or_null(directory);
        const auto keyring = file_or_null(file);
        GError* error = nullptr;
        auto result = GpgResultPtr::Take(call(repo.get(), summary.get(), signatures.get(),
                                              keyring_directory.get(), keyring.get(),
                                              job.cancellable(), &error));
        if (!result) throw FromGError(error, "Verifying a summary").Detail("path", state->path());
        return [found = ReadGpgResult(result.get())](Napi::Env env) {
          return GpgSignaturesToJs(env, found);
        };
      });
}

Napi::Value Repo::SummarySignGpg(const Napi::CallbackInfo& info) {
  std::vector<std::string> ids = CheckedStrings(info[0], "keys");
  if (ids.empty()) throw InvalidArgumentValue(info.Env(), "keys", "must not be empty");
  std::optional<std::string> home = Arguments(info).OptionalString(1, "gpgHome");
  return StartAlone(
      info, [state = state(), ids = std::move(ids), home = std::move(home)](JobContext& job) {
        auto repo = state->Use();
        const StringVector keys(ids);
        GError* error = nullptr;
        if (!ostree_repo_add_gpg_signature_summary(
                repo.get(), const_cast<const gchar**>(keys.get()), home ? home->c_str() : nullptr,
                job.cancellable(), &error)) {
          throw FromGError(error, "Signing the summary").Detail("path", state->path());
        }
        return Undefined();
      });
}

Napi::Value Repo::SummarySign(const Napi::CallbackInfo& info) {
  SignOptions signer = CheckedSigner(info.Env(), info[0], "signer");
  return StartAlone(info, [state = state(), signer = std::move(signer)](JobContext& job) {
    auto repo = state->Use();
    const SignPtr engine = MakeSigner(signer);
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("av"));
    for (const std::string& key : signer.secret_keys) {
      g_variant_builder_add(&builder, "v", g_variant_new_string(key.c_str()));
    }
    const VariantPtr keys = VariantPtr::Sink(g_variant_builder_end(&builder));
    GError* error = nullptr;
    if (!ostree_sign_summary(engine.get(), repo.get(), keys.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Signing the summary").Detail("path", state->path());
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
