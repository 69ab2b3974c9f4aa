// OstreeSysrootUpgrader: pull what a deployment's origin names and deploy it.
#include <optional>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/deployment.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/progress.h"
#include "ostree/repo.h"
#include "ostree/sysroot.h"

namespace apt_ostree {

namespace {

struct UpgradeOptions {
  std::optional<std::string> stateroot, refspec, directory, commit;
  bool allow_older = false, pull = true, deploy = true, stage = false;
};

// A deployment shows another origin as its own while this lives.
class OriginInPlace {
 public:
  OriginInPlace(OstreeDeployment* deployment, GKeyFile* origin) : deployment_(deployment) {
    GKeyFile* before = ostree_deployment_get_origin(deployment);
    if (before != nullptr) before_.reset(g_key_file_ref(before));
    ostree_deployment_set_origin(deployment, origin);
  }
  ~OriginInPlace() { ostree_deployment_set_origin(deployment_, before_.get()); }
  OriginInPlace(const OriginInPlace&) = delete;
  OriginInPlace& operator=(const OriginInPlace&) = delete;

 private:
  OstreeDeployment* deployment_;
  GKeyFilePtr before_;
};

GObjectPtr<OstreeSysrootUpgrader> NewUpgrader(OstreeSysroot* sysroot, const UpgradeOptions& upgrade,
                                              GCancellable* cancellable) {
  const char* stateroot = upgrade.stateroot ? upgrade.stateroot->c_str() : nullptr;
  auto merge =
      GObjectPtr<OstreeDeployment>::Take(ostree_sysroot_get_merge_deployment(sysroot, stateroot));
  // The new deployment gets the origin file of the one that it is merged with as it stands: keys
  // and comments that this does not know belong to others.
  GKeyFilePtr origin = merge ? LoadOrigin(sysroot, merge.get()) : GKeyFilePtr(g_key_file_new());
  std::optional<OriginInPlace> in_place;
  if (upgrade.refspec) {
    g_key_file_set_string(origin.get(), "origin", "refspec", upgrade.refspec->c_str());
    // It is about what the origin named before.
    g_key_file_remove_key(origin.get(), "origin", "unconfigured-state", nullptr);
    // The upgrader reads what the origin names, though it is given something else afterwards.
    if (merge) in_place.emplace(merge.get(), origin.get());
  }
  // As the command: an earlier commit that was asked for, and what is said of a hotfix, end here.
  ostree_deployment_origin_remove_transient_state(origin.get());
  if (upgrade.commit) {
    g_key_file_set_string(origin.get(), "origin", "override-commit", upgrade.commit->c_str());
  }
  int flags = 0;
  if (upgrade.refspec) flags |= OSTREE_SYSROOT_UPGRADER_FLAGS_IGNORE_UNCONFIGURED;
  if (upgrade.stage) flags |= OSTREE_SYSROOT_UPGRADER_FLAGS_STAGE;
  GError* error = nullptr;
  auto upgrader =
      GObjectPtr<OstreeSysrootUpgrader>::Take(ostree_sysroot_upgrader_new_for_os_with_flags(
          sysroot, stateroot, static_cast<OstreeSysrootUpgraderFlags>(flags), cancellable, &error));
  if (!upgrader) throw FromGError(error, "Upgrading");
  if (g_key_file_has_key(origin.get(), "origin", "refspec", nullptr) &&
      !ostree_sysroot_upgrader_set_origin(upgrader.get(), origin.get(), cancellable, &error)) {
    throw FromGError(error, "Setting the origin").Detail("ref", upgrade.refspec.value_or(""));
  }
  return upgrader;
}

}  // namespace

Napi::Value Sysroot::Upgrade(const Napi::CallbackInfo& info) {
  const Options options(info.Env(), info[0], "options");
  UpgradeOptions upgrade;
  upgrade.stateroot = options.OptionalString("stateroot");
  if (options.Has("refspec")) {
    CheckedRefspec(options.Raw("refspec"), "refspec");
    upgrade.refspec = options.String("refspec");
  }
  if (options.Has("directory")) {
    upgrade.directory = TreePathText(CheckedTreePath(options.Raw("directory"), "directory"));
  }
  upgrade.commit = CheckedOptionalChecksum(options.Raw("overrideCommit"), "overrideCommit");
  upgrade.allow_older = options.Bool("allowOlder", false);
  upgrade.pull = options.Bool("pull", true);
  upgrade.deploy = options.Bool("deploy", true);
  upgrade.stage = options.Bool("stage", false);
  Work work = [state = state(), upgrade = std::move(upgrade)](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    const bool booted = ostree_sysroot_get_booted_deployment(sysroot.get()) != nullptr;
    if (!booted && (!upgrade.stateroot || upgrade.stage)) {
      throw NativeError("ERR_INVALID_STATE", "Not booted into this sysroot")
          .Detail("path", state->path());
    }
    const ScopedContext context;
    GError* error = nullptr;
    RequireRepository(state->path() + "/ostree/repo");
    // Remotes may have been added by others since the sysroot was loaded.
    if (!ostree_repo_reload_config(ostree_sysroot_repo(sysroot.get()), job.cancellable(), &error)) {
      throw FromGError(error, "Reading the configuration").Detail("path", state->path());
    }
    if (upgrade.deploy) state->UseToBoot();
    const auto upgrader = NewUpgrader(sysroot.get(), upgrade, job.cancellable());
    int pull = OSTREE_SYSROOT_UPGRADER_PULL_FLAGS_NONE;
    if (upgrade.allow_older) pull |= OSTREE_SYSROOT_UPGRADER_PULL_FLAGS_ALLOW_OLDER;
    if (!upgrade.pull) pull |= OSTREE_SYSROOT_UPGRADER_PULL_FLAGS_SYNTHETIC;
    gboolean changed = FALSE;
    bool pulled = false;
    {
      const CancelGuard guard(job.cancellable());
      Progress progress(job);
      pulled = ostree_sysroot_upgrader_pull_one_dir(
                   upgrader.get(), upgrade.directory ? upgrade.directory->c_str() : nullptr,
                   OSTREE_REPO_PULL_FLAGS_NONE, static_cast<OstreeSysrootUpgraderPullFlags>(pull),
                   progress.get(), &changed, job.cancellable(), &error) != FALSE;
      progress.Finish();
    }
    if (!pulled && job.cancelled()) {
      g_clear_error(&error);
      throw Aborted();
    }
    if (!pulled) throw FromGError(error, "Upgrading").Detail("path", state->path());
    const bool deploy = upgrade.deploy && (changed || upgrade.refspec);
    if (deploy) {
      const auto alone = DeployAlone(job.cancellable());
      if (!ostree_sysroot_upgrader_deploy(upgrader.get(), job.cancellable(), &error)) {
        throw FromGError(error, "Deploying").Detail("path", state->path());
      }
    }
    state->Load(job.cancellable());
    return [changed = changed != FALSE, deploy,
            deployments = ReadDeployments(sysroot.get())](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("changed", Napi::Boolean::New(env, changed));
      object.Set("deployed", Napi::Boolean::New(env, deploy));
      object.Set("deployments", DeploymentsToJs(env, deployments));
      return object;
    };
  };
  return Start(info, std::move(work), info[1]);
}

}  // namespace apt_ostree
