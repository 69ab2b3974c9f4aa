// What libapt-pkg work throws. The files that include libapt-pkg's headers do not include
// napi.h: apt-pkg/error.h defines `_error` as a macro, a member name in node-addon-api.
#pragma once

#include <exception>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apt/tree.h"

namespace apt_ostree::apt {

// One entry of libapt-pkg's error stack.
struct Message {
  std::string severity;  // "error", "warning", "notice", "debug", "audit"
  std::string text;
};

class Failure : public std::exception {
 public:
  Failure(std::string code, std::string message)
      : code_(std::move(code)), message_(std::move(message)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<Message>& messages() const { return messages_; }
  const std::map<std::string, std::string>& details() const { return details_; }

  Failure& Messages(std::vector<Message> messages) {
    messages_ = std::move(messages);
    return *this;
  }
  const std::map<std::string, Tree>& data() const { return data_; }

  // A detail that is more than a text.
  Failure& Data(const std::string& key, Tree value) {
    data_[key] = std::move(value);
    return *this;
  }
  Failure& Detail(const std::string& key, std::string value) {
    details_[key] = std::move(value);
    return *this;
  }

 private:
  std::string code_;
  std::string message_;
  std::vector<Message> messages_;
  std::map<std::string, std::string> details_;
  std::map<std::string, Tree> data_;
};

// errno of a failed system call on `path`.
Failure SystemFailure(int error_number, const std::string& what, const std::string& path);

inline Failure AbortedFailure() { return Failure("ABORT_ERR", "The operation was aborted"); }

}  // namespace apt_ostree::apt
