#include "core/cursor.h"

#include <utility>

#include "core/arguments.h"

namespace apt_ostree {

namespace {

constexpr int64_t kLargest = 64 * 1024 * 1024;

}  // namespace

ToJs CursorState::Read(JobContext& job, size_t limit) {
  ToJs piece;
  if (next_ != nullptr) {
    // Gone unless it comes back: after the end and after a failure nothing stays open.
    Next next = std::exchange(next_, nullptr);
    piece = next(job, limit);
    if (piece != nullptr) next_ = std::move(next);
  }
  if (piece != nullptr) return piece;
  return [](Napi::Env env) { return env.Null(); };
}

void Cursor::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             InstanceMethod<&Cursor::Next>("next"),
             InstanceMethod<&Cursor::Close>("close"),
         });
}

ToJs Cursor::Opened(CursorState::Next next) {
  auto state = std::make_shared<CursorState>(std::move(next));
  return [state](Napi::Env env) -> Napi::Value { return Create(env, state); };
}

Napi::Value Cursor::Next(const Napi::CallbackInfo& info) {
  const auto limit = static_cast<size_t>(Arguments(info).Integer(0, "limit", 1, kLargest));
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), state()->lane(),
                    info.Env().Undefined(),
                    [state = state(), limit](JobContext& job) { return state->Read(job, limit); });
}

Napi::Value Cursor::Close(const Napi::CallbackInfo& info) {
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), state()->lane(),
                    info.Env().Undefined(), [state = state()](JobContext&) {
                      state->Close();
                      return Undefined();
                    });
}

}  // namespace apt_ostree
