// This process's side of downloads: starts the program, asks, and listens.
#include "apt/acquire.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <utility>

#include "apt/source_packages.h"
#include "core/spawn.h"
#include "fetch/wire.h"

namespace apt_ostree::apt {

namespace {

using Clock = std::chrono::steady_clock;

// Milliseconds between two looks at the wish to stop.
constexpr int kLook = 20;
// How long the program may take to stop; a second is what callers are promised.
constexpr std::chrono::milliseconds kPatience(700);
// What libapt-pkg ends a process with that cannot fork.
constexpr int kForkFailed = 100;

// Beside the addon, whatever name that has: x.node and x-fetch.
std::string ProgramFile() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&ProgramFile), &info) == 0) {
    throw Failure("ERR_BINDING", "The addon does not know where it is");
  }
  std::string file = info.dli_fname;
  const std::string ending = ".node";
  if (file.size() > ending.size() && file.rfind(ending) == file.size() - ending.size()) {
    file.resize(file.size() - ending.size());
  }
  return file + "-fetch";
}

// The variables that the methods and the tools behind them heed and that are the caller's to
// set. PATH is not: the scripts among them find their tools by it.
std::vector<std::string> Environment() {
  std::vector<std::string> texts = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
                           "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "TMPDIR", "TZ"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) texts.push_back(std::string(name) + "=" + value);
  }
  return texts;
}

// High, as Spawn wants them.
UniqueFd Copy(int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 200));
  if (!copy) throw SystemFailure(errno, "Starting", ProgramFile());
  return copy;
}

// The program, for the length of one download.
class Program {
 public:
  Program() {
    Command command;
    command.file = ProgramFile();
    command.arguments = {command.file};
    command.environment = Environment();
    command.own_group = true;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw SystemFailure(errno, "Starting", command.file);
    }
    socket_ = UniqueFd(ends[0]);
    const UniqueFd theirs(ends[1]);
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) throw SystemFailure(errno, "Opening", "/dev/null");
    for (const int fd : {null.get(), null.get(), static_cast<int>(STDERR_FILENO), theirs.get()}) {
      // A program may have closed its standard error.
      const bool open = fcntl(fd, F_GETFD) >= 0;
      command.descriptors.push_back(Copy(open ? fd : null.get()));
    }
    const int failure = Spawn(command, &pid_);
    if (failure != 0) {
      pid_ = 0;
      throw SystemFailure(failure, "Starting", command.file);
    }
  }
  ~Program() { Wait(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  int socket() const { return socket_.get(); }
  // It sees the end of the request and stops.
  void Stop() { shutdown(socket_.get(), SHUT_WR); }
  int Wait() {
    int status = 0;
    if (pid_ <= 0) return status;
    // It has ended or must; the methods that it started must not outlive it.
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  UniqueFd socket_;
  pid_t pid_ = 0;
};

Failure Ended(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kForkFailed) {
    return Failure("EAGAIN", "No process can be started for a method of the download");
  }
  const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                              : "status " + std::to_string(WEXITSTATUS(status));
  return Failure("ERR_APT_FAILED", "The program that downloads ended with " + how);
}

// What the program answers in the end.
Reader Ask(const Writer& request, FetchListener& listener) {
  Program program;
  Inbox inbox(program.socket());
  std::optional<Reader> answer;
  bool more = request.Send(program.socket());
  std::optional<Clock::time_point> stopping;
  while (more && !answer.has_value()) {
    pollfd wait = {program.socket(), POLLIN, 0};
    if (poll(&wait, 1, kLook) < 0 && errno != EINTR) break;
    if (!stopping.has_value() && listener.Cancelled()) {
      stopping = Clock::now();
      program.Stop();
    }
    if (stopping.has_value() && Clock::now() - *stopping > kPatience) throw AbortedFailure();
    if (wait.revents == 0) continue;
    more = inbox.Fill();
    while (std::optional<Reader> message = inbox.Next()) {
      switch (message->Kind()) {
        case MessageKind::kProgress: {
          FetchProgress progress;
          *message >> progress;
          listener.Progress(progress);
          break;
        }
        case MessageKind::kItem: {
          std::string uri, status, text;
          *message >> uri >> status >> text;
          listener.Item(uri, status, text);
          break;
        }
        case MessageKind::kListsChange:
          listener.ListsChange();
          break;
        case MessageKind::kFailure:
          if (stopping.has_value()) throw AbortedFailure();
          throw ReadFailure(*message);
        default:
          answer.emplace(std::move(*message));
      }
    }
  }
  if (answer.has_value()) return std::move(*answer);
  const int status = program.Wait();
  if (stopping.has_value()) throw AbortedFailure();
  throw Ended(status);
}

// Hears when lists change and passes the rest on.
class GenerationListener : public FetchListener {
 public:
  GenerationListener(Context& context, FetchListener& listener)
      : context_(context), listener_(listener) {}
  void Progress(const FetchProgress& progress) override { listener_.Progress(progress); }
  void Item(const std::string& uri, const std::string& status,
            const std::string& message) override {
    listener_.Item(uri, status, message);
  }
  // From here on a cache that is open may find its files replaced.
  void ListsChange() override { context_.NextGeneration(); }
  bool Cancelled() override { return listener_.Cancelled(); }

 private:
  Context& context_;
  FetchListener& listener_;
};

Writer About(MessageKind kind, Cache& cache) {
  // Throws where it is stale.
  cache.Use();
  Writer request(kind);
  request << cache.context().options() << cache.debs();
  return request;
}

template <typename T>
T Answer(const Writer& request, FetchListener& listener) {
  Reader answer = Ask(request, listener);
  T value;
  answer >> value;
  return value;
}

}  // namespace

UpdateResult Update(Context& context, bool strict, FetchListener& listener) {
  Writer request(MessageKind::kUpdate);
  request << context.options() << strict;
  GenerationListener relay(context, listener);
  return Answer<UpdateResult>(request, relay);
}

std::vector<FetchedPackage> Fetch(Cache& cache, const std::vector<WantedPackage>& wanted,
                                  FetchListener& listener) {
  Writer request = About(MessageKind::kFetch, cache);
  return Answer<std::vector<FetchedPackage>>(request << wanted, listener);
}

FetchedSource FetchSource(Cache& cache, const std::string& wanted, FetchListener& listener) {
  Writer request = About(MessageKind::kFetchSource, cache);
  return Answer<FetchedSource>(request << wanted, listener);
}

std::string FetchChangelog(Cache& cache, uint32_t id, FetchListener& listener) {
  Writer request = About(MessageKind::kFetchChangelog, cache);
  {
    const Session session(cache.context().configuration());
    pkgCache::VerIterator version = cache.Use().VersionById(id);
    if (version.end()) {
      throw Failure("ERR_APT_UNKNOWN_PACKAGE", "The package cache has no such version");
    }
    pkgCache::PkgIterator package = version.ParentPkg();
    request << WantedVersion{id, {package.Name(), package.Arch(), version.VerStr()}};
  }
  return Answer<std::string>(request, listener);
}

}  // namespace apt_ostree::apt
