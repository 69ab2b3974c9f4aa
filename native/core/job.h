// A piece of native work behind a promise. Methods of the addon that do I/O return
// `{promise, cancel}`; lib/job.ts turns that into a promise with AbortSignal, progress and the
// stack of the caller.
#pragma once

#include <gio/gio.h>
#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "core/executor.h"
#include "core/gobject.h"

namespace apt_ostree {

class AddonData;
class Job;

// Makes the JavaScript value of a result, on the JavaScript thread.
using ToJs = std::function<Napi::Value(Napi::Env)>;

// What running work can see of its job.
class JobContext {
 public:
  explicit JobContext(Job& job) : job_(job) {}
  GCancellable* cancellable() const;
  // The same request as a flag, for libapt-pkg's callbacks.
  bool cancelled() const { return g_cancellable_is_cancelled(cancellable()); }
  void ThrowIfCancelled() const;
  // Progress where only the newest state counts; older reports not yet delivered are replaced.
  void Report(ToJs event) const;
  // An event that must arrive.
  void Emit(ToJs event) const;

 private:
  Job& job_;
};

// Runs on an executor thread. Throws NativeError; returns what makes the result.
using Work = std::function<ToJs(JobContext&)>;

inline ToJs Undefined() {
  return [](Napi::Env env) { return env.Undefined(); };
}

class Job : public std::enable_shared_from_this<Job> {
 public:
  // Queues `work` and returns `{promise, cancel}`. `progress` is a function or undefined.
  static Napi::Value Start(Napi::Env env, Executor& executor, std::shared_ptr<Lane> lane,
                           Napi::Value progress, Work work);
  // A job that is done already: same shape, no thread.
  static Napi::Value Done(Napi::Env env, Napi::Value value);

  void Cancel() { g_cancellable_cancel(cancellable_.get()); }
  // The environment is ending: nobody will hear of this job any more.
  void Abandon();

 private:
  friend class JobContext;
  Job(AddonData& data, Napi::Env env);
  static Napi::Object Handle(Napi::Env env, Napi::Value promise, const std::shared_ptr<Job>& job);
  void Run(const Work& work);
  void Settle(Napi::Env env, const std::function<void(Napi::Env)>& settle);
  void Deliver(Napi::Env env, const ToJs& event);

  AddonData& data_;
  GObjectPtr<GCancellable> cancellable_;
  std::unique_ptr<Napi::Promise::Deferred> deferred_;
  Napi::FunctionReference progress_;
  bool wants_progress_ = false;
  std::mutex report_mutex_;
  ToJs latest_report_;
};

}  // namespace apt_ostree
