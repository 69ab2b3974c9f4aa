// Repo: refs, revisions and single objects.
#include <unistd.h>

#include <climits>
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
    std::optional<std::string> checksum = TryResolveCommit(repo.get(), rev);
    if (!checksum) {
      if (!allow_missing)
        throw NativeError("ENOENT", "No such revision: " + rev).Detail("ref", rev);
      return [](Napi::Env env) { return env.Null(); };
    }
    return [text = std::move(*checksum)](Napi::Env env) -> Napi::Value {
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
  const Options options = Arguments(info).Object(1, "options");
  unsigned flags = OSTREE_REPO_LIST_REFS_EXT_NONE;
  if (options.Bool("aliases", false)) flags |= OSTREE_REPO_LIST_REFS_EXT_ALIASES;
  if (options.Bool("excludeRemotes", false)) flags |= OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_REMOTES;
  if (options.Bool("excludeMirrors", false)) flags |= OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_MIRRORS;
  return Start(
      info, [state = state(), prefix = std::move(prefix), remote, flags](JobContext& job) -> ToJs {
        auto repo = state->Use();
        GHashTablePtr table;
        GError* error = nullptr;
        if (!ostree_repo_list_refs_ext(repo.get(), prefix && !remote ? prefix->c_str() : nullptr,
                                       Out(table), static_cast<OstreeRepoListRefsExtFlags>(flags),
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

namespace {

// libostree would follow aliases in a circle, and then fail to list refs at all.
void RefuseLoop(OstreeRepo* repo, const std::string& alias, const std::string& target) {
  const std::string heads = "/refs/heads/";
  for (std::string path = heads + target; path != heads + alias;) {
    char link[PATH_MAX];
    const ssize_t length = readlinkat(ostree_repo_get_dfd(repo), path.c_str() + 1, link, PATH_MAX);
    // A ref, or what is no loop of this alias.
    if (length < 0 || length == PATH_MAX) return;
    const std::string directory = path.substr(0, path.rfind('/'));
    const GStringPtr next(g_canonicalize_filename(
        std::string(link, static_cast<size_t>(length)).c_str(), directory.c_str()));
    path = next.get();
  }
  throw NativeError("ELOOP", "The alias would lead back to itself: " + alias).Detail("ref", alias);
}

}  // namespace

Napi::Value Repo::SetAlias(const Napi::CallbackInfo& info) {
  // An alias is a symbolic link in refs/heads; libostree follows both names as paths.
  std::string alias = CheckedRefName(info[0], "alias");
  std::optional<std::string> target;
  if (!info[1].IsNull()) target = CheckedRefName(info[1], "target");
  return StartAlone(info, [state = state(), alias = std::move(alias),
                           target = std::move(target)](JobContext& job) {
    auto repo = state->Use();
    GError* error = nullptr;
    if (target) {
      // libostree would make an alias of nothing, and then fail to list refs at all.
      GStringPtr checksum;
      if (!ostree_repo_resolve_rev_ext(repo.get(), target->c_str(), FALSE,
                                       OSTREE_REPO_RESOLVE_REV_EXT_LOCAL_ONLY, Out(checksum),
                                       &error)) {
        throw FromGError(error, "Resolving a ref").Detail("ref", *target);
      }
      RefuseLoop(repo.get(), alias, *target);
    }
    if (!ostree_repo_set_alias_ref_immediate(repo.get(), nullptr, alias.c_str(),
                                             target ? target->c_str() : nullptr, job.cancellable(),
                                             &error)) {
      throw FromGError(error, "Writing an alias").Detail("ref", alias);
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
