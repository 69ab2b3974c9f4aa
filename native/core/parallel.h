// Many small pieces of work, done by several threads in turns.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace apt_ostree {

// The numbers from 0 to `count`, each given once.
class Turns {
 public:
  explicit Turns(size_t count) : count_(count) {}
  bool Next(size_t* number) {
    *number = next_++;
    return *number < count_;
  }
  // No more are given.
  void Stop() { next_ = count_; }
  size_t count() const { return count_; }

 private:
  const size_t count_;
  std::atomic<size_t> next_{0};
};

// Runs `work`, which takes turns until there are none, on this thread and on helpers: one for each
// `per_thread` turns, at most one for each processor and `most`. The first exception stops all and
// is thrown here when all have ended.
void TakeTurns(Turns& turns, size_t per_thread, size_t most, const std::function<void()>& work);

}  // namespace apt_ostree
