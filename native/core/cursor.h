// Something that JavaScript reads piece by piece: bytes of a file, entries of a tree, names of
// objects. Nothing is read ahead of the calls, so a slow reader costs no memory.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "core/job.h"
#include "core/wrap.h"

namespace apt_ostree {

class CursorState {
 public:
  // Reads about `limit` bytes or entries; null at the end. Runs on executor threads, one call at a
  // time; what it owns goes away at the end, after a failure and on closing.
  using Next = std::function<ToJs(JobContext&, size_t limit)>;

  explicit CursorState(Next next) : next_(std::move(next)) {}
  ToJs Read(JobContext& job, size_t limit);
  void Close() { next_ = nullptr; }
  const std::shared_ptr<Lane>& lane() const { return lane_; }

 private:
  Next next_;
  std::shared_ptr<Lane> lane_ = std::make_shared<Lane>();
};

class Cursor : public Wrap<Cursor, CursorState> {
 public:
  static constexpr const char* kName = "Cursor";
  static constexpr napi_type_tag kTag = {0x6f73747265650010, 0x437572736f720000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);
  // The result of a job that opened something to read.
  static ToJs Opened(CursorState::Next next);

 private:
  Napi::Value Next(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
