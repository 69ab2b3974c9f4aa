#include "core/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace apt_ostree {

void TakeTurns(Turns& turns, size_t per_thread, size_t most, const std::function<void()>& work) {
  std::mutex mutex;
  std::exception_ptr failure;
  const auto guarded = [&] {
    try {
      work();
    } catch (...) {
      turns.Stop();
      std::lock_guard<std::mutex> guard(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  const size_t wanted = std::min<size_t>(
      {turns.count() / per_thread, std::max(1U, std::thread::hardware_concurrency()), most});
  std::vector<std::thread> helpers;
  helpers.reserve(wanted);
  try {
    for (size_t i = 1; i < wanted; ++i) helpers.emplace_back(guarded);
  } catch (const std::system_error&) {
    // No more threads to be had: those that run do the work.
  }
  guarded();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace apt_ostree
