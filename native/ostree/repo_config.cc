#include "ostree/repo_config.h"

#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

void EditConfig(RepoState& state, OstreeRepo* repo, const KeyFileGroups& changes,
                GCancellable* cancellable) {
  const auto alone = state.ConfigAlone(cancellable);
  GKeyFilePtr config = LoadKeyFile(ostree_repo_get_dfd(repo), "config");
  WriteInto(config.get(), changes);
  RequireSoundConfig(config.get(), state.path());
  RequireSoundParents(config.get(), state.path());
  GError* error = nullptr;
  if (!ostree_repo_write_config(repo, config.get(), &error) ||
      !ostree_repo_reload_config(repo, cancellable, &error)) {
    throw FromGError(error, "Writing the configuration").Detail("path", state.path());
  }
}

void EnableTombstones(RepoState& state, OstreeRepo* repo, GCancellable* cancellable) {
  GKeyFilePtr config(ostree_repo_copy_config(repo));
  if (g_key_file_get_boolean(config.get(), "core", "tombstone-commits", nullptr)) return;
  EditConfig(state, repo, {{"core", KeyFileKeys{{"tombstone-commits", "true"}}}}, cancellable);
}

Napi::Value Repo::GetConfig(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext&) -> ToJs {
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
    EditConfig(*state, repo.get(), changes, job.cancellable());
    return Undefined();
  });
}

Napi::Value Repo::ReloadConfig(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    const auto alone = state->ConfigAlone(job.cancellable());
    const GKeyFilePtr config = LoadKeyFile(ostree_repo_get_dfd(repo.get()), "config");
    RequireSoundConfig(config.get(), state->path());
    RequireSoundParents(config.get(), state->path());
    GError* error = nullptr;
    if (!ostree_repo_reload_config(repo.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Reading the configuration").Detail("path", state->path());
    }
    return Undefined();
  });
}

Napi::Value Repo::ConfigText(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext&) -> ToJs {
    auto repo = state->Use();
    GKeyFilePtr config = LoadKeyFile(ostree_repo_get_dfd(repo.get()), "config");
    return [text = KeyFileText(config.get())](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, text);
    };
  });
}

}  // namespace apt_ostree
