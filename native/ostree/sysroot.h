// OstreeSysroot: deployments and the boot list. Deployments leave this file as plain data.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"
#include "core/wrap.h"
#include "ostree/repo_lock.h"

namespace apt_ostree {

// Writing a boot list forks and freezes a file system for an instant, and looks at SELinux policies
// that the process has one of: one at a time in a process. Throws ABORT_ERR.
std::unique_lock<std::timed_mutex> DeployAlone(GCancellable* cancellable);

// libostree ends the process when a sysroot is used before it is loaded, and overwrites what
// others wrote when it is used without the lock; so both are recorded and asked for here. It has no
// locks of its own: all work on one sysroot runs in its lane, or on its own thread.
class SysrootState {
 public:
  // `thread` is for a sysroot with a private mount namespace, else null.
  SysrootState(std::string path, std::shared_ptr<Executor> thread);
  ~SysrootState();
  SysrootState(const SysrootState&) = delete;
  SysrootState& operator=(const SysrootState&) = delete;

  // Gives the current thread a mount namespace of its own, in which libostree may make a read-only
  // /sysroot writable, and loads. On the own thread, before anything else: an object that was
  // loaded before would keep descriptors of the read-only mount. Throws ERR_NEEDS_ROOT.
  void LoadInNamespace(GCancellable* cancellable);

  // Throws ERR_CLOSED.
  GObjectPtr<OstreeSysroot> Use() const;
  // A sysroot that is loaded; throws ERR_INVALID_STATE.
  GObjectPtr<OstreeSysroot> UseLoaded() const;
  // A sysroot that is loaded and locked; throws ERR_INVALID_STATE.
  GObjectPtr<OstreeSysroot> UseLocked() const;
  // The same, for work that writes the boot list; throws ERR_INVALID_STATE for a boot loader whose
  // support in libostree would end the process.
  GObjectPtr<OstreeSysroot> UseToBoot() const;
  // Reads the deployments from disk, if they changed; says whether they did.
  bool Load(GCancellable* cancellable);
  // Reads them in any case: the file's times do not show a change of a boot loader entry.
  void Reload(GCancellable* cancellable);
  // False where somebody else holds the lock.
  bool TryLock(GCancellable* cancellable);
  // Of the repository as the sysroot has it: what libostree locks on the way counts on it.
  RepoLocks& repo_locks() { return repo_locks_; }
  void Unlock();
  void Close();
  // What libostree said for the journal since the last call.
  std::vector<std::string> TakeMessages();
  const std::string& path() const { return path_; }
  const std::shared_ptr<Lane>& lane() const { return lane_; }
  Executor* thread() const { return thread_.get(); }

  // On the JavaScript thread: whether closing has been asked for.
  bool closing = false;

 private:
  // Of its own, as a call that is under way may outlive everything else.
  struct Messages {
    std::mutex mutex;
    std::deque<std::string> list;
  };

  void RequireSysroot() const;

  mutable std::mutex mutex_;
  GObjectPtr<OstreeSysroot> sysroot_;
  bool loaded_ = false;
  bool locked_ = false;
  RepoLocks repo_locks_;
  const std::string path_;
  const std::shared_ptr<Messages> messages_ = std::make_shared<Messages>();
  const std::shared_ptr<Lane> lane_ = std::make_shared<Lane>();
  const std::shared_ptr<Executor> thread_;
};

class Sysroot : public Wrap<Sysroot, SysrootState> {
 public:
  static constexpr const char* kName = "Sysroot";
  static constexpr napi_type_tag kTag = {0x6f73747265650003, 0x537973726f6f7400};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Start(const Napi::CallbackInfo& info, Work work,
                    Napi::Value progress = Napi::Value()) const;
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value OpenRepo(const Napi::CallbackInfo& info);
  Napi::Value TryLock(const Napi::CallbackInfo& info);
  Napi::Value TryLockRepo(const Napi::CallbackInfo& info);
  Napi::Value UnlockRepo(const Napi::CallbackInfo& info);
  Napi::Value Unlock(const Napi::CallbackInfo& info);
  Napi::Value InitStateroot(const Napi::CallbackInfo& info);
  Napi::Value Deploy(const Napi::CallbackInfo& info);
  Napi::Value WriteDeployments(const Napi::CallbackInfo& info);
  Napi::Value SetPinned(const Napi::CallbackInfo& info);
  Napi::Value SetMutable(const Napi::CallbackInfo& info);
  Napi::Value SetOrigin(const Napi::CallbackInfo& info);
  Napi::Value SetKernelArguments(const Napi::CallbackInfo& info);
  Napi::Value Cleanup(const Napi::CallbackInfo& info);
  Napi::Value Refresh(const Napi::CallbackInfo& info);
  Napi::Value Query(const Napi::CallbackInfo& info);
  Napi::Value UnlockDeployment(const Napi::CallbackInfo& info);
  Napi::Value ChangeFinalization(const Napi::CallbackInfo& info);
  Napi::Value UpdatePostCopy(const Napi::CallbackInfo& info);
  Napi::Value KexecLoad(const Napi::CallbackInfo& info);
  Napi::Value SetSoftReboot(const Napi::CallbackInfo& info);
  Napi::Value CanSoftReboot(const Napi::CallbackInfo& info);
  Napi::Value SetKernelArgumentsInPlace(const Napi::CallbackInfo& info);
  Napi::Value BootArguments(const Napi::CallbackInfo& info);
  Napi::Value BootEntry(const Napi::CallbackInfo& info);
  Napi::Value BootVersions(const Napi::CallbackInfo& info);
  Napi::Value TakeMessages(const Napi::CallbackInfo& info);
  Napi::Value PrepareCleanup(const Napi::CallbackInfo& info);
  Napi::Value PruneRepo(const Napi::CallbackInfo& info);
  Napi::Value StageOverlayInitrd(const Napi::CallbackInfo& info);
  Napi::Value Upgrade(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
