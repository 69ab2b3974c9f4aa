// What went wrong, in one shape for both libraries: thrown on executor threads as a C++
// exception, turned into a JavaScript Error on the JavaScript thread.
#pragma once

#include <gio/gio.h>
#include <napi.h>

#include <exception>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace apt_ostree {

// One entry of libapt-pkg's error stack.
struct ErrorMessage {
  std::string severity;  // "error", "warning", "notice", "debug"
  std::string text;
};

class NativeError : public std::exception {
 public:
  NativeError(std::string code, std::string message)
      : code_(std::move(code)), message_(std::move(message)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& code() const { return code_; }
  const std::string& message() const { return message_; }

  // Where the failure came from: "g-io-error-quark", "apt", "posix"...
  NativeError& Domain(std::string domain, int native_code);
  NativeError& Messages(std::vector<ErrorMessage> messages);
  // Extra facts that callers can act on ("path", "ref", "package", "uri").
  NativeError& Detail(const std::string& key, std::string value);
  // A fact that is more than a text; made on the JavaScript thread.
  NativeError& Data(const std::string& key, std::function<Napi::Value(Napi::Env)> make);

  // A JavaScript Error with `code`, `domain`, `nativeCode`, `messages` and the details.
  Napi::Error ToJs(Napi::Env env) const;

 private:
  std::string code_;
  std::string message_;
  std::string domain_;
  int native_code_ = 0;
  std::vector<ErrorMessage> messages_;
  std::map<std::string, std::string> details_;
  std::map<std::string, std::function<Napi::Value(Napi::Env)>> data_;
};

// The table (domain, code) -> our code. `error` is consumed; a null error (libostree returns
// FALSE without one after some precondition failures) becomes ERR_OSTREE_FAILED.
NativeError FromGError(GError* error, const std::string& what);

// errno of a failed system call on `path`.
NativeError FromErrno(int error_number, const std::string& what, const std::string& path);

// Aborted by the caller's signal or because the environment is ending.
NativeError Aborted();

}  // namespace apt_ostree
