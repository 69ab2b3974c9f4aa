#include "core/job.h"

#include <exception>
#include <optional>
#include <utility>

#include "core/addon_data.h"
#include "core/error.h"

namespace apt_ostree {

GCancellable* JobContext::cancellable() const { return job_.cancellable_.get(); }

void JobContext::ThrowIfCancelled() const {
  if (cancelled()) throw Aborted();
}

void JobContext::Report(ToJs event) const {
  if (!job_.wants_progress_) return;
  {
    std::lock_guard<std::mutex> guard(job_.report_mutex_);
    const bool under_way = job_.latest_report_ != nullptr;
    job_.latest_report_ = std::move(event);
    if (under_way) return;
  }
  job_.data_.Post([job = job_.shared_from_this()](Napi::Env env) {
    ToJs latest;
    {
      std::lock_guard<std::mutex> guard(job->report_mutex_);
      latest = std::exchange(job->latest_report_, nullptr);
    }
    if (latest != nullptr) job->Deliver(env, latest);
  });
}

void JobContext::Emit(ToJs event) const {
  if (!job_.wants_progress_) return;
  job_.data_.Post([job = job_.shared_from_this(), event = std::move(event)](Napi::Env env) {
    job->Deliver(env, event);
  });
}

Job::Job(AddonData& data, Napi::Env env)
    : data_(data),
      cancellable_(GObjectPtr<GCancellable>::Take(g_cancellable_new())),
      deferred_(std::make_unique<Napi::Promise::Deferred>(env)) {}

Napi::Object Job::Handle(Napi::Env env, Napi::Value promise, const std::shared_ptr<Job>& job) {
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("promise", promise);
  std::weak_ptr<Job> weak = job;
  handle.Set("cancel", Napi::Function::New(env, [weak](const Napi::CallbackInfo&) {
               if (auto alive = weak.lock()) alive->Cancel();
             }));
  return handle;
}

Napi::Value Job::Start(Napi::Env env, Executor& executor, std::shared_ptr<Lane> lane,
                       Napi::Value progress, Work work) {
  AddonData& data = AddonData::Of(env);
  std::shared_ptr<Job> job(new Job(data, env));
  if (progress.IsFunction()) {
    job->progress_ = Napi::Persistent(progress.As<Napi::Function>());
    job->wants_progress_ = true;
  }
  Napi::Object handle = Handle(env, job->deferred_->Promise(), job);
  try {
    executor.Submit([job, work = std::move(work)] { job->Run(work); }, std::move(lane));
  } catch (const NativeError& error) {
    job->deferred_->Reject(error.ToJs(env).Value());
    job->Abandon();
    return handle;
  }
  // What the job posts is delivered by this thread, so not before this.
  data.JobStarted(env, job);
  return handle;
}

Napi::Value Job::Done(Napi::Env env, Napi::Value value) {
  Napi::Promise::Deferred deferred(env);
  deferred.Resolve(value);
  return Handle(env, deferred.Promise(), nullptr);
}

void Job::Run(const Work& work) {
  std::optional<NativeError> failure;
  ToJs result;
  try {
    if (g_cancellable_is_cancelled(cancellable_.get())) throw Aborted();
    JobContext context(*this);
    result = work(context);
  } catch (const NativeError& error) {
    failure = error;
  } catch (const std::bad_alloc&) {
    failure = NativeError("ENOMEM", "Out of memory");
  } catch (const std::exception& error) {
    failure = NativeError("ERR_INTERNAL", error.what());
  }
  data_.Post([job = shared_from_this(), failure = std::move(failure),
              result = std::move(result)](Napi::Env env) {
    job->Settle(env, [&](Napi::Env env) {
      if (failure.has_value()) {
        job->deferred_->Reject(failure->ToJs(env).Value());
        return;
      }
      try {
        job->deferred_->Resolve(result(env));
      } catch (const NativeError& error) {
        job->deferred_->Reject(error.ToJs(env).Value());
      } catch (const Napi::Error& error) {
        job->deferred_->Reject(error.Value());
      }
    });
  });
}

void Job::Settle(Napi::Env env, const std::function<void(Napi::Env)>& settle) {
  settle(env);
  Abandon();
  data_.JobEnded(env, shared_from_this());
}

void Job::Deliver(Napi::Env env, const ToJs& event) {
  if (progress_.IsEmpty()) return;
  try {
    progress_.Call({event(env)});
  } catch (const Napi::Error&) {
    // lib/job.ts hands in a listener that keeps its own errors; nothing can arrive here but the
    // termination of a worker.
  }
}

void Job::Abandon() {
  progress_.Reset();
  deferred_.reset();
}

}  // namespace apt_ostree
