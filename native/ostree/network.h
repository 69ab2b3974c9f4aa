// What libostree's network calls need of their thread: a main context of their own, and help to
// stop at once.
#pragma once

#include <gio/gio.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/gobject.h"

namespace apt_ostree {

// The thread-default context for as long as it lives. Late callbacks of a call that failed stay
// with it, and do not run in the middle of the next call.
class ScopedContext {
 public:
  ScopedContext() : context_(g_main_context_new()) { g_main_context_push_thread_default(context_); }
  ~ScopedContext() {
    g_main_context_pop_thread_default(context_);
    g_main_context_unref(context_);
  }
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;
  GMainContext* get() const { return context_; }

 private:
  GMainContext* context_;
};

// libostree's fetcher looks at its cancellable only when something arrives, so a server that says
// nothing could hold a call for as long as libcurl's time-outs. While this object lives,
// cancelling shuts the sockets that the current thread waits for. A name that is being looked up
// cannot be interrupted.
class CancelGuard {
 public:
  explicit CancelGuard(GCancellable* cancellable);
  ~CancelGuard();
  CancelGuard(const CancelGuard&) = delete;
  CancelGuard& operator=(const CancelGuard&) = delete;

 private:
  static void OnCancelled(GCancellable* cancellable, CancelGuard* guard);
  void Run();

  GObjectPtr<GCancellable> cancellable_;
  const pthread_t waiting_;
  gulong handler_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::thread helper_;
};

}  // namespace apt_ostree
