#include "core/values.h"

#include "core/arguments.h"

namespace apt_ostree {

SharedBytes TakeBytes(GBytes* bytes) {
  return bytes == nullptr ? SharedBytes() : SharedBytes(bytes, g_bytes_unref);
}

SharedBytes CheckedBytes(Napi::Value value, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Buffer or Uint8Array", value);
  }
  auto bytes = value.As<Napi::Uint8Array>();
  return TakeBytes(g_bytes_new(bytes.Data(), bytes.ByteLength()));
}

SharedBytes CheckedOptionalBytes(Napi::Value value, const std::string& name) {
  return value.IsUndefined() ? SharedBytes() : CheckedBytes(value, name);
}

Napi::Value BytesToJs(Napi::Env env, GBytes* bytes) {
  if (bytes == nullptr) return env.Undefined();
  gsize size = 0;
  const auto* data = static_cast<const char*>(g_bytes_get_data(bytes, &size));
  return Napi::Buffer<char>::Copy(env, size == 0 ? "" : data, size);
}

StringVector::StringVector(const std::vector<std::string>& strings) {
  for (const std::string& text : strings) pointers_.push_back(text.c_str());
  pointers_.push_back(nullptr);
}

Napi::Value StringsToJs(Napi::Env env, const std::vector<std::string>& strings) {
  Napi::Array array = Napi::Array::New(env, strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    array.Set(static_cast<uint32_t>(i), Napi::String::New(env, strings[i]));
  }
  return array;
}

VariantPtr StringsVariant(const std::vector<std::string>& strings) {
  const StringVector pointers(strings);
  return VariantPtr::Sink(g_variant_new_strv(pointers.get(), static_cast<gssize>(strings.size())));
}

}  // namespace apt_ostree
