// The lock of a repository as JavaScript holds it. libostree waits for it in steps of a second
// that hardly notice a cancellation, and ends the process when a lock is let go that is not held;
// so it is asked for only when it can be had, and what is held is counted here.
#pragma once

#include <ostree.h>

#include <mutex>
#include <string>

#include "core/gobject.h"

namespace apt_ostree {

class RepoLocks {
 public:
  // Takes the lock if nobody else has it: another process, another object, or another holder of
  // this object. `in_transaction`: this object has the shared lock already.
  bool Try(const GObjectPtr<OstreeRepo>& repo, const std::string& path, bool exclusive,
           bool in_transaction, GCancellable* cancellable);
  // Harmless when it is not held.
  void Release(bool exclusive);
  // Throws ERR_INVALID_STATE where it is not held; the exclusive one will do for a shared one.
  void Require(bool exclusive) const;
  // Lets all go, for good. Never waits.
  void Close();

 private:
  void Pop(bool exclusive);

  mutable std::mutex mutex_;
  // libostree is being asked, without the mutex: it may wait after all.
  bool trying_ = false;
  bool closed_ = false;
  // Keeps the lock's owner alive, also when the handle is closed meanwhile.
  GObjectPtr<OstreeRepo> repo_;
  size_t shared_ = 0;
  size_t exclusive_ = 0;
};

}  // namespace apt_ostree
