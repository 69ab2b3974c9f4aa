// Repo: checks, pruning, configuration and pulls from local repositories.
#include <set>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/deployment.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

struct Fault {
  std::string object;
  std::string message;
};

std::string TakeMessage(GError* error) {
  GStringPtr text(g_utf8_make_valid(error != nullptr ? error->message : "failed", -1));
  g_clear_error(&error);
  return text.get();
}

std::string ObjectName(const char* checksum, OstreeObjectType type) {
  return std::string(checksum) + "." + ostree_object_type_to_string(type);
}

class Fsck {
 public:
  Fsck(OstreeRepo* repo, const JobContext& job) : repo_(repo), job_(job) {}

  void CheckRefs() {
    GHashTablePtr refs;
    GError* error = nullptr;
    if (!ostree_repo_list_refs(repo_, nullptr, Out(refs), job_.cancellable(), &error)) {
      throw FromGError(error, "Listing refs");
    }
    GHashTableIter iter;
    gpointer ref, checksum;
    g_hash_table_iter_init(&iter, refs.get());
    while (g_hash_table_iter_next(&iter, &ref, &checksum)) {
      const auto* text = static_cast<const char*>(checksum);
      if (IsChecksum(text) && HasStoredObject(repo_, OSTREE_OBJECT_TYPE_COMMIT, text)) continue;
      faults.push_back({ObjectName(text, OSTREE_OBJECT_TYPE_COMMIT),
                        std::string("The ref ") + static_cast<const char*>(ref) +
                            " names a commit that is missing"});
    }
  }

  // What all whole commits reach; with `all` every object that is stored.
  GHashTablePtr Objects(bool all) {
    GHashTablePtr commits;
    GError* error = nullptr;
    if (!ostree_repo_list_commit_objects_starting_with(repo_, "", Out(commits), job_.cancellable(),
                                                       &error)) {
      throw FromGError(error, "Listing commits");
    }
    GHashTablePtr reachable(ostree_repo_traverse_new_reachable());
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, commits.get());
    while (g_hash_table_iter_next(&iter, &key, nullptr)) {
      const char* checksum;
      OstreeObjectType type;
      ostree_object_name_deserialize(static_cast<GVariant*>(key), &checksum, &type);
      OstreeRepoCommitState state = OSTREE_REPO_COMMIT_STATE_NORMAL;
      if (!ostree_repo_load_commit(repo_, checksum, nullptr, &state, &error)) {
        faults.push_back({ObjectName(checksum, type), TakeMessage(error)});
        error = nullptr;
        continue;
      }
      if ((state & OSTREE_REPO_COMMIT_STATE_PARTIAL) != 0) {
        ++partial;
        continue;
      }
      if (!ostree_repo_traverse_commit_union(repo_, checksum, 0, reachable.get(),
                                             job_.cancellable(), &error)) {
        job_.ThrowIfCancelled();
        faults.push_back({ObjectName(checksum, type), TakeMessage(error)});
        error = nullptr;
      }
    }
    if (all) {
      GHashTablePtr stored;
      if (!ostree_repo_list_objects(repo_, OSTREE_REPO_LIST_OBJECTS_ALL, Out(stored),
                                    job_.cancellable(), &error)) {
        throw FromGError(error, "Listing objects");
      }
      g_hash_table_iter_init(&iter, stored.get());
      while (g_hash_table_iter_next(&iter, &key, nullptr)) {
        g_hash_table_add(reachable.get(), g_variant_ref(static_cast<GVariant*>(key)));
      }
    }
    return reachable;
  }

  void CheckObjects(GHashTable* objects) {
    const guint total = g_hash_table_size(objects);
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, objects);
    while (g_hash_table_iter_next(&iter, &key, nullptr)) {
      const char* checksum;
      OstreeObjectType type;
      ostree_object_name_deserialize(static_cast<GVariant*>(key), &checksum, &type);
      job_.ThrowIfCancelled();
      GError* error = nullptr;
      if (!ostree_repo_fsck_object(repo_, type, checksum, job_.cancellable(), &error)) {
        job_.ThrowIfCancelled();
        faults.push_back({ObjectName(checksum, type), TakeMessage(error)});
      }
      ++checked;
      job_.Report([done = checked, total](Napi::Env env) -> Napi::Value {
        Napi::Object event = Napi::Object::New(env);
        event.Set("done", static_cast<double>(done));
        event.Set("total", static_cast<double>(total));
        return event;
      });
    }
  }

  std::vector<Fault> faults;
  size_t checked = 0;
  size_t partial = 0;

 private:
  OstreeRepo* repo_;
  const JobContext& job_;
};

}  // namespace

Napi::Value Repo::FsckAll(const Napi::CallbackInfo& info) {
  const bool all = Arguments(info).Bool(0, "all");
  return Start(
      info,
      [state = state(), all](JobContext& job) -> ToJs {
        auto repo = state->Use();
        Fsck fsck(repo.get(), job);
        fsck.CheckRefs();
        fsck.CheckObjects(fsck.Objects(all).get());
        return [faults = std::move(fsck.faults), checked = fsck.checked,
                partial = fsck.partial](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("objects", static_cast<double>(checked));
          object.Set("partialCommits", static_cast<double>(partial));
          Napi::Array errors = Napi::Array::New(env, faults.size());
          for (size_t i = 0; i < faults.size(); ++i) {
            Napi::Object error = Napi::Object::New(env);
            error.Set("object", faults[i].object);
            error.Set("message", faults[i].message);
            errors.Set(static_cast<uint32_t>(i), error);
          }
          object.Set("errors", errors);
          return object;
        };
      },
      info[1]);
}

Napi::Value Repo::Prune(const Napi::CallbackInfo& info) {
  const Options options(info.Env(), info[0], "options");
  int flags = OSTREE_REPO_PRUNE_FLAGS_NONE;
  if (options.Bool("dryRun", false)) flags |= OSTREE_REPO_PRUNE_FLAGS_NO_PRUNE;
  if (options.Bool("refsOnly", false)) flags |= OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY;
  if (options.Bool("commitOnly", false)) flags |= OSTREE_REPO_PRUNE_FLAGS_COMMIT_ONLY;
  const int depth = static_cast<int>(options.Integer("depth", -1, -1, INT32_MAX));
  return StartAlone(info, [state = state(), flags, depth](JobContext& job) -> ToJs {
    auto repo = state->Use();
    // libostree would go ahead and remove what the transaction counts on.
    state->RequireNoTransaction();
    gint total = 0, pruned = 0;
    guint64 bytes = 0;
    GError* error = nullptr;
    if (!ostree_repo_prune(repo.get(), static_cast<OstreeRepoPruneFlags>(flags), depth, &total,
                           &pruned, &bytes, job.cancellable(), &error)) {
      throw FromGError(error, "Pruning").Detail("path", state->path());
    }
    return [total, pruned, bytes](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("objects", total);
      object.Set("pruned", pruned);
      object.Set("bytes", static_cast<double>(bytes));
      return object;
    };
  });
}

Napi::Value Repo::GetConfig(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext&) -> ToJs {
    auto repo = state->Use();
    GKeyFilePtr config(ostree_repo_copy_config(repo.get()));
    return [groups = ReadKeyFile(config.get())](Napi::Env env) { return KeyFileToJs(env, groups); };
  });
}

Napi::Value Repo::SetConfig(const Napi::CallbackInfo& info) {
  KeyFileGroups changes = CheckedKeyFile(info[0], "changes");
  return StartAlone(info, [state = state(), changes = std::move(changes)](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    GKeyFilePtr config(ostree_repo_copy_config(repo.get()));
    WriteInto(config.get(), changes);
    GError* error = nullptr;
    if (!ostree_repo_write_config(repo.get(), config.get(), &error) ||
        !ostree_repo_reload_config(repo.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Writing the configuration").Detail("path", state->path());
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
