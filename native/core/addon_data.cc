#include "core/addon_data.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace apt_ostree {

AddonData::AddonData(Napi::Env env) : channel_(Channel::New(env, "apt-ostree", 0, 1, this)) {
  // An idle addon must not keep the program alive; JobStarted takes a reference.
  channel_.Unref(env);
  // Added after the channel's own hook, so it runs before it: cancel, join, then let go.
  env.AddCleanupHook([this] { End(); });
}

void AddonData::End() {
  for (const auto& job : pending_) job->Cancel();
  ostree_.Stop();
  waiting_.Stop();
  apt_.Stop();
  processes_.Stop();
  for (const auto& thread : own_threads_) thread->Stop();
  for (const auto& job : pending_) job->Abandon();
  pending_.clear();
  channel_.Abort();
}

bool AddonData::StopSoon() {
  constexpr std::chrono::milliseconds kPatience(500);
  for (const auto& job : pending_) job->Cancel();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  bool ended = true;
  for (Executor* executor : {&ostree_, &waiting_, &apt_, &processes_}) {
    ended = executor->StopUntil(deadline) && ended;
  }
  for (const auto& thread : own_threads_) ended = thread->StopUntil(deadline) && ended;
  return ended;
}

void AddonData::Exiting() {
  using Self = std::weak_ptr<AddonData*>;
  // Handlers run in the reverse order of their registration: this one before the library's own
  // variables are gone. Where the environment is taken down first, it finds nothing to do.
  const auto stop = [](int status, void* data) {
    const std::unique_ptr<Self> self(static_cast<Self*>(data));
    const std::shared_ptr<AddonData*> there = self->lock();
    if (there == nullptr || (*there)->StopSoon()) return;
    std::fflush(nullptr);
    _exit(status);
  };
  auto self = std::make_unique<Self>(self_);
  // The handler's, if it will be called.
  if (on_exit(stop, self.get()) == 0) static_cast<void>(self.release());
}

std::shared_ptr<Executor> AddonData::NewThread(std::string name) {
  const auto ended = [](const auto& thread) { return thread->ended(); };
  own_threads_.erase(std::remove_if(own_threads_.begin(), own_threads_.end(), ended),
                     own_threads_.end());
  own_threads_.push_back(std::make_shared<Executor>(std::move(name), 1));
  return own_threads_.back();
}

void AddonData::Post(std::function<void(Napi::Env)> call) {
  auto owned = std::make_unique<Call>(Call{std::move(call)});
  if (channel_.NonBlockingCall(owned.get()) == napi_ok) {
    // The channel owns it now; CallJs takes it back.
    static_cast<void>(owned.release());
  }
}

void AddonData::CallJs(Napi::Env env, Napi::Function, AddonData*, Call* call) {
  // Ownership first: with a null environment (teardown) there is nothing else to do.
  std::unique_ptr<Call> owned(call);
  if (env == nullptr) return;
  try {
    owned->run(env);
  } catch (const Napi::Error&) {
    // Only a terminating worker throws here; its promises are gone with it.
  }
}

void AddonData::JobStarted(Napi::Env env, std::shared_ptr<Job> job) {
  if (pending_.empty()) channel_.Ref(env);
  pending_.insert(std::move(job));
}

void AddonData::JobEnded(Napi::Env env, const std::shared_ptr<Job>& job) {
  pending_.erase(job);
  if (pending_.empty()) channel_.Unref(env);
}

}  // namespace apt_ostree
