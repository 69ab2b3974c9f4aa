#include "core/executor.h"

#include <glib.h>
#include <malloc.h>
#include <pthread.h>

#include <chrono>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/signals.h"

namespace apt_ostree {

namespace {

constexpr std::chrono::milliseconds kLong(200);

// libostree's pull and progress signals use the thread-default context, and two threads must
// never iterate one together; so each thread has its own for its whole life.
class ThreadContext {
 public:
  ThreadContext() : context_(g_main_context_new()) { g_main_context_push_thread_default(context_); }
  ~ThreadContext() {
    g_main_context_pop_thread_default(context_);
    g_main_context_unref(context_);
  }
  ThreadContext(const ThreadContext&) = delete;
  ThreadContext& operator=(const ThreadContext&) = delete;

 private:
  GMainContext* context_;
};

}  // namespace

Executor::Executor(std::string name, size_t max_threads, std::chrono::seconds idle, size_t stack)
    : name_(std::move(name)), max_threads_(max_threads), idle_time_(idle), stack_(stack) {}

Executor::~Executor() { Stop(); }

void Executor::Submit(Task task, std::shared_ptr<Lane> lane) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (stopping_) return;
  if (finishing_) throw NativeError("ERR_CLOSED", "The thread for the operation has ended");
  if (lane != nullptr) {
    if (lane->busy_) {
      lane->waiting_.push_back(std::move(task));
      return;
    }
    lane->busy_ = true;
  }
  if (idle_ <= queue_.size() && threads_.size() < max_threads_ && !AddThread() &&
      threads_.empty()) {
    if (lane != nullptr) lane->busy_ = false;
    throw NativeError("EAGAIN", "No thread can be started for the operation");
  }
  queue_.push_back({std::move(task), std::move(lane)});
  wake_.notify_one();
}

void* Executor::Enter(void* start) {
  const std::unique_ptr<Start> taken(static_cast<Start*>(start));
  taken->owner.Run(taken->self);
  return nullptr;
}

bool Executor::AddThread() {
  for (const pthread_t thread : ended_) pthread_join(thread, nullptr);
  ended_.clear();
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  if (stack_ > 0) pthread_attr_setstacksize(&attributes, stack_);
  const auto self = threads_.emplace(threads_.end());
  auto start = std::make_unique<Start>(Start{*this, self});
  bool added = false;
  {
    const SignalsBlocked blocked;
    added = pthread_create(&*self, &attributes, Enter, start.get()) == 0;
  }
  pthread_attr_destroy(&attributes);
  if (added) {
    pthread_setname_np(*self, name_.c_str());
    // It is the thread's.
    static_cast<void>(start.release());
  } else {
    // The limit of processes: the threads that there are have to do.
    threads_.erase(self);
  }
  return added;
}

void Executor::Finish() {
  std::lock_guard<std::mutex> guard(mutex_);
  finishing_ = true;
  wake_.notify_all();
}

bool Executor::ended() {
  std::lock_guard<std::mutex> guard(mutex_);
  return finishing_ && threads_.empty();
}

void Executor::Stop() { StopUntil(std::chrono::steady_clock::time_point::max()); }

bool Executor::StopUntil(std::chrono::steady_clock::time_point deadline) {
  std::deque<Entry> dropped;
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  dropped.swap(queue_);
  wake_.notify_all();
  // Those that end by themselves just now move from one list to the other.
  const bool ended = left_.wait_until(lock, deadline, [this] { return threads_.empty(); });
  lock.unlock();
  // The lanes are still those of the threads.
  if (!ended) return false;
  // No thread is left to add to them. What libraries have for each thread (OpenSSL, GLib) goes
  // while it ends, and must be gone before exit() lets them clean up themselves.
  for (const pthread_t thread : std::exchange(ended_, {})) pthread_join(thread, nullptr);
  // Tasks that wait in a lane may own the object that owns the lane.
  for (const Entry& entry : dropped) {
    if (entry.lane != nullptr) entry.lane->waiting_.clear();
  }
  return true;
}

bool Executor::WaitForWork(std::unique_lock<std::mutex>& lock) {
  const auto ready = [this] { return stopping_ || finishing_ || !queue_.empty(); };
  ++idle_;
  if (idle_time_ == std::chrono::seconds()) {
    wake_.wait(lock, ready);
  } else {
    wake_.wait_for(lock, idle_time_, ready);
  }
  --idle_;
  return !stopping_ && !queue_.empty();
}

void Executor::Run(Threads::iterator self) {
  ThreadContext context;
  std::unique_lock<std::mutex> lock(mutex_);
  while (WaitForWork(lock)) {
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    RunTask(std::move(entry), lock);
  }
  ended_.splice(ended_.end(), threads_, self);
  left_.notify_all();
}

void Executor::RunTask(Entry entry, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const auto begin = std::chrono::steady_clock::now();
  entry.task();
  entry.task = nullptr;
  // What a large job has freed, glibc keeps for each thread apart.
  if (std::chrono::steady_clock::now() - begin > kLong) malloc_trim(0);
  lock.lock();
  if (entry.lane == nullptr) return;
  if (entry.lane->waiting_.empty() || stopping_) {
    entry.lane->busy_ = false;
    entry.lane->waiting_.clear();
  } else {
    Task next = std::move(entry.lane->waiting_.front());
    entry.lane->waiting_.pop_front();
    queue_.push_back({std::move(next), std::move(entry.lane)});
    wake_.notify_one();
  }
}

}  // namespace apt_ostree
