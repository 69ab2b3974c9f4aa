// Checks of what JavaScript hands in, worded and coded as Node's own. lib/ checks first and
// gives the better text; these stand for the promise that no input ends the process.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace apt_ostree {

// A TypeError with `code`.
Napi::Error InvalidArgument(Napi::Env env, const std::string& code, const std::string& message);
// ERR_INVALID_ARG_TYPE: `The "name" argument must be <expected>. Received ...`
Napi::Error InvalidArgumentType(Napi::Env env, const std::string& name, const std::string& expected,
                                Napi::Value received);
// ERR_INVALID_ARG_VALUE: `The argument 'name' <problem>`
Napi::Error InvalidArgumentValue(Napi::Env env, const std::string& name,
                                 const std::string& problem);

// Text without NUL, which would cut a C string short.
std::string CheckedString(Napi::Value value, const std::string& name);
// A path: a string or the bytes of one.
std::string CheckedPath(Napi::Value value, const std::string& name);
std::vector<std::string> CheckedStrings(Napi::Value value, const std::string& name);
int64_t CheckedInteger(Napi::Value value, const std::string& name, int64_t minimum,
                       int64_t maximum);

// Members of an options object; an absent or undefined member gives the default.
class Options {
 public:
  // `value` must be an object; undefined counts as an empty one.
  Options(Napi::Env env, Napi::Value value, const std::string& name);
  Napi::Value Raw(const char* key) const;
  bool Has(const char* key) const { return !Raw(key).IsUndefined(); }
  bool Bool(const char* key, bool fallback) const;
  std::string String(const char* key) const;
  std::string Path(const char* key) const;
  std::optional<std::string> OptionalString(const char* key) const;
  std::optional<std::string> OptionalPath(const char* key) const;
  std::vector<std::string> Strings(const char* key) const;
  int64_t Integer(const char* key, int64_t fallback, int64_t minimum, int64_t maximum) const;

 private:
  Napi::Env env_;
  Napi::Object object_;
};

// The positional arguments of one call.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}
  Napi::Env Env() const { return info_.Env(); }
  Napi::Value Raw(size_t index) const { return info_[index]; }
  std::string String(size_t index, const char* name) const {
    return CheckedString(info_[index], name);
  }
  std::string Path(size_t index, const char* name) const { return CheckedPath(info_[index], name); }
  std::vector<std::string> Strings(size_t index, const char* name) const {
    return CheckedStrings(info_[index], name);
  }
  // null and undefined mean absent.
  std::optional<std::string> OptionalString(size_t index, const char* name) const;
  bool Bool(size_t index, const char* name) const;
  int64_t Integer(size_t index, const char* name, int64_t minimum, int64_t maximum) const {
    return CheckedInteger(info_[index], name, minimum, maximum);
  }
  Options Object(size_t index, const char* name) const {
    return Options(info_.Env(), info_[index], name);
  }

 private:
  const Napi::CallbackInfo& info_;
};

}  // namespace apt_ostree
