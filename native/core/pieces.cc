#include "core/pieces.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"

namespace apt_ostree {

void Pieces::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&Pieces::CreatePieces>("create"),
             InstanceMethod<&Pieces::Add>("add"),
         });
}

bool Pieces::Is(Napi::Value value) {
  return value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&kTag);
}

SharedBytes Pieces::Checked(Napi::Value value, const std::string& name) {
  if (!Is(value)) return CheckedBytes(value, name);
  const auto state = StateOf(value.Env(), value, name.c_str());
  state->capacity = 0;
  return TakeBytes(g_bytes_new_take(state->bytes.release(), std::exchange(state->size, 0)));
}

Napi::Value Pieces::CreatePieces(const Napi::CallbackInfo& info) {
  auto state = std::make_shared<PiecesState>();
  state->capacity =
      static_cast<size_t>(Arguments(info).Integer(0, "capacity", 0, int64_t{1} << 40));
  // Memory that nothing is written to costs nothing.
  state->bytes.reset(static_cast<char*>(g_try_malloc(state->capacity)));
  if (!state->bytes && state->capacity > 0) {
    throw FromErrno(ENOMEM, "Taking bytes over", "").ToJs(info.Env());
  }
  return Create(info.Env(), state);
}

Napi::Value Pieces::Add(const Napi::CallbackInfo& info) {
  const Napi::Value value = info[0];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw InvalidArgumentType(info.Env(), "bytes", "an instance of Uint8Array", value);
  }
  auto bytes = value.As<Napi::Uint8Array>();
  const size_t size = bytes.ByteLength();
  if (size > state()->capacity - state()->size) {
    throw InvalidArgumentValue(info.Env(), "bytes", "is more than there is room for");
  }
  if (size > 0) std::memcpy(state()->bytes.get() + state()->size, bytes.Data(), size);
  state()->size += size;
  return info.Env().Undefined();
}

}  // namespace apt_ostree
