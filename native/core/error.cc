#include "core/error.h"

#include <ostree.h>

#include <cerrno>
#include <cstring>

#include "core/clip.h"

namespace apt_ostree {

namespace {

const char* IoErrorCode(int code) {
  switch (code) {
    case G_IO_ERROR_NOT_FOUND:
      return "ENOENT";
    case G_IO_ERROR_EXISTS:
      return "EEXIST";
    case G_IO_ERROR_PERMISSION_DENIED:
      return "EACCES";
    case G_IO_ERROR_NOT_DIRECTORY:
      return "ENOTDIR";
    case G_IO_ERROR_IS_DIRECTORY:
      return "EISDIR";
    case G_IO_ERROR_NOT_EMPTY:
      return "ENOTEMPTY";
    case G_IO_ERROR_NO_SPACE:
      return "ENOSPC";
    case G_IO_ERROR_READ_ONLY:
      return "EROFS";
    case G_IO_ERROR_BUSY:
      return "EBUSY";
    case G_IO_ERROR_TIMED_OUT:
      return "ETIMEDOUT";
    case G_IO_ERROR_HOST_NOT_FOUND:
      return "ENOTFOUND";
    case G_IO_ERROR_HOST_UNREACHABLE:
      return "EHOSTUNREACH";
    case G_IO_ERROR_NETWORK_UNREACHABLE:
      return "ENETUNREACH";
    case G_IO_ERROR_CONNECTION_REFUSED:
      return "ECONNREFUSED";
    case G_IO_ERROR_TOO_MANY_OPEN_FILES:
      return "EMFILE";
    case G_IO_ERROR_WOULD_BLOCK:
      return "ERR_OSTREE_LOCKED";
    case G_IO_ERROR_NOT_SUPPORTED:
      return "ERR_OSTREE_NOT_SUPPORTED";
    case G_IO_ERROR_INVALID_ARGUMENT:
    case G_IO_ERROR_INVALID_DATA:
    case G_IO_ERROR_INVALID_FILENAME:
      return "ERR_INVALID_ARG_VALUE";
    case G_IO_ERROR_CANCELLED:
      return "ABORT_ERR";
    default:
      return "ERR_OSTREE_FAILED";
  }
}

const char* GpgErrorCode(int code) {
  switch (code) {
    case OSTREE_GPG_ERROR_NO_SIGNATURE:
      return "ERR_OSTREE_GPG_NO_SIGNATURE";
    case OSTREE_GPG_ERROR_INVALID_SIGNATURE:
      return "ERR_OSTREE_GPG_INVALID_SIGNATURE";
    case OSTREE_GPG_ERROR_MISSING_KEY:
      return "ERR_OSTREE_GPG_MISSING_KEY";
    case OSTREE_GPG_ERROR_EXPIRED_SIGNATURE:
      return "ERR_OSTREE_GPG_EXPIRED_SIGNATURE";
    case OSTREE_GPG_ERROR_EXPIRED_KEY:
      return "ERR_OSTREE_GPG_EXPIRED_KEY";
    case OSTREE_GPG_ERROR_REVOKED_KEY:
      return "ERR_OSTREE_GPG_REVOKED_KEY";
    default:
      return "ERR_OSTREE_FAILED";
  }
}

// Symbolic names for the system errors that callers are likely to switch on.
const char* ErrnoCode(int error_number) {
  const char* name = strerrorname_np(error_number);
  return name != nullptr ? name : "ERR_SYSTEM";
}

}  // namespace

NativeError& NativeError::Domain(std::string domain, int native_code) {
  domain_ = std::move(domain);
  native_code_ = native_code;
  return *this;
}

NativeError& NativeError::Messages(std::vector<ErrorMessage> messages) {
  messages_ = std::move(messages);
  return *this;
}

NativeError& NativeError::Detail(const std::string& key, std::string value) {
  details_[key] = std::move(value);
  return *this;
}

NativeError& NativeError::Data(const std::string& key, std::function<Napi::Value(Napi::Env)> make) {
  data_[key] = std::move(make);
  return *this;
}

Napi::Error NativeError::ToJs(Napi::Env env) const {
  Napi::Error error = Napi::Error::New(env, Clip(message_));
  Napi::Object object = error.Value();
  object.Set("code", code_);
  if (!domain_.empty()) {
    object.Set("domain", domain_);
    object.Set("nativeCode", native_code_);
  }
  if (!messages_.empty()) {
    Napi::Array list = Napi::Array::New(env, messages_.size());
    for (size_t i = 0; i < messages_.size(); ++i) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("severity", messages_[i].severity);
      entry.Set("text", Clip(messages_[i].text));
      list.Set(static_cast<uint32_t>(i), entry);
    }
    object.Set("messages", list);
  }
  for (const auto& [key, value] : details_) {
    // Places are numbers.
    if (key == "start" || key == "end") {
      object.Set(key, std::stod(value));
    } else {
      object.Set(key, Clip(value));
    }
  }
  for (const auto& [key, make] : data_) object.Set(key, make(env));
  return error;
}

NativeError FromGError(GError* error, const std::string& what) {
  if (error == nullptr) return NativeError("ERR_OSTREE_FAILED", what + " failed");
  const char* code = "ERR_OSTREE_FAILED";
  if (error->domain == G_IO_ERROR) {
    code = IoErrorCode(error->code);
    // Its reserve (core.min-free-space-*) is a number of its own to libostree, not an errno.
    if (error->code == G_IO_ERROR_FAILED &&
        std::strstr(error->message, "min-free-space-") != nullptr) {
      code = "ENOSPC";
    }
  } else if (error->domain == OSTREE_GPG_ERROR) {
    code = GpgErrorCode(error->code);
  } else if ((error->domain == G_FILE_ERROR && error->code == G_FILE_ERROR_NOENT) ||
             (error->domain == G_SPAWN_ERROR && error->code == G_SPAWN_ERROR_NOENT)) {
    code = "ENOENT";
  } else if (error->domain == G_SPAWN_ERROR && error->code == G_SPAWN_ERROR_ACCES) {
    code = "EACCES";
  }
  // g_set_error takes any bytes; a JavaScript string needs UTF-8.
  char* text = g_utf8_make_valid(error->message, -1);
  NativeError result(code, text);
  g_free(text);
  result.Domain(g_quark_to_string(error->domain), error->code);
  g_error_free(error);
  return result;
}

NativeError FromErrno(int error_number, const std::string& what, const std::string& path) {
  NativeError error(ErrnoCode(error_number),
                    what + (path.empty() ? "" : " " + path) + ": " + std::strerror(error_number));
  error.Domain("posix", error_number);
  if (!path.empty()) error.Detail("path", path);
  return error;
}

NativeError Aborted() { return NativeError("ABORT_ERR", "The operation was aborted"); }

}  // namespace apt_ostree
