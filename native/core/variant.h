// GVariant <-> JavaScript, in one place.
//
//   s o g -> string        b -> boolean           y n q i u -> number    x t h -> bigint
//   d -> number            ay -> Buffer           a{s*} -> object        a* (other) -> array
//   (tuple), {entry} -> array                     v -> the value inside  m* -> value or null
//
// Back, a type string says what to build, because JavaScript's values do not.
#pragma once

#include <glib.h>
#include <napi.h>

#include <string>

#include "core/gobject.h"

namespace apt_ostree {

// With `typed` a `v` becomes `{type, value}`, from which it can be built again.
Napi::Value VariantToJs(Napi::Env env, GVariant* variant, bool typed = false);

// Throws a JavaScript TypeError where `value` does not fit `type`. For `v` the value must be
// `{type, value}`, as made by `variant()` in lib/variant.ts.
VariantPtr VariantFromJs(Napi::Value value, const std::string& type, const std::string& name);

// `{key: {type, value}}` -> a{sv}; undefined gives null.
VariantPtr VardictFromJs(Napi::Value value, const std::string& name);

// `variantToBytes`, `variantFromBytes`, `variantToText`, `variantFromText`
void InitVariants(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
