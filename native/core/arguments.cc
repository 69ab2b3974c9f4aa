#include "core/arguments.h"

#include <cmath>

#include "core/clip.h"

namespace apt_ostree {

namespace {

std::string Describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return std::string("type boolean (") + (value.As<Napi::Boolean>() ? "true" : "false") + ")";
    case napi_number:
      return "type number (" + value.ToString().Utf8Value() + ")";
    case napi_string:
      return "type string";
    case napi_symbol:
      return "type symbol";
    case napi_bigint:
      return "type bigint";
    case napi_function:
      return "type function";
    default:
      return value.IsArray() ? "an instance of Array" : "type object";
  }
}

std::string WithoutNul(Napi::Env env, std::string text, const std::string& name) {
  if (text.find('\0') != std::string::npos) {
    throw InvalidArgumentValue(env, name, "must not contain a NUL byte");
  }
  return text;
}

}  // namespace

Napi::Error InvalidArgument(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::TypeError::New(env, Clip(message));
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Napi::Error InvalidArgumentType(Napi::Env env, const std::string& name, const std::string& expected,
                                Napi::Value received) {
  return InvalidArgument(
      env, "ERR_INVALID_ARG_TYPE",
      "The \"" + name + "\" argument must be " + expected + ". Received " + Describe(received));
}

Napi::Error InvalidArgumentValue(Napi::Env env, const std::string& name,
                                 const std::string& problem) {
  return InvalidArgument(env, "ERR_INVALID_ARG_VALUE", "The argument '" + name + "' " + problem);
}

std::string CheckedString(Napi::Value value, const std::string& name) {
  if (!value.IsString()) {
    throw InvalidArgumentType(value.Env(), name, "of type string", value);
  }
  return WithoutNul(value.Env(), value.As<Napi::String>().Utf8Value(), name);
}

std::string CheckedPath(Napi::Value value, const std::string& name) {
  if (value.IsBuffer()) {
    auto bytes = value.As<Napi::Buffer<char>>();
    return WithoutNul(value.Env(), std::string(bytes.Data(), bytes.Length()), name);
  }
  if (!value.IsString()) {
    throw InvalidArgumentType(value.Env(), name, "of type string or an instance of Buffer", value);
  }
  return WithoutNul(value.Env(), value.As<Napi::String>().Utf8Value(), name);
}

std::vector<std::string> CheckedStrings(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Array", value);
  }
  Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> result;
  result.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    result.push_back(CheckedString(array.Get(i), name + "[" + std::to_string(i) + "]"));
  }
  return result;
}

int64_t CheckedInteger(Napi::Value value, const std::string& name, int64_t minimum,
                       int64_t maximum) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (lossless && number >= minimum && number <= maximum) return number;
  } else {
    if (!value.IsNumber()) {
      throw InvalidArgumentType(value.Env(), name, "of type number", value);
    }
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::trunc(number) == number && std::abs(number) <= 9007199254740991.0 &&
        static_cast<int64_t>(number) >= minimum && static_cast<int64_t>(number) <= maximum) {
      return static_cast<int64_t>(number);
    }
  }
  Napi::Error error = Napi::RangeError::New(
      value.Env(), "The value of \"" + name + "\" is out of range. It must be an integer >= " +
                       std::to_string(minimum) + " and <= " + std::to_string(maximum) +
                       ". Received " + value.ToString().Utf8Value());
  error.Set("code", Napi::String::New(value.Env(), "ERR_OUT_OF_RANGE"));
  throw error;
}

Options::Options(Napi::Env env, Napi::Value value, const std::string& name) : env_(env) {
  if (value.IsUndefined()) {
    object_ = Napi::Object::New(env);
  } else if (value.IsObject() && !value.IsArray() && !value.IsFunction()) {
    object_ = value.As<Napi::Object>();
  } else {
    throw InvalidArgumentType(env, name, "of type object", value);
  }
}

Napi::Value Options::Raw(const char* key) const { return object_.Get(key); }

bool Options::Bool(const char* key, bool fallback) const {
  Napi::Value value = Raw(key);
  if (value.IsUndefined()) return fallback;
  if (!value.IsBoolean()) throw InvalidArgumentType(env_, key, "of type boolean", value);
  return value.As<Napi::Boolean>();
}

std::string Options::String(const char* key) const { return CheckedString(Raw(key), key); }

std::string Options::Path(const char* key) const { return CheckedPath(Raw(key), key); }

std::optional<std::string> Options::OptionalString(const char* key) const {
  Napi::Value value = Raw(key);
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  return CheckedString(value, key);
}

std::optional<std::string> Options::OptionalPath(const char* key) const {
  Napi::Value value = Raw(key);
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  return CheckedPath(value, key);
}

std::vector<std::string> Options::Strings(const char* key) const {
  Napi::Value value = Raw(key);
  if (value.IsUndefined()) return {};
  return CheckedStrings(value, key);
}

int64_t Options::Integer(const char* key, int64_t fallback, int64_t minimum,
                         int64_t maximum) const {
  Napi::Value value = Raw(key);
  if (value.IsUndefined()) return fallback;
  return CheckedInteger(value, key, minimum, maximum);
}

std::optional<std::string> Arguments::OptionalString(size_t index, const char* name) const {
  Napi::Value value = info_[index];
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  return CheckedString(value, name);
}

bool Arguments::Bool(size_t index, const char* name) const {
  Napi::Value value = info_[index];
  if (!value.IsBoolean()) throw InvalidArgumentType(Env(), name, "of type boolean", value);
  return value.As<Napi::Boolean>();
}

}  // namespace apt_ostree
