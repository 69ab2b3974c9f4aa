// Lists of strings and bytes on their way between JavaScript, C++ and C.
#pragma once

#include <gio/gio.h>
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

// Jobs are copied, so what they hold is shared.
using SharedBytes = std::shared_ptr<GBytes>;

// A copy of a Buffer or Uint8Array.
SharedBytes CheckedBytes(Napi::Value value, const std::string& name);
// undefined gives null.
SharedBytes CheckedOptionalBytes(Napi::Value value, const std::string& name);
SharedBytes TakeBytes(GBytes* bytes);
// A copy; null gives undefined.
Napi::Value BytesToJs(Napi::Env env, GBytes* bytes);

// A NULL-terminated array that points into `strings`.
class StringVector {
 public:
  explicit StringVector(const std::vector<std::string>& strings);
  const char* const* get() const { return pointers_.data(); }

 private:
  std::vector<const char*> pointers_;
};

Napi::Value StringsToJs(Napi::Env env, const std::vector<std::string>& strings);
// Of type `as`. The strings come from JavaScript and are UTF-8.
VariantPtr StringsVariant(const std::vector<std::string>& strings);

}  // namespace apt_ostree
