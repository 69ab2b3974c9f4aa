// libapt-pkg keeps its configuration, its packaging system and several lists in globals. A
// Session makes one context's view the current one and keeps everybody else out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apt/failure.h"

class Configuration;
class pkgCacheFile;

namespace apt_ostree::apt {

class Session {
 public:
  // Waits until nobody else uses the library; not for the JavaScript thread.
  explicit Session(Configuration& configuration);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Empties this thread's error stack.
  std::vector<Message> TakeMessages();
  // An error made of what is on the stack: its text is the first error's, or `what`.
  Failure MakeFailure(const std::string& code, const std::string& what);
  // Throws it where something on the stack is an error.
  void ThrowPending(const std::string& code, const std::string& what);

 private:
  void Activate();
  void Leave();

  Configuration& configuration_;
  Configuration* previous_;
};

// Whether a message of the library tells of a full disk: it has no codes, but its locale is C.
bool IsDiskFull(const std::string& text);

// Closes a cache in some later session: its destructor uses the library's globals, so the
// collector's thread must not run it.
void CloseLater(std::unique_ptr<pkgCacheFile> cache);
// Closes what waits; not for the JavaScript thread.
void CloseWaiting();

// Version order as dpkg has it: negative, zero or positive. Needs no session.
int CompareVersions(const std::string& a, const std::string& b);

}  // namespace apt_ostree::apt
