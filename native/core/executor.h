// Threads of our own for long native work. libuv's pool is not used: four jobs there would
// stall fs and dns for the whole program, and an environment that ends would have to wait for
// them before any clean-up hook could cancel them.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace apt_ostree {

using Task = std::function<void()>;

// Tasks that name the same lane run one after the other, in the order of their submission: the
// queue of an object that must not be used by two threads (a Sysroot, a repository's writes).
class Lane {
 private:
  friend class Executor;
  bool busy_ = false;
  std::deque<Task> waiting_;
};

class Executor {
 public:
  // Threads start when there is work for them, up to `max_threads`, and stay; with `idle`, until
  // there was none for that long. `stack`: bytes of address space for each one's stack, which cost
  // memory only where they are used; 0 stands for the system's own size.
  Executor(std::string name, size_t max_threads, std::chrono::seconds idle = {}, size_t stack = 0);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // `lane` may be null: the task then runs as soon as a thread is free. Throws EAGAIN where not
  // even a first thread can be had.
  void Submit(Task task, std::shared_ptr<Lane> lane);

  // Lets the threads end when nothing is left to do; more tasks are refused.
  void Finish();
  // Whether they have.
  bool ended();

  // Drops what has not started and waits for what has. The caller cancels the work first.
  void Stop();
  // The same, but no longer than until `deadline`. Whether all has ended.
  bool StopUntil(std::chrono::steady_clock::time_point deadline);

 private:
  struct Entry {
    Task task;
    std::shared_ptr<Lane> lane;
  };
  using Threads = std::list<pthread_t>;
  // What a thread begins with.
  struct Start {
    Executor& owner;
    Threads::iterator self;
  };
  static void* Enter(void* start);
  void Run(Threads::iterator self);
  bool AddThread();
  // False when the thread is to end.
  bool WaitForWork(std::unique_lock<std::mutex>& lock);
  void RunTask(Entry entry, std::unique_lock<std::mutex>& lock);

  const std::string name_;
  const size_t max_threads_;
  const std::chrono::seconds idle_time_;
  const size_t stack_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable left_;
  std::deque<Entry> queue_;
  Threads threads_;
  // Have nothing more to do, and are to be joined.
  Threads ended_;
  size_t idle_ = 0;
  bool stopping_ = false;
  bool finishing_ = false;
};

}  // namespace apt_ostree
