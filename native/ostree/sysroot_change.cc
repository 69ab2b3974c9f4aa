// Sysroot: questions about deployments, and changes beside deploying.
#include <dlfcn.h>
#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/deployment.h"
#include "ostree/sysroot.h"

namespace apt_ostree {

namespace {

// Of libraries newer than the one this was built with; null where it lacks the function.
template <typename Call>
Call Newer(const char* name) {
  return reinterpret_cast<Call>(dlsym(RTLD_DEFAULT, name));
}

constexpr const char* kChangeFinalization = "ostree_sysroot_change_finalization";

struct Feature {
  const char* name;
  const char* function;
};

constexpr Feature kFeatures[] = {
    {"changeFinalization", kChangeFinalization},
    {"updatePostCopy", "ostree_sysroot_update_post_copy"},
    {"kexecLoad", "ostree_sysroot_deployment_kexec_load"},
    {"softReboot", "ostree_sysroot_deployment_set_soft_reboot"},
};

Napi::Value Features(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  for (const Feature& feature : kFeatures) {
    object.Set(feature.name,
               Napi::Boolean::New(info.Env(), dlsym(RTLD_DEFAULT, feature.function) != nullptr));
  }
  return object;
}

std::string IdOf(OstreeDeployment* deployment) {
  if (deployment == nullptr) return "";
  DeploymentData data;
  data.stateroot = ostree_deployment_get_osname(deployment);
  data.checksum = ostree_deployment_get_csum(deployment);
  data.serial = ostree_deployment_get_deployserial(deployment);
  return data.id();
}

OstreeDeploymentUnlockedState CheckedUnlock(Napi::Value value) {
  const std::string text = CheckedString(value, "state");
  if (text == "development") return OSTREE_DEPLOYMENT_UNLOCKED_DEVELOPMENT;
  if (text == "hotfix") return OSTREE_DEPLOYMENT_UNLOCKED_HOTFIX;
  if (text == "transient") return OSTREE_DEPLOYMENT_UNLOCKED_TRANSIENT;
  throw InvalidArgumentValue(value.Env(), "state", "is not a way to unlock");
}

ToJs Snapshot(OstreeSysroot* sysroot) {
  return [deployments = ReadDeployments(sysroot)](Napi::Env env) {
    return DeploymentsToJs(env, deployments);
  };
}

}  // namespace

void InitSysrootFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("sysrootFeatures", Napi::Function::New<Features>(env));
}

Napi::Value Sysroot::Refresh(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) -> ToJs {
    if (!state->Load(job.cancellable())) return [](Napi::Env env) { return env.Null(); };
    return Snapshot(state->UseLoaded().get());
  });
}

Napi::Value Sysroot::Query(const Napi::CallbackInfo& info) {
  std::optional<std::string> stateroot = Arguments(info).OptionalString(0, "stateroot");
  return Start(info, [state = state(), stateroot = std::move(stateroot)](JobContext&) -> ToJs {
    auto sysroot = state->UseLoaded();
    // Without a name libostree takes the booted one's, unchecked.
    if (!stateroot && ostree_sysroot_get_booted_deployment(sysroot.get()) == nullptr) {
      throw NativeError("ERR_INVALID_STATE", "Not booted into this sysroot: name a stateroot")
          .Detail("path", state->path());
    }
    const char* name = stateroot ? stateroot->c_str() : nullptr;
    GObjectPtr<OstreeDeployment> pending, rollback;
    ostree_sysroot_query_deployments_for(sysroot.get(), name, pending.out(), rollback.out());
    auto merge = GObjectPtr<OstreeDeployment>::Take(
        ostree_sysroot_get_merge_deployment(sysroot.get(), name));
    return [pending = IdOf(pending.get()), rollback = IdOf(rollback.get()),
            merge = IdOf(merge.get())](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      if (!pending.empty()) object.Set("pending", pending);
      if (!rollback.empty()) object.Set("rollback", rollback);
      if (!merge.empty()) object.Set("merge", merge);
      return object;
    };
  });
}

Napi::Value Sysroot::UnlockDeployment(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  const OstreeDeploymentUnlockedState unlock = CheckedUnlock(info[1]);
  return Start(info, [state = state(), id = std::move(id), unlock](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    auto deployment = FindDeployment(sysroot.get(), id);
    OstreeDeployment* booted = ostree_sysroot_get_booted_deployment(sysroot.get());
    // It mounts an overlay over the running /usr.
    if (booted == nullptr || !ostree_deployment_equal(booted, deployment.get())) {
      throw NativeError("ERR_INVALID_STATE", "Only the booted deployment can be unlocked")
          .Detail("ref", id);
    }
    if (ostree_deployment_get_unlocked(deployment.get()) != OSTREE_DEPLOYMENT_UNLOCKED_NONE) {
      throw NativeError("ERR_INVALID_STATE", "The deployment is unlocked already")
          .Detail("ref", id);
    }
    GError* error = nullptr;
    if (!ostree_sysroot_deployment_unlock(sysroot.get(), deployment.get(), unlock,
                                          job.cancellable(), &error)) {
      throw FromGError(error, "Unlocking a deployment").Detail("ref", id);
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::ChangeFinalization(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    auto deployment = FindDeployment(sysroot.get(), id);
    const auto call =
        Newer<gboolean (*)(OstreeSysroot*, OstreeDeployment*, GError**)>(kChangeFinalization);
    if (call == nullptr) {
      throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                        "Changing the finalization of a deployment needs libostree 2023.8");
    }
    if (!ostree_deployment_is_staged(deployment.get())) {
      throw NativeError("ERR_INVALID_STATE", "The deployment is not staged").Detail("ref", id);
    }
    GError* error = nullptr;
    if (!call(sysroot.get(), deployment.get(), &error)) {
      throw FromGError(error, "Changing the finalization").Detail("ref", id);
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::SetKernelArgumentsInPlace(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  std::string text = CheckedString(info[1], "kernelArguments");
  if (text.find('\n') != std::string::npos) {
    throw InvalidArgumentValue(info.Env(), "kernelArguments", "must be one line");
  }
  return Start(info,
               [state = state(), id = std::move(id),
                text = std::move(text)](JobContext& job) mutable -> ToJs {
                 auto sysroot = state->UseLocked();
                 auto deployment = FindDeployment(sysroot.get(), id);
                 // The caller's list is without libostree's own argument, which names what boots.
                 OstreeBootconfigParser* boot = ostree_deployment_get_bootconfig(deployment.get());
                 const char* options =
                     boot != nullptr ? ostree_bootconfig_parser_get(boot, "options") : nullptr;
                 if (options == nullptr) {
                   throw NativeError("ERR_INVALID_STATE", "The deployment has no boot loader entry")
                       .Detail("ref", id);
                 }
                 GStrvPtr parts(g_strsplit(options, " ", -1));
                 for (char** part = parts.get(); *part != nullptr; ++part) {
                   if (g_str_has_prefix(*part, "ostree="))
                     text += (text.empty() ? "" : " ") + std::string(*part);
                 }
                 GError* error = nullptr;
                 if (!ostree_sysroot_deployment_set_kargs_in_place(
                         sysroot.get(), deployment.get(), text.data(), job.cancellable(), &error)) {
                   throw FromGError(error, "Setting kernel arguments").Detail("ref", id);
                 }
                 state->Reload(job.cancellable());
                 return Snapshot(sysroot.get());
               });
}

Napi::Value Sysroot::PrepareCleanup(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) {
    auto sysroot = state->UseLocked();
    GError* error = nullptr;
    if (!ostree_sysroot_prepare_cleanup(sysroot.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Cleaning up the sysroot").Detail("path", state->path());
    }
    return Undefined();
  });
}

Napi::Value Sysroot::PruneRepo(const Napi::CallbackInfo& info) {
  Options options(info.Env(), info[0], "options");
  int flags = OSTREE_REPO_PRUNE_FLAGS_NONE;
  if (options.Bool("refsOnly", false)) flags |= OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY;
  if (options.Bool("dryRun", false)) flags |= OSTREE_REPO_PRUNE_FLAGS_NO_PRUNE;
  return Start(info, [state = state(), flags](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    GHashTablePtr reachable(ostree_repo_traverse_new_reachable());
    OstreeRepoPruneOptions prune = {};
    prune.flags = static_cast<OstreeRepoPruneFlags>(flags);
    prune.reachable = reachable.get();
    gint total = 0, pruned = 0;
    guint64 bytes = 0;
    GError* error = nullptr;
    if (!ostree_sysroot_cleanup_prune_repo(sysroot.get(), &prune, &total, &pruned, &bytes,
                                           job.cancellable(), &error)) {
      throw FromGError(error, "Pruning the repository").Detail("path", state->path());
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

Napi::Value Sysroot::StageOverlayInitrd(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Start(info, [state = state(), path = std::move(path)](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw FromErrno(errno, "Opening an initrd", path);
    GStringPtr checksum;
    GError* error = nullptr;
    if (!ostree_sysroot_stage_overlay_initrd(sysroot.get(), fd.get(), Out(checksum),
                                             job.cancellable(), &error)) {
      throw FromGError(error, "Staging an initrd").Detail("path", path);
    }
    return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, text);
    };
  });
}

}  // namespace apt_ostree
