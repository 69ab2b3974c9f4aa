#include "apt/session.h"

#include <apt-pkg/aptconfiguration.h>
#include <apt-pkg/cachefile.h>
#include <apt-pkg/configuration.h>
#include <apt-pkg/debversion.h>
#include <apt-pkg/error.h>
#include <apt-pkg/init.h>
#include <apt-pkg/pkgsystem.h>
#include <sched.h>

#include <cstring>
#include <mutex>
#include <sstream>
#include <utility>

namespace apt_ostree::apt {

namespace {

// The only state of this addon that belongs to the process: what it guards does too.
std::mutex& Library() {
  static std::mutex mutex;
  return mutex;
}

struct Waiting {
  std::mutex mutex;
  std::vector<std::unique_ptr<pkgCacheFile>> caches;
};

Waiting& WaitingCaches() {
  static Waiting waiting;
  return waiting;
}

// libapt-pkg sets the umask for moments at a time. With a file system context of its own, a
// thread's umask is not the process's.
void OwnFileSystemContext() {
  static thread_local bool done = false;
  if (done) return;
  done = true;
  if (unshare(CLONE_FS) != 0) {
    // Some sandboxes forbid it. The moments stay what they are for every user of the library.
    return;
  }
}

void DestroyWaiting() {
  std::vector<std::unique_ptr<pkgCacheFile>> caches;
  Waiting& waiting = WaitingCaches();
  std::lock_guard<std::mutex> guard(waiting.mutex);
  caches.swap(waiting.caches);
}

const char* SeverityName(char letter) {
  switch (letter) {
    case 'E':
      return "error";
    case 'W':
      return "warning";
    case 'N':
      return "notice";
    case 'A':
      return "audit";
    default:
      return "debug";
  }
}

}  // namespace

Failure SystemFailure(int error_number, const std::string& what, const std::string& path) {
  const char* name = strerrorname_np(error_number);
  Failure failure(name != nullptr ? name : "ERR_SYSTEM",
                  what + " " + path + ": " + std::strerror(error_number));
  failure.Detail("path", path);
  return failure;
}

bool IsDiskFull(const std::string& text) {
  return text.find("No space left on device") != std::string::npos;
}

Session::Session(Configuration& configuration) : configuration_(configuration), previous_(nullptr) {
  OwnFileSystemContext();
  Library().lock();
  previous_ = _config;
  try {
    Activate();
    DestroyWaiting();
  } catch (...) {
    Leave();
    throw;
  }
}

Session::~Session() { Leave(); }

void Session::Leave() {
  _error->Discard();
  _config = previous_;
  Library().unlock();
}

void Session::Activate() {
  _config = &configuration_;
  // Something left by other users of this thread would make every next call fail.
  _error->Discard();
  const bool ready = _system == nullptr ? pkgInitSystem(configuration_, _system)
                                        : _system->Initialize(configuration_);
  if (!ready || _system == nullptr) throw MakeFailure("ERR_APT_FAILED", "Starting libapt-pkg");
  // Lists that the library keeps from the configuration that came before.
  APT::Configuration::getArchitectures(false);
  APT::Configuration::getLanguages(true, false);
  APT::Configuration::getCompressors(false);
  APT::Configuration::getCompressionTypes(false);
}

std::vector<Message> Session::TakeMessages() {
  std::ostringstream text;
  _error->DumpErrors(text, GlobalError::DEBUG, true);
  _error->Discard();
  std::vector<Message> messages;
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) {
    // "E: text"; the further lines of one message are indented.
    if (line.size() >= 3 && line[1] == ':' && line[0] != ' ') {
      messages.push_back({SeverityName(line[0]), line.substr(3)});
    } else if (!messages.empty()) {
      const size_t start = line.find_first_not_of(' ');
      messages.back().text += "\n" + (start == std::string::npos ? "" : line.substr(start));
    }
  }
  return messages;
}

Failure Session::MakeFailure(const std::string& code, const std::string& what) {
  std::vector<Message> messages = TakeMessages();
  std::string text = what;
  for (const Message& message : messages) {
    if (message.severity != "error") continue;
    text += ": " + message.text;
    break;
  }
  Failure failure(IsDiskFull(text) ? "ENOSPC" : code, text);
  failure.Messages(std::move(messages));
  return failure;
}

void Session::ThrowPending(const std::string& code, const std::string& what) {
  if (_error->PendingError()) throw MakeFailure(code, what);
}

void CloseLater(std::unique_ptr<pkgCacheFile> cache) {
  if (cache == nullptr) return;
  Waiting& waiting = WaitingCaches();
  std::lock_guard<std::mutex> guard(waiting.mutex);
  waiting.caches.push_back(std::move(cache));
}

void CloseWaiting() {
  std::lock_guard<std::mutex> guard(Library());
  DestroyWaiting();
}

int CompareVersions(const std::string& a, const std::string& b) { return debVS.CmpVersion(a, b); }

}  // namespace apt_ostree::apt
