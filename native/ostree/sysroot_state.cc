#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "ostree/sysroot.h"

namespace apt_ostree {

namespace {

// Nobody has to take them.
constexpr size_t kMostMessages = 1000;

}  // namespace

std::unique_lock<std::timed_mutex> DeployAlone(GCancellable* cancellable) {
  static std::timed_mutex mutex;
  std::unique_lock<std::timed_mutex> lock(mutex, std::defer_lock);
  while (!lock.try_lock_for(std::chrono::milliseconds(50))) {
    if (g_cancellable_is_cancelled(cancellable)) throw Aborted();
  }
  return lock;
}

SysrootState::SysrootState(std::string path, std::shared_ptr<Executor> thread)
    : path_(std::move(path)), thread_(std::move(thread)) {
  auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path_.c_str()));
  sysroot_ = GObjectPtr<OstreeSysroot>::Take(ostree_sysroot_new(file.get()));
  using Holder = std::shared_ptr<Messages>;
  const auto keep = +[](OstreeSysroot*, const char* text, gpointer data) {
    const Holder& messages = *static_cast<Holder*>(data);
    const std::lock_guard<std::mutex> guard(messages->mutex);
    messages->list.emplace_back(text);
    if (messages->list.size() > kMostMessages) messages->list.pop_front();
  };
  const auto drop = +[](gpointer data, GClosure*) {
    const std::unique_ptr<Holder> dropped(static_cast<Holder*>(data));
  };
  // The handler's, until it is disconnected.
  auto holder = std::make_unique<Holder>(messages_);
  g_signal_connect_data(sysroot_.get(), "journal-msg", G_CALLBACK(keep), holder.release(), drop,
                        static_cast<GConnectFlags>(0));
}

SysrootState::~SysrootState() {
  if (thread_) thread_->Finish();
}

GObjectPtr<OstreeSysroot> SysrootState::Use() const {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!sysroot_) throw NativeError("ERR_CLOSED", "The sysroot is closed").Detail("path", path_);
  return sysroot_;
}

GObjectPtr<OstreeSysroot> SysrootState::UseLoaded() const {
  auto sysroot = Use();
  std::lock_guard<std::mutex> guard(mutex_);
  if (!loaded_) {
    throw NativeError("ERR_INVALID_STATE", "The sysroot is not loaded").Detail("path", path_);
  }
  return sysroot;
}

GObjectPtr<OstreeSysroot> SysrootState::UseLocked() const {
  auto sysroot = UseLoaded();
  std::lock_guard<std::mutex> guard(mutex_);
  if (!locked_) {
    throw NativeError("ERR_INVALID_STATE", "The sysroot is not locked").Detail("path", path_);
  }
  return sysroot;
}

GObjectPtr<OstreeSysroot> SysrootState::UseToBoot() const {
  auto sysroot = UseLocked();
  if (ostree_sysroot_get_booted_deployment(sysroot.get()) == nullptr &&
      g_strcmp0(ostree_repo_get_bootloader(ostree_sysroot_repo(sysroot.get())), "zipl") == 0) {
    throw NativeError("ERR_INVALID_STATE",
                      "With sysroot.bootloader=zipl, libostree can write the boot list of the "
                      "running system only")
        .Detail("path", path_);
  }
  return sysroot;
}

void SysrootState::LoadInNamespace(GCancellable* cancellable) {
  auto sysroot = Use();
  RequireSysroot();
  // Not by ostree_sysroot_initialize_with_mount_namespace: it takes any other namespace than that
  // of init for a private one, a container's too, which others use.
  const int problem = geteuid() != 0 ? EPERM : unshare(CLONE_NEWNS) != 0 ? errno : 0;
  if (problem == EPERM) {
    throw NativeError("ERR_NEEDS_ROOT", "A private mount namespace needs root and CAP_SYS_ADMIN")
        .Detail("path", path_);
  }
  if (problem != 0) throw FromErrno(problem, "Making a mount namespace", path_);
  ostree_sysroot_set_mount_namespace_in_use(sysroot.get());
  // Asking for the lock makes /sysroot and /boot writable, whether it is to be had or not.
  gboolean acquired = FALSE;
  GError* error = nullptr;
  if (!ostree_sysroot_try_lock(sysroot.get(), &acquired, &error)) {
    throw FromGError(error, "Locking the sysroot").Detail("path", path_);
  }
  try {
    Load(cancellable);
  } catch (...) {
    if (acquired) ostree_sysroot_unlock(sysroot.get());
    throw;
  }
  if (acquired) ostree_sysroot_unlock(sysroot.get());
}

void SysrootState::RequireSysroot() const {
  // libostree reports the first missing piece as a plain "no such file".
  for (const char* part : {"/ostree/repo", "/ostree/deploy"}) {
    struct stat info;
    if (stat((path_ + part).c_str(), &info) == 0) continue;
    if (errno != ENOENT && errno != ENOTDIR) {
      throw FromErrno(errno, "Loading the sysroot", path_ + part);
    }
    throw NativeError("ERR_OSTREE_NOT_A_SYSROOT", path_ + " is not an OSTree sysroot")
        .Detail("path", path_);
  }
}

bool SysrootState::Load(GCancellable* cancellable) {
  auto sysroot = Use();
  RequireSysroot();
  GError* error = nullptr;
  gboolean changed = FALSE;
  const bool loaded =
      ostree_sysroot_load_if_changed(sysroot.get(), &changed, cancellable, &error) != FALSE;
  std::lock_guard<std::mutex> guard(mutex_);
  loaded_ = loaded;
  if (!loaded) throw FromGError(error, "Loading the sysroot").Detail("path", path_);
  return changed != FALSE;
}

void SysrootState::Reload(GCancellable* cancellable) {
  auto sysroot = Use();
  // What libostree compares to see whether anything changed.
  if (utimensat(ostree_sysroot_get_fd(sysroot.get()), "ostree/deploy", nullptr, 0) != 0) {
    throw FromErrno(errno, "Announcing a change", path_ + "/ostree/deploy");
  }
  Load(cancellable);
}

bool SysrootState::TryLock(GCancellable* cancellable) {
  auto sysroot = UseLoaded();
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (locked_) return false;
  }
  gboolean acquired = FALSE;
  GError* error = nullptr;
  if (!ostree_sysroot_try_lock(sysroot.get(), &acquired, &error)) {
    throw FromGError(error, "Locking the sysroot").Detail("path", path_);
  }
  if (!acquired) return false;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    locked_ = true;
  }
  // A boot list made from what was read before the lock would drop what others wrote since.
  try {
    Load(cancellable);
  } catch (...) {
    Unlock();
    throw;
  }
  return true;
}

void SysrootState::Unlock() {
  std::lock_guard<std::mutex> guard(mutex_);
  // Closing has let the lock go already.
  if (std::exchange(locked_, false)) ostree_sysroot_unlock(sysroot_.get());
}

std::vector<std::string> SysrootState::TakeMessages() {
  std::deque<std::string> taken;
  {
    const std::lock_guard<std::mutex> guard(messages_->mutex);
    taken.swap(messages_->list);
  }
  return {taken.begin(), taken.end()};
}

void SysrootState::Close() {
  repo_locks_.Close();
  std::lock_guard<std::mutex> guard(mutex_);
  if (sysroot_ && locked_) ostree_sysroot_unlock(sysroot_.get());
  locked_ = loaded_ = false;
  sysroot_.reset();
}

}  // namespace apt_ostree
