// Repo: finding refs of collections wherever they are, and pulling them from there.
#include "ostree/finders.h"

#include <algorithm>
#include <optional>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/collections.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/progress.h"
#include "ostree/pull_options.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

using FinderPtr = GObjectPtr<OstreeRepoFinder>;

void AllowOnly(Napi::Env env, const PullOptions& options,
               std::initializer_list<const char*> allowed) {
  for (const auto& entry : options.entries) {
    if (std::none_of(allowed.begin(), allowed.end(),
                     [&entry](const char* key) { return entry.first == key; })) {
      throw InvalidArgumentValue(env, "options", "has a member that is not for this call");
    }
  }
}

struct FinderChoice {
  bool config = false;
  bool mount = false;
  std::vector<std::string> uris;

  std::vector<FinderPtr> Make() const {
    std::vector<FinderPtr> finders;
    if (config) {
      finders.push_back(
          FinderPtr::Take(reinterpret_cast<OstreeRepoFinder*>(ostree_repo_finder_config_new())));
    }
    if (mount) {
      finders.push_back(FinderPtr::Take(
          reinterpret_cast<OstreeRepoFinder*>(ostree_repo_finder_mount_new(nullptr))));
    }
    if (!uris.empty()) {
      OstreeRepoFinderOverride* finder = ostree_repo_finder_override_new();
      for (const std::string& uri : uris) {
        ostree_repo_finder_override_add_uri(finder, uri.c_str());
      }
      finders.push_back(FinderPtr::Take(reinterpret_cast<OstreeRepoFinder*>(finder)));
    }
    return finders;
  }
};

FinderChoice CheckedFinders(Napi::Env env, Napi::Value value) {
  const Options options(env, value, "finders");
  FinderChoice choice;
  choice.config = options.Bool("config", false);
  choice.mount = options.Bool("mount", false);
  choice.uris = options.Strings("uris");
  for (const std::string& uri : choice.uris) {
    // libostree makes the name of a remote of it, which must begin like one.
    if (uri.empty() || !g_ascii_isalnum(uri[0]) ||
        !g_uri_is_valid(uri.c_str(), G_URI_FLAGS_NONE, nullptr)) {
      throw InvalidArgumentValue(env, "uris", "must be URLs");
    }
  }
  if (!choice.config && !choice.mount && choice.uris.empty()) {
    throw InvalidArgumentValue(env, "finders", "must name one");
  }
  return choice;
}

// Iterates the context until the call has answered.
class AsyncAnswer {
 public:
  static void Done(GObject*, GAsyncResult* result, gpointer self) {
    static_cast<AsyncAnswer*>(self)->result_ = GObjectPtr<GAsyncResult>::Share(result);
  }
  GAsyncResult* Wait(GMainContext* context) {
    while (!result_) g_main_context_iteration(context, TRUE);
    return result_.get();
  }

 private:
  GObjectPtr<GAsyncResult> result_;
};

struct FoundRef {
  std::string collection_id;
  std::string ref;
  std::string checksum;
  uint64_t timestamp = 0;
};

struct Found {
  std::string name;
  std::string url;
  int priority = 0;
  uint64_t modified = 0;
  std::vector<FoundRef> refs;
};

Found ReadResult(const OstreeRepoFinderResult& result) {
  Found found;
  found.name = ostree_remote_get_name(result.remote);
  const GStringPtr url(ostree_remote_get_url(result.remote));
  if (url) found.url = url.get();
  found.priority = result.priority;
  found.modified = result.summary_last_modified;
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, result.ref_to_checksum);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const auto* ref = static_cast<const OstreeCollectionRef*>(key);
    // A ref that it does not have, or only an old commit of.
    if (value == nullptr) continue;
    FoundRef entry{ref->collection_id ? ref->collection_id : "", ref->ref_name,
                   static_cast<const char*>(value), 0};
    if (result.ref_to_timestamp != nullptr) {
      const auto* timestamp =
          static_cast<const guint64*>(g_hash_table_lookup(result.ref_to_timestamp, ref));
      // As it is in the commit: big-endian.
      if (timestamp != nullptr) entry.timestamp = GUINT64_FROM_BE(*timestamp);
    }
    found.refs.push_back(std::move(entry));
  }
  return found;
}

Napi::Value FoundToJs(Napi::Env env, const Found& found) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", found.name);
  if (!found.url.empty()) object.Set("url", found.url);
  object.Set("priority", found.priority);
  if (found.modified != 0) object.Set("lastModified", static_cast<double>(found.modified));
  Napi::Array refs = Napi::Array::New(env, found.refs.size());
  for (size_t i = 0; i < found.refs.size(); ++i) {
    Napi::Object ref = Napi::Object::New(env);
    ref.Set("collectionId", found.refs[i].collection_id);
    ref.Set("ref", found.refs[i].ref);
    ref.Set("checksum", found.refs[i].checksum);
    if (found.refs[i].timestamp != 0) {
      ref.Set("timestamp", static_cast<double>(static_cast<int64_t>(found.refs[i].timestamp)));
    }
    refs.Set(static_cast<uint32_t>(i), ref);
  }
  object.Set("refs", refs);
  return object;
}

}  // namespace

Napi::Value Repo::FindRemotes(const Napi::CallbackInfo& info) {
  auto refs = CheckedCollectionRefs(info[0], "refs");
  if (refs.empty()) throw InvalidArgumentValue(info.Env(), "refs", "must not be empty");
  FinderChoice choice = CheckedFinders(info.Env(), info[1]);
  PullOptions options = CheckedPullOptions(info[2], "options");
  AllowOnly(info.Env(), options, {"n-network-retries", "update-frequency"});
  Work work = [state = state(), refs = std::move(refs), choice = std::move(choice),
               options = std::move(options)](JobContext& job) -> ToJs {
    auto repo = state->Use();
    const CollectionRefVector wanted(refs);
    const VariantPtr dict = options.Build();
    const ScopedContext context;
    const CancelGuard guard(job.cancellable());
    const std::vector<FinderPtr> finders = choice.Make();
    std::vector<OstreeRepoFinder*> raw;
    for (const FinderPtr& finder : finders) raw.push_back(finder.get());
    raw.push_back(nullptr);
    AsyncAnswer answer;
    ostree_repo_find_remotes_async(repo.get(), wanted.get(), dict.get(), raw.data(), nullptr,
                                   job.cancellable(), AsyncAnswer::Done, &answer);
    GAsyncResult* result = answer.Wait(context.get());
    GError* error = nullptr;
    auto found = std::make_shared<FoundRemotesState>(
        ostree_repo_find_remotes_finish(repo.get(), result, &error));
    if (found->results == nullptr) {
      if (job.cancelled()) {
        g_clear_error(&error);
        throw Aborted();
      }
      throw FromGError(error, "Finding remotes").Detail("path", state->path());
    }
    std::vector<Found> plain;
    for (OstreeRepoFinderResult** one = found->results; *one != nullptr; ++one) {
      plain.push_back(ReadResult(**one));
    }
    return [found, plain = std::move(plain)](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      Napi::Array list = Napi::Array::New(env, plain.size());
      for (size_t i = 0; i < plain.size(); ++i) {
        list.Set(static_cast<uint32_t>(i), FoundToJs(env, plain[i]));
      }
      object.Set("remotes", list);
      object.Set("handle", FoundRemotes::Create(env, found));
      return object;
    };
  };
  return StartAlone(info, std::move(work));
}

Napi::Value Repo::PullFromRemotes(const Napi::CallbackInfo& info) {
  auto found = FoundRemotes::StateOf(info.Env(), info[0], "found");
  PullOptions options = CheckedPullOptions(info[1], "options");
  AllowOnly(info.Env(), options,
            {"depth", "disable-static-deltas", "http-headers", "subdirs", "update-frequency",
             "append-user-agent", "n-network-retries", "ref-keyring-map"});
  Work work = [state = state(), found, options = std::move(options)](JobContext& job) -> ToJs {
    auto repo = state->Use();
    state->RequireNoTransaction();
    if (found->results[0] == nullptr) {
      throw NativeError("ENOENT", "No remote has the refs").Detail("path", state->path());
    }
    const VariantPtr dict = options.Build();
    const ScopedContext context;
    const CancelGuard guard(job.cancellable());
    Progress progress(job);
    AsyncAnswer answer;
    ostree_repo_pull_from_remotes_async(repo.get(), found->results, dict.get(), progress.get(),
                                        job.cancellable(), AsyncAnswer::Done, &answer);
    GAsyncResult* result = answer.Wait(context.get());
    ProgressSnapshot last = progress.Finish();
    GError* error = nullptr;
    if (!ostree_repo_pull_from_remotes_finish(repo.get(), result, &error)) {
      GError* ignored = nullptr;
      ostree_repo_abort_transaction(repo.get(), nullptr, &ignored);
      g_clear_error(&ignored);
      if (job.cancelled()) {
        g_clear_error(&error);
        throw Aborted();
      }
      throw FromGError(error, "Pulling").Detail("path", state->path());
    }
    return [last = std::move(last)](Napi::Env env) { return last.ToJs(env); };
  };
  return StartAlone(info, std::move(work), info[2]);
}

Napi::Value Repo::ResolveKeyring(const Napi::CallbackInfo& info) {
  std::string id = CheckedCollectionId(info[0], "collectionId");
  return StartAlone(info, [state = state(), id = std::move(id)](JobContext& job) -> ToJs {
    auto repo = state->Use();
    GError* error = nullptr;
    const std::unique_ptr<OstreeRemote, FreeWith<ostree_remote_unref>> remote(
        ostree_repo_resolve_keyring_for_collection(repo.get(), id.c_str(), job.cancellable(),
                                                   &error));
    if (!remote) throw FromGError(error, "Finding the keys of a collection");
    return [name = std::string(ostree_remote_get_name(remote.get()))](
               Napi::Env env) -> Napi::Value { return Napi::String::New(env, name); };
  });
}

}  // namespace apt_ostree
