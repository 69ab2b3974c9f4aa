// Everything the addon keeps for one JavaScript environment (the main thread or one worker).
#pragma once

#include <napi.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "core/executor.h"
#include "core/job.h"

namespace apt_ostree {

class AddonData {
 public:
  explicit AddonData(Napi::Env env);
  AddonData(const AddonData&) = delete;
  AddonData& operator=(const AddonData&) = delete;

  static AddonData& Of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

  // Reads and short writes of libostree and .deb work: they wait for the disk and nothing else, so
  // a few threads are always soon free for the next.
  Executor& ostree() { return ostree_; }
  // What may wait for a pipe, a server, a lock, JavaScript or another job, or takes long: a thread
  // each. What it waits for may need a thread itself, so it must not use up those of ostree().
  Executor& waiting() { return waiting_; }
  // libapt-pkg: one thread, because its state is process-global anyway (see native/apt).
  Executor& apt() { return apt_; }
  // One thread for each running child process. They only wait; in a pool of workers, children that
  // run for minutes would hold up everything else.
  Executor& processes() { return processes_; }

  // One thread, apart from all others until Executor::Finish: for work that changes the thread.
  std::shared_ptr<Executor> NewThread(std::string name);

  // Runs `call` on the JavaScript thread; from any thread. Dropped when the environment ends.
  void Post(std::function<void(Napi::Env)> call);

  // The program is about to end. exit() does not wait for threads, and takes away what they work
  // with: those that are still at work then have a moment to stop, or the process ends without
  // the rest of exit().
  void Exiting();

  void JobStarted(Napi::Env env, std::shared_ptr<Job> job);
  void JobEnded(Napi::Env env, const std::shared_ptr<Job>& job);

  // Constructors of the wrapped classes, and the state handed to the one being called.
  std::unordered_map<std::type_index, Napi::FunctionReference> constructors;
  const void* construct_state = nullptr;

 private:
  // libapt-pkg follows dependencies by recursion, however long a chain an archive has.
  static constexpr size_t kDeepStack = size_t{sizeof(void*) >= 8 ? 1024 : 128} << 20;

  struct Call {
    std::function<void(Napi::Env)> run;
  };
  static void CallJs(Napi::Env env, Napi::Function callback, AddonData* data, Call* call);
  using Channel = Napi::TypedThreadSafeFunction<AddonData, Call, &AddonData::CallJs>;
  void End();
  // Whether nothing runs any more.
  bool StopSoon();
  // How long threads of the large executors stay for the next job.
  static constexpr std::chrono::seconds kIdle{10};

  Channel channel_;
  std::set<std::shared_ptr<Job>> pending_;
  // Declared last: stopped first.
  Executor ostree_{"ostree", 8};
  Executor waiting_{"ostree-job", 256, kIdle};
  Executor apt_{"apt", 1, {}, kDeepStack};
  Executor processes_{"ostree-process", 256, kIdle};
  std::vector<std::shared_ptr<Executor>> own_threads_;
  // Tells whether this is still there.
  std::shared_ptr<AddonData*> self_ = std::make_shared<AddonData*>(this);
};

}  // namespace apt_ostree
