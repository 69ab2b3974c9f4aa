// Bytes that come from JavaScript piece by piece: to copy all of them at once would hold up the
// event loop.
#pragma once

#include <napi.h>

#include <memory>

#include "core/gobject.h"
#include "core/values.h"
#include "core/wrap.h"

namespace apt_ostree {

// Used on the JavaScript thread alone.
struct PiecesState {
  GStringPtr bytes;
  size_t size = 0;
  size_t capacity = 0;
};

class Pieces : public Wrap<Pieces, PiecesState> {
 public:
  static constexpr const char* kName = "Pieces";
  static constexpr napi_type_tag kTag = {0x6f73747265650010, 0x5069656365730000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);
  // A copy of a Buffer or Uint8Array, or the bytes of such an object, which it loses.
  static SharedBytes Checked(Napi::Value value, const std::string& name);
  static bool Is(Napi::Value value);

 private:
  // create(capacity)
  static Napi::Value CreatePieces(const Napi::CallbackInfo& info);
  // add(bytes)
  Napi::Value Add(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
