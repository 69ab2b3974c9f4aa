#include "ostree/repo_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

// Whether somebody holds a lock that would keep this one from being taken. libostree's are those
// of open file descriptions, so this sees the other objects of this process too.
bool IsFree(OstreeRepo* repo, bool exclusive, const std::string& path) {
  const UniqueFd file(
      openat(ostree_repo_get_dfd(repo), ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file) throw FromErrno(errno, "Locking the repository", path + "/.lock");
  struct flock lock = {};
  lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_OFD_GETLK, &lock) == 0) return lock.l_type == F_UNLCK;
  // No such locks on this file system: libostree's own try has to say.
  if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) return true;
  throw FromErrno(errno, "Locking the repository", path + "/.lock");
}

OstreeRepoLockType TypeOf(bool exclusive) {
  return exclusive ? OSTREE_REPO_LOCK_EXCLUSIVE : OSTREE_REPO_LOCK_SHARED;
}

// `have_shared`: a shared lock of the same object is only counted up.
bool TakeIfFree(OstreeRepo* repo, const std::string& path, bool exclusive, bool have_shared,
                GCancellable* cancellable) {
  // libostree does not lock what it cannot write.
  const bool writable = ostree_repo_is_writable(repo, nullptr) != FALSE;
  if (writable && !have_shared && !IsFree(repo, exclusive, path)) return false;
  GError* error = nullptr;
  if (ostree_repo_lock_push(repo, TypeOf(exclusive), cancellable, &error)) return true;
  if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
    throw FromGError(error, "Locking the repository").Detail("path", path);
  }
  g_clear_error(&error);
  return false;
}

}  // namespace

bool RepoLocks::Try(const GObjectPtr<OstreeRepo>& repo, const std::string& path, bool exclusive,
                    bool in_transaction, GCancellable* cancellable) {
  bool have_shared = in_transaction;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (trying_ || exclusive_ > 0 || (exclusive && shared_ > 0)) return false;
    have_shared = have_shared || shared_ > 0;
    trying_ = true;
  }
  bool taken = false;
  try {
    taken = TakeIfFree(repo.get(), path, exclusive, have_shared, cancellable);
  } catch (...) {
    std::lock_guard<std::mutex> guard(mutex_);
    trying_ = false;
    throw;
  }
  std::lock_guard<std::mutex> guard(mutex_);
  trying_ = false;
  if (!taken) return false;
  repo_ = repo;
  ++(exclusive ? exclusive_ : shared_);
  if (closed_) {
    Pop(exclusive);
    throw NativeError("ERR_CLOSED", "The repository is closed").Detail("path", path);
  }
  return true;
}

void RepoLocks::Release(bool exclusive) {
  std::lock_guard<std::mutex> guard(mutex_);
  if ((exclusive ? exclusive_ : shared_) > 0) Pop(exclusive);
}

void RepoLocks::Require(bool exclusive) const {
  std::lock_guard<std::mutex> guard(mutex_);
  if (exclusive_ > 0 || (!exclusive && shared_ > 0)) return;
  throw NativeError("ERR_INVALID_STATE", "The repository is not locked");
}

void RepoLocks::Close() {
  std::lock_guard<std::mutex> guard(mutex_);
  closed_ = true;
  while (exclusive_ > 0) Pop(true);
  while (shared_ > 0) Pop(false);
}

void RepoLocks::Pop(bool exclusive) {
  --(exclusive ? exclusive_ : shared_);
  GError* error = nullptr;
  // It never waits: others are at most let in.
  ostree_repo_lock_pop(repo_.get(), TypeOf(exclusive), nullptr, &error);
  g_clear_error(&error);
  if (exclusive_ == 0 && shared_ == 0) repo_.reset();
}

Napi::Value Repo::TryLock(const Napi::CallbackInfo& info) {
  const bool exclusive = Arguments(info).Bool(0, "exclusive");
  return StartWaiting(info, [state = state(), exclusive](JobContext& job) -> ToJs {
    auto repo = state->Use();
    // libostree would only upgrade the transaction's own lock, and what needs an exclusive one
    // would go ahead and remove what the transaction counts on.
    if (exclusive) state->RequireNoTransaction();
    const bool taken = state->locks().Try(repo, state->path(), exclusive, state->in_transaction(),
                                          job.cancellable());
    return [taken](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, taken); };
  });
}

Napi::Value Repo::Unlock(const Napi::CallbackInfo& info) {
  const bool exclusive = Arguments(info).Bool(0, "exclusive");
  return StartWaiting(info, [state = state(), exclusive](JobContext&) {
    state->locks().Release(exclusive);
    return Undefined();
  });
}

Napi::Value Repo::Identity(const Napi::CallbackInfo& info) {
  try {
    return Napi::String::New(info.Env(), state()->Identity());
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

}  // namespace apt_ostree
