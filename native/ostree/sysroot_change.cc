// Sysroot: questions about deployments, and changes beside deploying.
#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/open.h"
#include "core/values.h"
#include "ostree/bootconfig.h"
#include "ostree/deployment.h"
#include "ostree/kernel_args.h"
#include "ostree/reachable.h"
#include "ostree/sysroot.h"

namespace apt_ostree {

namespace {

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

// libostree's own dry run removes static deltas all the same. Links to payloads go with their
// files and are not counted.
void CountUnreachable(OstreeRepo* repo, const Reachable& keep, JobContext& job, gint* total,
                      gint* pruned, guint64* bytes) {
  const GHashTablePtr stored = StoredObjects(repo, false, job.cancellable());
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, stored.get());
  while (g_hash_table_iter_next(&iter, &key, nullptr)) {
    job.ThrowIfCancelled();
    auto* variant = static_cast<GVariant*>(key);
    const ObjectName name = NameOf(variant);
    ++*total;
    if (keep.Contains(variant) || name.type == OSTREE_OBJECT_TYPE_PAYLOAD_LINK) continue;
    guint64 size = 0;
    GError* error = nullptr;
    if (!ostree_repo_query_object_storage_size(repo, name.type, name.checksum.c_str(), &size,
                                               job.cancellable(), &error)) {
      throw FromGError(error, "Looking at an object").Detail("ref", name.checksum);
    }
    ++*pruned;
    *bytes += size;
  }
}

}  // namespace

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
    const auto alone = DeployAlone(job.cancellable());
    GError* error = nullptr;
    if (!ostree_sysroot_deployment_unlock(sysroot.get(), deployment.get(), unlock,
                                          job.cancellable(), &error)) {
      throw FromGError(error, "Unlocking a deployment").Detail("ref", id);
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::BootArguments(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext&) -> ToJs {
    auto sysroot = state->UseLoaded();
    auto deployment = FindDeployment(sysroot.get(), id);
    return [list = apt_ostree::BootArguments(deployment.get())](Napi::Env env) {
      return StringsToJs(env, list);
    };
  });
}

// A copy: the entry belongs to the deployment.
Napi::Value Sysroot::BootEntry(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  return Start(info, [state = state(), id = std::move(id)](JobContext&) -> ToJs {
    auto sysroot = state->UseLoaded();
    auto deployment = FindDeployment(sysroot.get(), id);
    OstreeBootconfigParser* boot = ostree_deployment_get_bootconfig(deployment.get());
    if (boot == nullptr) {
      throw NativeError("ERR_INVALID_STATE", "The deployment has no boot loader entry")
          .Detail("ref", id);
    }
    auto entry = std::make_shared<BootConfigState>(
        GObjectPtr<OstreeBootconfigParser>::Take(ostree_bootconfig_parser_clone(boot)));
    return [entry](Napi::Env env) -> Napi::Value { return BootConfig::Create(env, entry); };
  });
}

Napi::Value Sysroot::BootVersions(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext&) -> ToJs {
    auto sysroot = state->UseLoaded();
    const int boot = ostree_sysroot_get_bootversion(sysroot.get());
    const int subboot = ostree_sysroot_get_subbootversion(sysroot.get());
    return [boot, subboot](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("boot", boot);
      object.Set("subboot", subboot);
      return object;
    };
  });
}

Napi::Value Sysroot::TakeMessages(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext&) -> ToJs {
    (void)state->Use();
    return [messages = state->TakeMessages()](Napi::Env env) { return StringsToJs(env, messages); };
  });
}

Napi::Value Sysroot::SetKernelArgumentsInPlace(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  std::vector<std::string> list = CheckedKernelArguments(info[1], "kernelArguments");
  return Start(info,
               [state = state(), id = std::move(id),
                list = std::move(list)](JobContext& job) mutable -> ToJs {
                 auto sysroot = state->UseLocked();
                 auto deployment = FindDeployment(sysroot.get(), id);
                 if (apt_ostree::BootArguments(deployment.get()).empty()) {
                   throw NativeError("ERR_INVALID_STATE", "The deployment has no boot loader entry")
                       .Detail("ref", id);
                 }
                 // The caller's list is without libostree's own argument, which names what boots.
                 KeepOstreeArgument(deployment.get(), &list);
                 std::string text;
                 for (const std::string& argument : list)
                   text += (text.empty() ? "" : " ") + argument;
                 const auto alone = DeployAlone(job.cancellable());
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
  const bool dry_run = options.Bool("dryRun", false);
  return Start(info, [state = state(), flags, dry_run](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    OstreeRepo* repo = ostree_sysroot_repo(sysroot.get());
    Reachable keep(repo, job, false);
    keep.AddRefs(0);
    const GPtrArrayPtr deployments(ostree_sysroot_get_deployments(sysroot.get()));
    for (guint i = 0; i < deployments->len; ++i) {
      auto* deployment = static_cast<OstreeDeployment*>(deployments->pdata[i]);
      keep.AddCommit(ostree_deployment_get_csum(deployment), 0);
    }
    gint total = 0, pruned = 0;
    guint64 bytes = 0;
    if (dry_run) {
      CountUnreachable(repo, keep, job, &total, &pruned, &bytes);
    } else {
      OstreeRepoPruneOptions prune = {};
      prune.flags = static_cast<OstreeRepoPruneFlags>(flags);
      prune.reachable = keep.get();
      GError* error = nullptr;
      if (!ostree_sysroot_cleanup_prune_repo(sysroot.get(), &prune, &total, &pruned, &bytes,
                                             job.cancellable(), &error)) {
        throw FromGError(error, "Pruning the repository").Detail("path", state->path());
      }
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
    const UniqueFd fd = OpenRegular(path, "Opening an initrd");
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
