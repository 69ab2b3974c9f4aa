// Repo: refs, revisions and single objects.
#include <map>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

Napi::Value Repo::ResolveRev(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(arguments.Raw(0), "rev");
  const bool allow_missing = arguments.Bool(1, "allowMissing");
  return Start(info, [state = state(), rev = std::move(rev), allow_missing](JobContext&) -> ToJs {
    auto repo = state->Use();
    GStringPtr checksum;
    GError* error = nullptr;
    if (!ostree_repo_resolve_rev(repo.get(), rev.c_str(), allow_missing, Out(checksum), &error)) {
      throw FromGError(error, "Resolving a revision").Detail("ref", rev);
    }
    if (!checksum) return [](Napi::Env env) { return env.Null(); };
    return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, text);
    };
  });
}

Napi::Value Repo::ListRefs(const Napi::CallbackInfo& info) {
  std::optional<std::string> prefix;
  bool remote = false;
  if (!info[0].IsUndefined()) {
    prefix = CheckedString(info[0], "prefix");
    // "remote:" stands for all refs of a remote, but is no refspec.
    remote = !prefix->empty() && prefix->back() == ':' &&
             ostree_validate_remote_name(prefix->substr(0, prefix->size() - 1).c_str(), nullptr);
    if (!remote) CheckedRefspec(info[0], "prefix");
  }
  return Start(
      info, [state = state(), prefix = std::move(prefix), remote](JobContext& job) -> ToJs {
        auto repo = state->Use();
        GHashTablePtr table;
        GError* error = nullptr;
        if (!ostree_repo_list_refs_ext(repo.get(), prefix && !remote ? prefix->c_str() : nullptr,
                                       Out(table), OSTREE_REPO_LIST_REFS_EXT_NONE,
                                       job.cancellable(), &error)) {
          throw FromGError(error, "Listing refs").Detail("path", state->path());
        }
        // Sorted, so that equal repositories list equally.
        std::map<std::string, std::string> refs;
        GHashTableIter iter;
        gpointer key, value;
        g_hash_table_iter_init(&iter, table.get());
        while (g_hash_table_iter_next(&iter, &key, &value)) {
          // libostree would name the refs of a remote "remote:./ref".
          if (remote && !g_str_has_prefix(static_cast<const char*>(key), prefix->c_str())) continue;
          refs.emplace(static_cast<const char*>(key), static_cast<const char*>(value));
        }
        return [refs = std::move(refs)](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          for (const auto& [ref, checksum] : refs) object.Set(ref, checksum);
          return object;
        };
      });
}

Napi::Value Repo::SetRef(const Napi::CallbackInfo& info) {
  Refspec refspec = CheckedRefspec(info[0], "ref");
  std::optional<std::string> checksum = CheckedOptionalChecksum(info[1], "checksum");
  return StartAlone(info, [state = state(), refspec = std::move(refspec),
                           checksum = std::move(checksum)](JobContext& job) {
    auto repo = state->Use();
    if (checksum) RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, *checksum);
    GError* error = nullptr;
    if (!ostree_repo_set_ref_immediate(repo.get(), refspec.remote_or_null(), refspec.ref.c_str(),
                                       checksum ? checksum->c_str() : nullptr, job.cancellable(),
                                       &error)) {
      throw FromGError(error, "Writing a ref").Detail("ref", refspec.ref);
    }
    return Undefined();
  });
}

Napi::Value Repo::HasObject(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedObjectType(info[0], "type");
  std::string checksum = CheckedChecksum(info[1], "checksum");
  return Start(info, [state = state(), type, checksum = std::move(checksum)](JobContext&) {
    const bool found = HasStoredObject(state->Use().get(), type, checksum);
    return [found](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, found); };
  });
}

}  // namespace apt_ostree
