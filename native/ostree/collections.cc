// Repo: collections, whose refs are the same wherever they are pulled from.
#include "ostree/collections.h"

#include <cstring>
#include <functional>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/repo_config.h"

namespace apt_ostree {

Napi::Value RefsToJs(Napi::Env env, const RefTable& refs) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [ref, checksum] : refs) object.Set(ref, checksum);
  return object;
}

CollectionRefTable ReadCollectionRefTable(GHashTable* table) {
  CollectionRefTable refs;
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const auto* ref = static_cast<const OstreeCollectionRef*>(key);
    refs.emplace(std::make_pair(std::string(ref->collection_id ? ref->collection_id : ""),
                                std::string(ref->ref_name)),
                 static_cast<const char*>(value));
  }
  return refs;
}

Napi::Value CollectionRefsToJs(Napi::Env env, const CollectionRefTable& refs) {
  Napi::Array array = Napi::Array::New(env, refs.size());
  uint32_t i = 0;
  for (const auto& [ref, checksum] : refs) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("collectionId", ref.first);
    object.Set("ref", ref.second);
    object.Set("checksum", checksum);
    array.Set(i++, object);
  }
  return array;
}

CollectionRefVector::CollectionRefVector(
    const std::vector<std::pair<std::string, std::string>>& refs) {
  for (const auto& [id, ref] : refs) {
    refs_.push_back(ostree_collection_ref_new(id.c_str(), ref.c_str()));
  }
  refs_.push_back(nullptr);
}

CollectionRefVector::~CollectionRefVector() {
  for (OstreeCollectionRef* ref : refs_) {
    if (ref != nullptr) ostree_collection_ref_free(ref);
  }
}

std::vector<std::pair<std::string, std::string>> CheckedCollectionRefs(Napi::Value value,
                                                                       const std::string& name) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Array", value);
  }
  std::vector<std::pair<std::string, std::string>> refs;
  Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Options entry(value.Env(), list.Get(i), name);
    refs.emplace_back(CheckedCollectionId(entry.Raw("collectionId"), name + ".collectionId"),
                      CheckedRefName(entry.Raw("ref"), name + ".ref"));
  }
  return refs;
}

Napi::Value Repo::GetCollectionId(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext&) -> ToJs {
    auto repo = state->Use();
    const char* id = ostree_repo_get_collection_id(repo.get());
    if (id == nullptr) return [](Napi::Env env) { return env.Null(); };
    return [text = std::string(id)](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, text);
    };
  });
}

Napi::Value Repo::SetCollectionId(const Napi::CallbackInfo& info) {
  std::optional<std::string> id;
  if (!info[0].IsNull()) id = CheckedCollectionId(info[0], "collectionId");
  return StartAlone(info, [state = state(), id = std::move(id)](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    // set_collection_id changes this object alone; the file makes it last.
    EditConfig(*state, repo.get(), {{"core", KeyFileKeys{{"collection-id", id}}}},
               job.cancellable());
    return Undefined();
  });
}

Napi::Value Repo::ListCollectionRefs(const Napi::CallbackInfo& info) {
  std::optional<std::string> id;
  if (!info[0].IsUndefined()) id = CheckedCollectionId(info[0], "collectionId");
  const bool remotes = Arguments(info).Bool(1, "remotes");
  return Start(info, [state = state(), id = std::move(id), remotes](JobContext& job) -> ToJs {
    auto repo = state->Use();
    GHashTablePtr table;
    GError* error = nullptr;
    if (!ostree_repo_list_collection_refs(
            repo.get(), id ? id->c_str() : nullptr, Out(table),
            remotes ? OSTREE_REPO_LIST_REFS_EXT_NONE : OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_REMOTES,
            job.cancellable(), &error)) {
      throw FromGError(error, "Listing refs of collections").Detail("path", state->path());
    }
    return [refs = ReadCollectionRefTable(table.get())](Napi::Env env) {
      return CollectionRefsToJs(env, refs);
    };
  });
}

Napi::Value Repo::ResolveCollectionRef(const Napi::CallbackInfo& info) {
  std::string id = CheckedCollectionId(info[0], "collectionId");
  std::string ref = CheckedRefName(info[1], "ref");
  return Start(
      info, [state = state(), id = std::move(id), ref = std::move(ref)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const CollectionRefVector refs({{id, ref}});
        GStringPtr checksum;
        GError* error = nullptr;
        if (!ostree_repo_resolve_collection_ref(repo.get(), refs.get()[0], TRUE,
                                                OSTREE_REPO_RESOLVE_REV_EXT_NONE, Out(checksum),
                                                job.cancellable(), &error)) {
          throw FromGError(error, "Resolving a ref of a collection").Detail("ref", ref);
        }
        if (!checksum) return [](Napi::Env env) { return env.Null(); };
        return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
          return Napi::String::New(env, text);
        };
      });
}

Napi::Value Repo::SetCollectionRef(const Napi::CallbackInfo& info) {
  std::string id = CheckedCollectionId(info[0], "collectionId");
  std::string ref = CheckedRefName(info[1], "ref");
  std::optional<std::string> checksum = CheckedOptionalChecksum(info[2], "checksum");
  return StartAlone(info, [state = state(), id = std::move(id), ref = std::move(ref),
                           checksum = std::move(checksum)](JobContext& job) {
    auto repo = state->Use();
    if (checksum) RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, *checksum);
    const CollectionRefVector refs({{id, ref}});
    GError* error = nullptr;
    if (!ostree_repo_set_collection_ref_immediate(repo.get(), refs.get()[0],
                                                  checksum ? checksum->c_str() : nullptr,
                                                  job.cancellable(), &error)) {
      throw FromGError(error, "Writing a ref of a collection").Detail("ref", ref);
    }
    return Undefined();
  });
}

namespace {

NativeError BadSummary(const std::string& remote, const std::string& what) {
  return NativeError("ERR_OSTREE_FAILED", "The summary of the remote " + remote + " " + what)
      .Detail("remote", remote);
}

// Each ref and its checksum, which the server may have made up.
void ReadSummaryRefs(GVariant* refs, const std::string& remote,
                     const std::function<void(const char*, std::string)>& add) {
  for (gsize i = 0; i < g_variant_n_children(refs); ++i) {
    const char* ref = nullptr;
    VariantPtr checksum;
    g_variant_get_child(refs, i, "(&s(t@ay@a{sv}))", &ref, nullptr, checksum.out(), nullptr);
    GError* error = nullptr;
    // libostree lets a newline at the end pass.
    if (std::strchr(ref, '\n') != nullptr) throw BadSummary(remote, "names a bad ref");
    if (!ostree_validate_rev(ref, &error) ||
        !ostree_validate_structureof_csum_v(checksum.get(), &error)) {
      throw FromGError(error, "Listing the refs of a remote").Detail("remote", remote);
    }
    const GStringPtr text(ostree_checksum_from_bytes_v(checksum.get()));
    add(ref, text.get());
  }
}

VariantPtr FetchSummary(OstreeRepo* repo, const std::string& remote, const JobContext& job) {
  const ScopedContext context;
  const CancelGuard guard(job.cancellable());
  GBytesPtr bytes;
  GError* error = nullptr;
  if (!ostree_repo_remote_fetch_summary_with_options(repo, remote.c_str(), nullptr, Out(bytes),
                                                     nullptr, job.cancellable(), &error)) {
    if (job.cancelled()) {
      g_clear_error(&error);
      throw Aborted();
    }
    throw FromGError(error, "Listing the refs of a remote").Detail("remote", remote);
  }
  if (!bytes) throw BadSummary(remote, "is missing: it has no list of refs");
  VariantPtr summary = VariantPtr::Sink(
      g_variant_new_from_bytes(OSTREE_SUMMARY_GVARIANT_FORMAT, bytes.get(), FALSE));
  // No bytes at all would stand for a tuple of defaults.
  if (g_bytes_get_size(bytes.get()) == 0 || !g_variant_is_normal_form(summary.get())) {
    throw BadSummary(remote, "is damaged");
  }
  return summary;
}

void AddCollection(CollectionRefTable* table, const char* id, GVariant* refs,
                   const std::string& remote) {
  if (!ostree_validate_collection_id(id, nullptr)) {
    throw BadSummary(remote, std::string("names a bad collection: ") + id);
  }
  ReadSummaryRefs(refs, remote, [&](const char* ref, std::string checksum) {
    table->insert_or_assign({id, ref}, std::move(checksum));
  });
}

CollectionRefTable SummaryCollectionRefs(GVariant* summary, const std::string& remote) {
  const auto list = VariantPtr::Take(g_variant_get_child_value(summary, 0));
  const auto metadata = VariantPtr::Take(g_variant_get_child_value(summary, 1));
  CollectionRefTable table;
  const char* own = nullptr;
  if (g_variant_lookup(metadata.get(), "ostree.summary.collection-id", "&s", &own)) {
    AddCollection(&table, own, list.get(), remote);
  }
  const auto map = VariantPtr::Take(g_variant_lookup_value(
      metadata.get(), "ostree.summary.collection-map", G_VARIANT_TYPE("a{sa(s(taya{sv}))}")));
  for (gsize i = 0; map && i < g_variant_n_children(map.get()); ++i) {
    const char* id = nullptr;
    VariantPtr refs;
    g_variant_get_child(map.get(), i, "{&s@a(s(taya{sv}))}", &id, refs.out());
    AddCollection(&table, id, refs.get(), remote);
  }
  return table;
}

}  // namespace

// Not ostree_repo_remote_list_refs, which takes any bytes for a summary and any text for a ref.
Napi::Value Repo::RemoteListRefs(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  return StartAlone(info, [state = state(), name = std::move(name)](JobContext& job) -> ToJs {
    const VariantPtr summary = FetchSummary(state->Use().get(), name, job);
    const auto list = VariantPtr::Take(g_variant_get_child_value(summary.get(), 0));
    RefTable refs;
    ReadSummaryRefs(list.get(), name, [&refs](const char* ref, std::string checksum) {
      refs.insert_or_assign(ref, std::move(checksum));
    });
    return [refs = std::move(refs)](Napi::Env env) { return RefsToJs(env, refs); };
  });
}

// Not ostree_repo_remote_list_collection_refs, which ends the process where the server names a bad
// collection.
Napi::Value Repo::RemoteListCollectionRefs(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  return StartAlone(info, [state = state(), name = std::move(name)](JobContext& job) -> ToJs {
    const VariantPtr summary = FetchSummary(state->Use().get(), name, job);
    return [refs = SummaryCollectionRefs(summary.get(), name)](Napi::Env env) {
      return CollectionRefsToJs(env, refs);
    };
  });
}

}  // namespace apt_ostree
