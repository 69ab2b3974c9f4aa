#include "ostree/sysroot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/open.h"
#include "ostree/deployment.h"
#include "ostree/kernel_args.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// As libostree has it where nothing is configured.
constexpr int kLockSeconds = 30;

// A stateroot becomes a directory name, part of boot loader entries and of a kernel argument.
std::string CheckedStateroot(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  const bool good = !text.empty() && text.size() <= 128 && text[0] != '.' && text[0] != '-' &&
                    std::all_of(text.begin(), text.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                    });
  if (!good) {
    throw InvalidArgumentValue(value.Env(), name,
                               "must be letters, digits, '-', '_' and '.', not starting with "
                               "'-' or '.'");
  }
  return text;
}

ToJs Snapshot(OstreeSysroot* sysroot) {
  return [deployments = ReadDeployments(sysroot)](Napi::Env env) {
    return DeploymentsToJs(env, deployments);
  };
}

// libostree finds a kernel in these places; its error for none is a plain "failed".
void RequireKernel(OstreeRepo* repo, const std::string& commit, GCancellable* cancellable) {
  EntryReader reader(repo, cancellable);
  const TreeChecksums root = RootOf(repo, commit);
  const auto any = [&](const TreePath& path, const std::function<bool(const TreeEntry&)>& match) {
    TreeChecksums directory;
    try {
      if (reader.Find(root, path, &directory).type != TreeEntry::Type::kDirectory) return false;
    } catch (const NativeError& error) {
      if (error.code() == "ENOENT" || error.code() == "ENOTDIR") return false;
      throw;
    }
    bool found = false;
    reader.Walk(TreePathText(path), directory.contents, false,
                [&](const TreeEntry& entry) { found = found || match(entry); });
    return found;
  };
  const auto named = [](const char* prefix) {
    return [prefix](const TreeEntry& entry) {
      const std::string base = entry.path.substr(entry.path.rfind('/') + 1);
      return g_str_has_prefix(base.c_str(), prefix) != FALSE;
    };
  };
  const bool found =
      any({"usr", "lib", "modules"},
          [&](const TreeEntry& entry) {
            const std::string version = entry.path.substr(entry.path.rfind('/') + 1);
            return entry.type == TreeEntry::Type::kDirectory &&
                   any({"usr", "lib", "modules", version}, [](const TreeEntry& file) {
                     return g_str_has_suffix(file.path.c_str(), "/vmlinuz") != FALSE;
                   });
          }) ||
      any({"usr", "lib", "ostree-boot"}, named("vmlinuz-")) || any({"boot"}, named("vmlinuz-"));
  if (found) return;
  throw NativeError("ERR_OSTREE_NO_KERNEL",
                    "The tree has no kernel: no usr/lib/modules/VERSION/vmlinuz")
      .Detail("ref", commit);
}

struct DeployOptions {
  std::string stateroot;
  std::string rev;
  std::optional<std::string> refspec;
  KeyFileGroups origin;
  std::optional<std::vector<std::string>> kernel_arguments;
  // Absent: libostree's choice; empty: none.
  std::optional<std::string> merge;
  // Checksums of what stageOverlayInitrd took in.
  std::vector<std::string> overlay_initrds;
  bool stage = false;
  bool lock_finalization = false;
  int flags = OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_NO_CLEAN;
};

DeployOptions CheckedDeployOptions(const Options& options) {
  DeployOptions deploy;
  deploy.stateroot = CheckedStateroot(options.Raw("stateroot"), "stateroot");
  deploy.rev = CheckedRev(options.Raw("rev"), "rev");
  if (options.Has("refspec")) {
    CheckedRefspec(options.Raw("refspec"), "refspec");
    deploy.refspec = options.String("refspec");
  }
  deploy.origin = CheckedOrigin(options.Raw("origin"), "origin");
  if (options.Has("kernelArguments")) {
    deploy.kernel_arguments =
        CheckedKernelArguments(options.Raw("kernelArguments"), "kernelArguments");
  }
  deploy.merge = options.OptionalString("merge");
  if (options.Has("overlayInitrds")) {
    Napi::Value list = options.Raw("overlayInitrds");
    deploy.overlay_initrds = CheckedStrings(list, "overlayInitrds");
    for (const std::string& checksum : deploy.overlay_initrds) {
      if (!IsChecksum(checksum)) {
        throw InvalidArgumentValue(list.Env(), "overlayInitrds", "must hold checksums");
      }
    }
  }
  deploy.stage = options.Bool("stage", false);
  deploy.lock_finalization = options.Bool("lockFinalization", false);
  if (options.Bool("retain", false)) {
    deploy.flags |= OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_RETAIN;
  }
  if (options.Bool("retainPending", false)) {
    deploy.flags |= OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_RETAIN_PENDING;
  }
  if (options.Bool("retainRollback", false)) {
    deploy.flags |= OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_RETAIN_ROLLBACK;
  }
  if (options.Bool("notAsDefault", false)) {
    deploy.flags |= OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_NOT_DEFAULT;
  }
  return deploy;
}

// Pointers into `texts`, null-terminated.
std::vector<char*> Argv(std::vector<std::string>& texts) {
  std::vector<char*> argv;
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  return argv;
}

void RequireWholeCommit(OstreeRepo* repo, const std::string& commit) {
  OstreeRepoCommitState state = OSTREE_REPO_COMMIT_STATE_NORMAL;
  VariantPtr variant;
  GError* error = nullptr;
  if (!ostree_repo_load_commit(repo, commit.c_str(), variant.out(), &state, &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", commit);
  }
  if ((state & OSTREE_REPO_COMMIT_STATE_PARTIAL) == 0) return;
  throw NativeError("ERR_INVALID_STATE", "The commit is partial: objects of it may be missing")
      .Detail("ref", commit);
}

// The system's shutdown finishes what is staged, so there must be one that was booted from here.
void PrepareStaging(const SysrootState& state, OstreeSysroot* sysroot, bool lock) {
  if (ostree_sysroot_get_booted_deployment(sysroot) == nullptr) {
    throw NativeError("ERR_INVALID_STATE", "Staging needs the booted sysroot")
        .Detail("path", state.path());
  }
  if (!lock) return;
  // What `ostree admin deploy --lock-finalization` leaves for the shutdown to see.
  const char* path = "/run/ostree/staged-deployment-locked";
  if (mkdir("/run/ostree", 0755) != 0 && errno != EEXIST) {
    throw FromErrno(errno, "Locking the finalization", "/run/ostree");
  }
  const UniqueFd file(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file) throw FromErrno(errno, "Locking the finalization", path);
}

// Deploys and puts the deployment on the boot list. Returns its id.
std::string DeployTree(const SysrootState& state, OstreeSysroot* sysroot, DeployOptions& options,
                       GCancellable* cancellable) {
  const std::string directory = state.path() + "/ostree/deploy/" + options.stateroot + "/var";
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    throw FromErrno(errno, "No such stateroot", directory);
  }
  if (options.stage) PrepareStaging(state, sysroot, options.lock_finalization);
  OstreeRepo* repo = ostree_sysroot_repo(sysroot);
  const std::string commit = ResolveCommit(repo, options.rev);
  RequireWholeCommit(repo, commit);
  SoundTrees(repo, cancellable).Commit(commit);
  RequireKernel(repo, commit, cancellable);
  GObjectPtr<OstreeDeployment> merge;
  if (!options.merge) {
    merge = GObjectPtr<OstreeDeployment>::Take(
        ostree_sysroot_get_merge_deployment(sysroot, options.stateroot.c_str()));
  } else if (!options.merge->empty()) {
    merge = FindDeployment(sysroot, *options.merge);
  }
  GKeyFilePtr origin(options.refspec
                         ? ostree_sysroot_origin_new_from_refspec(sysroot, options.refspec->c_str())
                         : g_key_file_new());
  WriteInto(origin.get(), options.origin);
  std::vector<char*> argv;
  if (options.kernel_arguments) argv = Argv(*options.kernel_arguments);
  GError* error = nullptr;
  if (!ostree_sysroot_prepare_cleanup(sysroot, cancellable, &error)) {
    throw FromGError(error, "Clearing what an interrupted deploy left")
        .Detail("path", state.path());
  }
  GObjectPtr<OstreeDeployment> deployment;
  std::vector<char*> initrds = Argv(options.overlay_initrds);
  OstreeSysrootDeployTreeOpts tree = {};
  tree.override_kernel_argv = argv.empty() ? nullptr : argv.data();
  tree.overlay_initrds = options.overlay_initrds.empty() ? nullptr : initrds.data();
  const auto deploy = options.stage ? ostree_sysroot_stage_tree_with_options
                                    : ostree_sysroot_deploy_tree_with_options;
  if (!deploy(sysroot, options.stateroot.c_str(), commit.c_str(), origin.get(), merge.get(), &tree,
              deployment.out(), cancellable, &error)) {
    throw FromGError(error, "Deploying").Detail("path", state.path()).Detail("ref", options.rev);
  }
  if (!options.stage && !ostree_sysroot_simple_write_deployment(
                            sysroot, options.stateroot.c_str(), deployment.get(), merge.get(),
                            static_cast<OstreeSysrootSimpleWriteDeploymentFlags>(options.flags),
                            cancellable, &error)) {
    throw FromGError(error, "Writing the boot list").Detail("path", state.path());
  }
  DeploymentData data;
  data.stateroot = ostree_deployment_get_osname(deployment.get());
  data.checksum = ostree_deployment_get_csum(deployment.get());
  data.serial = ostree_deployment_get_deployserial(deployment.get());
  return data.id();
}

}  // namespace

void Sysroot::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&Sysroot::Open>("open"),
             InstanceMethod<&Sysroot::Close>("close"),
             InstanceMethod<&Sysroot::Load>("load"),
             InstanceMethod<&Sysroot::OpenRepo>("repo"),
             InstanceMethod<&Sysroot::TryLock>("tryLock"),
             InstanceMethod<&Sysroot::TryLockRepo>("tryLockRepo"),
             InstanceMethod<&Sysroot::UnlockRepo>("unlockRepo"),
             InstanceMethod<&Sysroot::Unlock>("unlock"),
             InstanceMethod<&Sysroot::InitStateroot>("initStateroot"),
             InstanceMethod<&Sysroot::Deploy>("deploy"),
             InstanceMethod<&Sysroot::WriteDeployments>("writeDeployments"),
             InstanceMethod<&Sysroot::SetPinned>("setPinned"),
             InstanceMethod<&Sysroot::SetMutable>("setMutable"),
             InstanceMethod<&Sysroot::SetOrigin>("setOrigin"),
             InstanceMethod<&Sysroot::SetKernelArguments>("setKernelArguments"),
             InstanceMethod<&Sysroot::Cleanup>("cleanup"),
             InstanceMethod<&Sysroot::Refresh>("refresh"),
             InstanceMethod<&Sysroot::Query>("query"),
             InstanceMethod<&Sysroot::UnlockDeployment>("unlockDeployment"),
             InstanceMethod<&Sysroot::ChangeFinalization>("changeFinalization"),
             InstanceMethod<&Sysroot::UpdatePostCopy>("updatePostCopy"),
             InstanceMethod<&Sysroot::KexecLoad>("kexecLoad"),
             InstanceMethod<&Sysroot::SetSoftReboot>("setSoftReboot"),
             InstanceMethod<&Sysroot::CanSoftReboot>("canSoftReboot"),
             InstanceMethod<&Sysroot::SetKernelArgumentsInPlace>("setKernelArgumentsInPlace"),
             InstanceMethod<&Sysroot::BootArguments>("bootArguments"),
             InstanceMethod<&Sysroot::BootEntry>("bootEntry"),
             InstanceMethod<&Sysroot::BootVersions>("bootVersions"),
             InstanceMethod<&Sysroot::TakeMessages>("takeMessages"),
             InstanceMethod<&Sysroot::PrepareCleanup>("prepareCleanup"),
             InstanceMethod<&Sysroot::PruneRepo>("pruneRepo"),
             InstanceMethod<&Sysroot::StageOverlayInitrd>("stageOverlayInitrd"),
             InstanceMethod<&Sysroot::Upgrade>("upgrade"),
         });
}

Napi::Value Sysroot::Start(const Napi::CallbackInfo& info, Work work, Napi::Value progress) const {
  AddonData& data = AddonData::Of(info.Env());
  if (progress.IsEmpty()) progress = info.Env().Undefined();
  if (state()->closing) {
    work = [path = state()->path()](JobContext&) -> ToJs {
      throw NativeError("ERR_CLOSED", "The sysroot is closed").Detail("path", path);
    };
  } else if (Executor* thread = state()->thread()) {
    return Job::Start(info.Env(), *thread, nullptr, progress, std::move(work));
  }
  return Job::Start(info.Env(), data.waiting(), state()->lane(), progress, std::move(work));
}

// open(path, initialize, whether in a mount namespace of its own)
Napi::Value Sysroot::Open(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  const bool initialize = arguments.Bool(1, "initialize");
  const bool apart = arguments.Bool(2, "privateNamespace");
  AddonData& data = AddonData::Of(info.Env());
  // GLib starts the thread that starts its shared ones where it needs them first; a thread inherits
  // the mount namespace of the one that starts it.
  g_task_get_type();
  auto state =
      std::make_shared<SysrootState>(path, apart ? data.NewThread("ostree-sysroot") : nullptr);
  Work work = [state, path = std::move(path), initialize](JobContext& job) -> ToJs {
    struct stat found {};
    if (stat((path + "/ostree/repo/config").c_str(), &found) == 0) {
      RequireRepository(path + "/ostree/repo");
    }
    if (initialize) {
      // As `ostree admin init-fs --modern` leaves it: boot and ostree, nothing else.
      const std::string boot = path + "/boot";
      if (mkdir(boot.c_str(), 0755) != 0 && errno != EEXIST) {
        throw FromErrno(errno, "Creating the sysroot", boot);
      }
      GError* error = nullptr;
      if (!ostree_sysroot_ensure_initialized(state->Use().get(), job.cancellable(), &error)) {
        throw FromGError(error, "Creating the sysroot").Detail("path", path);
      }
    }
    if (state->thread() != nullptr) {
      state->LoadInNamespace(job.cancellable());
    } else {
      state->Load(job.cancellable());
    }
    return [state](Napi::Env env) -> Napi::Value { return Sysroot::Create(env, state); };
  };
  return Job::Start(info.Env(), apart ? *state->thread() : data.waiting(), nullptr,
                    info.Env().Undefined(), std::move(work));
}

Napi::Value Sysroot::Close(const Napi::CallbackInfo& info) {
  if (state()->closing) return Job::Done(info.Env(), info.Env().Undefined());
  Napi::Value job = Start(info, [state = state()](JobContext&) {
    state->Close();
    return Undefined();
  });
  state()->closing = true;
  if (Executor* thread = state()->thread()) thread->Finish();
  return job;
}

Napi::Value Sysroot::Load(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) {
    state->Load(job.cancellable());
    return Snapshot(state->UseLoaded().get());
  });
}

Napi::Value Sysroot::OpenRepo(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) -> ToJs {
    state->UseLoaded();
    RequireRepository(state->path() + "/ostree/repo");
    // A handle of its own: on the sysroot's, a clean-up would prune inside the transactions of
    // the caller, because libostree only upgrades a lock that the same handle holds.
    auto repo_path =
        GObjectPtr<GFile>::Take(g_file_new_for_path((state->path() + "/ostree/repo").c_str()));
    auto sysroot_path = GObjectPtr<GFile>::Take(g_file_new_for_path(state->path().c_str()));
    // Remotes go to /etc/ostree/remotes.d only where libostree's own handle of a sysroot looks for
    // them there: in a deployment, which a directory of this name tells from a physical root.
    struct stat in_deployment {};
    auto repo = GObjectPtr<OstreeRepo>::Take(
        stat((state->path() + "/sysroot").c_str(), &in_deployment) == 0
            ? ostree_repo_new_for_sysroot_path(repo_path.get(), sysroot_path.get())
            : ostree_repo_new(repo_path.get()));
    GError* error = nullptr;
    if (!ostree_repo_open(repo.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Opening the repository").Detail("path", state->path());
    }
    auto repo_state = std::make_shared<RepoState>(std::move(repo), state->path() + "/ostree/repo");
    return [repo_state](Napi::Env env) -> Napi::Value { return Repo::Create(env, repo_state); };
  });
}

Napi::Value Sysroot::TryLock(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) -> ToJs {
    if (!state->TryLock(job.cancellable())) return [](Napi::Env env) { return env.Null(); };
    return Snapshot(state->UseLoaded().get());
  });
}

// tryLockRepo(): null with the exclusive lock, else how many seconds it may be waited for.
Napi::Value Sysroot::TryLockRepo(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) -> ToJs {
    auto sysroot = state->UseLocked();
    auto repo = GObjectPtr<OstreeRepo>::Share(ostree_sysroot_repo(sysroot.get()));
    const std::string path = state->path() + "/ostree/repo";
    if (state->repo_locks().Try(repo, path, true, false, job.cancellable())) {
      return [](Napi::Env env) { return env.Null(); };
    }
    GKeyFile* config = ostree_repo_get_config(repo.get());
    const int seconds = g_key_file_has_key(config, "core", "lock-timeout-secs", nullptr)
                            ? g_key_file_get_integer(config, "core", "lock-timeout-secs", nullptr)
                            : kLockSeconds;
    return [seconds](Napi::Env env) { return Napi::Number::New(env, seconds); };
  });
}

Napi::Value Sysroot::UnlockRepo(const Napi::CallbackInfo& info) {
  // Closing lets it go.
  if (state()->closing) return Job::Done(info.Env(), info.Env().Undefined());
  return Start(info, [state = state()](JobContext&) {
    state->repo_locks().Release(true);
    return Undefined();
  });
}

Napi::Value Sysroot::Unlock(const Napi::CallbackInfo& info) {
  // Closing lets it go.
  if (state()->closing) return Job::Done(info.Env(), info.Env().Undefined());
  return Start(info, [state = state()](JobContext&) {
    state->Unlock();
    return Undefined();
  });
}

Napi::Value Sysroot::InitStateroot(const Napi::CallbackInfo& info) {
  std::string name = CheckedStateroot(info[0], "name");
  return Start(info, [state = state(), name = std::move(name)](JobContext& job) {
    auto sysroot = state->UseLocked();
    GError* error = nullptr;
    if (!ostree_sysroot_init_osname(sysroot.get(), name.c_str(), job.cancellable(), &error)) {
      throw FromGError(error, "Creating a stateroot").Detail("path", state->path());
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::Deploy(const Napi::CallbackInfo& info) {
  DeployOptions options = CheckedDeployOptions(Options(info.Env(), info[0], "options"));
  return Start(
      info, [state = state(), options = std::move(options)](JobContext& job) mutable -> ToJs {
        auto sysroot = state->UseToBoot();
        const auto alone = DeployAlone(job.cancellable());
        std::string id = DeployTree(*state, sysroot.get(), options, job.cancellable());
        state->Load(job.cancellable());
        return [id = std::move(id),
                deployments = ReadDeployments(sysroot.get())](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("id", id);
          object.Set("deployments", DeploymentsToJs(env, deployments));
          return object;
        };
      });
}

Napi::Value Sysroot::WriteDeployments(const Napi::CallbackInfo& info) {
  std::vector<std::string> ids = CheckedStrings(info[0], "ids");
  std::vector<std::string> sorted = ids;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw InvalidArgumentValue(info.Env(), "ids", "must not name a deployment twice");
  }
  const bool clean = Arguments(info).Bool(1, "clean");
  return Start(info, [state = state(), ids = std::move(ids), clean](JobContext& job) {
    auto sysroot = state->UseToBoot();
    GPtrArrayPtr list(g_ptr_array_new_with_free_func(g_object_unref));
    for (const std::string& id : ids) {
      auto deployment = FindDeployment(sysroot.get(), id);
      g_ptr_array_add(list.get(), g_object_ref(deployment.get()));
    }
    const auto alone = DeployAlone(job.cancellable());
    OstreeSysrootWriteDeploymentsOpts options = {};
    options.do_postclean = clean;
    GError* error = nullptr;
    if (!ostree_sysroot_write_deployments_with_options(sysroot.get(), list.get(), &options,
                                                       job.cancellable(), &error)) {
      throw FromGError(error, "Writing the boot list").Detail("path", state->path());
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::SetPinned(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string id = arguments.String(0, "id");
  const bool pinned = arguments.Bool(1, "pinned");
  return Start(info, [state = state(), id = std::move(id), pinned](JobContext& job) {
    auto sysroot = state->UseLocked();
    auto deployment = FindDeployment(sysroot.get(), id);
    GError* error = nullptr;
    if (!ostree_sysroot_deployment_set_pinned(sysroot.get(), deployment.get(), pinned, &error)) {
      throw FromGError(error, "Pinning a deployment").Detail("ref", id);
    }
    state->Load(job.cancellable());
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::SetMutable(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string id = arguments.String(0, "id");
  const bool is_mutable = arguments.Bool(1, "mutable");
  return Start(info, [state = state(), id = std::move(id), is_mutable](JobContext& job) {
    auto sysroot = state->UseLocked();
    auto deployment = FindDeployment(sysroot.get(), id);
    GError* error = nullptr;
    if (!ostree_sysroot_deployment_set_mutable(sysroot.get(), deployment.get(), is_mutable,
                                               job.cancellable(), &error)) {
      throw FromGError(error, "Changing whether a deployment is mutable").Detail("ref", id);
    }
    return Snapshot(sysroot.get());
  });
}

Napi::Value Sysroot::SetOrigin(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  KeyFileGroups changes = CheckedOrigin(info[1], "changes");
  return Start(
      info, [state = state(), id = std::move(id), changes = std::move(changes)](JobContext& job) {
        auto sysroot = state->UseLocked();
        auto deployment = FindDeployment(sysroot.get(), id);
        // As the file stands, comments too: what this does not know belongs to others.
        GKeyFilePtr origin = LoadOrigin(sysroot.get(), deployment.get());
        WriteInto(origin.get(), changes);
        GError* error = nullptr;
        if (!ostree_sysroot_write_origin_file(sysroot.get(), deployment.get(), origin.get(),
                                              job.cancellable(), &error)) {
          throw FromGError(error, "Writing an origin").Detail("ref", id);
        }
        state->Reload(job.cancellable());
        return Snapshot(sysroot.get());
      });
}

Napi::Value Sysroot::SetKernelArguments(const Napi::CallbackInfo& info) {
  std::string id = Arguments(info).String(0, "id");
  std::vector<std::string> list = CheckedKernelArguments(info[1], "kernelArguments");
  return Start(
      info, [state = state(), id = std::move(id), list = std::move(list)](JobContext& job) mutable {
        auto sysroot = state->UseToBoot();
        auto deployment = FindDeployment(sysroot.get(), id);
        KeepOstreeArgument(deployment.get(), &list);
        std::vector<char*> argv = Argv(list);
        const auto alone = DeployAlone(job.cancellable());
        GError* error = nullptr;
        if (!ostree_sysroot_deployment_set_kargs(sysroot.get(), deployment.get(), argv.data(),
                                                 job.cancellable(), &error)) {
          throw FromGError(error, "Setting kernel arguments").Detail("ref", id);
        }
        state->Load(job.cancellable());
        return Snapshot(sysroot.get());
      });
}

Napi::Value Sysroot::Cleanup(const Napi::CallbackInfo& info) {
  return Start(info, [state = state()](JobContext& job) {
    auto sysroot = state->UseLocked();
    GError* error = nullptr;
    if (!ostree_sysroot_cleanup(sysroot.get(), job.cancellable(), &error)) {
      throw FromGError(error, "Cleaning up the sysroot").Detail("path", state->path());
    }
    return Snapshot(sysroot.get());
  });
}

}  // namespace apt_ostree
