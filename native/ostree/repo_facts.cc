// Repo: what is known of a repository and of its object, and the switches of the object.
#include <fcntl.h>

#include <string>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/repo.h"
#include "ostree/repo_facts.h"

namespace apt_ostree {

namespace {

std::string PathOf(GFile* file) {
  const GStringPtr path(g_file_get_path(file));
  return path ? path.get() : "";
}

}  // namespace

void InitRepoFacts(Napi::Env env, Napi::Object exports) {
  exports.Set("defaultRepoPath", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                auto repo = GObjectPtr<OstreeRepo>::Take(ostree_repo_new_default());
                return Napi::String::New(info.Env(), PathOf(ostree_repo_get_path(repo.get())));
              }));
  exports.Set("defaultSysrootPath", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                auto sysroot = GObjectPtr<OstreeSysroot>::Take(ostree_sysroot_new_default());
                return Napi::String::New(info.Env(),
                                         PathOf(ostree_sysroot_get_path(sysroot.get())));
              }));
}

Napi::Value Repo::Facts(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext&) -> ToJs {
    auto repo = state->Use();
    GError* error = nullptr;
    const bool writable = ostree_repo_is_writable(repo.get(), &error) != FALSE;
    g_clear_error(&error);
    guint64 reserved = 0;
    if (!ostree_repo_get_min_free_space_bytes(repo.get(), &reserved, &error)) {
      throw FromGError(error, "Reading the free space to leave").Detail("path", state->path());
    }
    const bool system = ostree_repo_is_system(repo.get()) != FALSE;
    const char* bootloader = ostree_repo_get_bootloader(repo.get());
    OstreeRepo* parent = ostree_repo_get_parent(repo.get());
    std::vector<std::string> finders;
    const gchar* const* names = ostree_repo_get_default_repo_finders(repo.get());
    for (; names != nullptr && *names != nullptr; ++names) finders.emplace_back(*names);
    return [writable, system, reserved, finders = std::move(finders),
            loader = std::string(bootloader != nullptr ? bootloader : "auto"),
            above = parent != nullptr ? PathOf(ostree_repo_get_path(parent))
                                      : std::string()](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("writable", writable);
      object.Set("system", system);
      object.Set("bootloader", loader);
      object.Set("minFreeSpaceBytes", static_cast<double>(reserved));
      object.Set("finders", StringsToJs(env, finders));
      if (!above.empty()) object.Set("parent", above);
      return object;
    };
  });
}

Napi::Value Repo::Equals(const Napi::CallbackInfo& info) {
  auto other = Repo::StateOf(info.Env(), info[0], "other");
  try {
    const bool same = ostree_repo_equal(state()->Use().get(), other->Use().get()) != FALSE;
    return Napi::Boolean::New(info.Env(), same);
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

Napi::Value Repo::GetFsync(const Napi::CallbackInfo& info) {
  try {
    const bool off = ostree_repo_get_disable_fsync(state()->Use().get()) != FALSE;
    return Napi::Boolean::New(info.Env(), !off);
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

// A transaction looks at it where it begins and where it ends.
Napi::Value Repo::SetFsync(const Napi::CallbackInfo& info) {
  const bool fsync = Arguments(info).Bool(0, "fsync");
  return StartAlone(info, [state = state(), fsync](JobContext&) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    ostree_repo_set_disable_fsync(repo.get(), !fsync);
    return Undefined();
  });
}

Napi::Value Repo::SetCacheDirectory(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return StartAlone(info, [state = state(), path = std::move(path)](JobContext& job) {
    auto repo = state->Use();
    state->RequireNoTransaction();
    GError* error = nullptr;
    if (!ostree_repo_set_cache_dir(repo.get(), AT_FDCWD, path.c_str(), job.cancellable(), &error)) {
      throw FromGError(error, "Opening the cache").Detail("path", path);
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
