// Sysroot: calls that are newer than libostree 2022.7, found at run time.
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/deployment.h"
#include "ostree/features.h"
#include "ostree/sysroot.h"

namespace apt_ostree {

namespace {

ToJs Snapshot(OstreeSysroot* sysroot) {
  return [deployments = ReadDeployments(sysroot)](Napi::Env env) {
    return DeploymentsToJs(env, deployments);
  };
}

GObjectPtr<OstreeDeployment> RequireStaged(OstreeSysroot* sysroot, const std::string& id) {
  auto deployment = FindDeployment(sysroot, id);
  if (ostree_deployment_is_staged(deployment.get())) return deployment;
  throw NativeError("ERR_INVALID_STATE", "The deployment is not staged").Detail("ref", id);
}

void RequireBooted(const SysrootState& state, OstreeSysroot* sysroot) {
  if (ostree_sysroot_get_booted_deployment(sysroot) != nullptr) return;
  throw NativeError("ERR_INVALID_STATE", "Not booted into this sysroot")
      .Detail("path", state.path());
}

}  // namespace

// 2023.8
Napi::Value Sysroot::ChangeFinalization(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const auto call = RequireOstree<gboolean (*)(OstreeSysroot*, OstreeDeployment*, GError**)>(
        "ostree_sysroot_change_finalization");
    auto deployment = RequireStaged(sysroot.get(), id);
    GError* error = nullptr;
    if (!call(sysroot.get(), deployment.get(), &error)) {
      throw FromGError(error, "Changing the finalization").Detail("ref", id);
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

// 2023.8
Napi::Value Sysroot::UpdatePostCopy(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const auto call = RequireOstree<gboolean (*)(OstreeSysroot*, GCancellable*, GError**)>(
        "ostree_sysroot_update_post_copy");
    GError* error = nullptr;
    if (!call(sysroot.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Updating a copied sysroot").Detail("path", state->path());
    }
    return Snapshot(sysroot.get());
  });
}

// 2025.1
Napi::Value Sysroot::KexecLoad(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const auto call =
        RequireOstree<gboolean (*)(OstreeSysroot*, OstreeDeployment*, GCancellable*, GError**)>(
            "ostree_sysroot_deployment_kexec_load");
    auto deployment = FindDeployment(sysroot.get(), id);
    GError* error = nullptr;
    if (!call(sysroot.get(), deployment.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Loading a kernel").Detail("ref", id);
    }
    return Undefined();
  });
}

// 2025.3
Napi::Value Sysroot::SetSoftReboot(const Napi::CallbackInfo& info) {
  std::optional<std::string> id = Arguments(info).OptionalString(0, "id");
  const bool skew = Arguments(info).Bool(1, "allowKernelSkew");
  return Start(info, [state = state(), id = std::move(id), skew](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const auto set =
        RequireOstree<gboolean (*)(OstreeSysroot*, OstreeDeployment*, gboolean, GCancellable*,
                                   GError**)>("ostree_sysroot_deployment_set_soft_reboot");
    const auto clear = RequireOstree<gboolean (*)(OstreeSysroot*, GCancellable*, GError**)>(
        "ostree_sysroot_clear_soft_reboot");
    RequireBooted(*state, sysroot.get());
    GError* error = nullptr;
    const bool done = id ? set(sysroot.get(), FindDeployment(sysroot.get(), *id).get(), skew,
                               job.cancellable(), &error) != FALSE
                         : clear(sysroot.get(), job.cancellable(), &error) != FALSE;
    if (!done) throw FromGError(error, "Preparing a soft reboot").Detail("path", state->path());
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

// 2025.3
Napi::Value Sysroot::CanSoftReboot(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext&) -> ToJs {
    auto sysroot = state->UseLoaded();
    const auto call = RequireOstree<gboolean (*)(OstreeSysroot*, OstreeDeployment*)>(
        "ostree_sysroot_deployment_can_soft_reboot");
    const bool can = call(sysroot.get(), FindDeployment(sysroot.get(), id).get()) != FALSE;
    return [can](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, can); };
  });
}

}  // namespace apt_ostree
