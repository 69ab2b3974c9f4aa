// The program that downloads for the library: it takes one request from a socket, does it, and
// says there what happens. The library ends the request's side of the socket where it wants no
// more of it, and so does the system where the library's process is gone.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "fetch/wire.h"
#include "fetch/work.h"

namespace apt_ostree::apt {

namespace {

constexpr int kSocket = STDERR_FILENO + 1;

class Teller : public FetchListener {
 public:
  void Progress(const FetchProgress& progress) override {
    Writer message(MessageKind::kProgress);
    message << progress;
    message.Send(kSocket);
  }
  void Item(const std::string& uri, const std::string& status,
            const std::string& message) override {
    (Writer(MessageKind::kItem) << uri << status << message).Send(kSocket);
  }
  void ListsChange() override { Writer(MessageKind::kListsChange).Send(kSocket); }
  bool Cancelled() override {
    char byte;
    return recv(kSocket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }
};

std::shared_ptr<Context> ReadContext(Reader& in) {
  ContextOptions options;
  in >> options;
  return std::make_shared<Context>(std::move(options), Context::Holder::kOther);
}

// With the same .deb files as the other process's cache.
std::unique_ptr<Cache> ReadCache(Reader& in) {
  std::shared_ptr<Context> context = ReadContext(in);
  std::vector<std::string> debs;
  in >> debs;
  return std::make_unique<Cache>(std::move(context), debs);
}

Writer Answer(Reader& in) {
  Teller teller;
  Writer out(MessageKind::kResult);
  switch (in.Kind()) {
    case MessageKind::kUpdate: {
      const std::shared_ptr<Context> context = ReadContext(in);
      bool strict = false;
      in >> strict;
      out << RunUpdate(*context, strict, teller);
      break;
    }
    case MessageKind::kFetch: {
      const std::unique_ptr<Cache> cache = ReadCache(in);
      std::vector<WantedPackage> wanted;
      in >> wanted;
      out << RunFetch(*cache, wanted, teller);
      break;
    }
    case MessageKind::kFetchSource: {
      const std::unique_ptr<Cache> cache = ReadCache(in);
      std::string wanted;
      in >> wanted;
      out << RunFetchSource(*cache, wanted, teller);
      break;
    }
    case MessageKind::kFetchChangelog: {
      const std::unique_ptr<Cache> cache = ReadCache(in);
      WantedVersion wanted;
      in >> wanted;
      out << RunFetchChangelog(*cache, wanted, teller);
      break;
    }
    default:
      throw Failure("ERR_INTERNAL", "The request for a download is none");
  }
  return out;
}

int Serve() {
  // Not for apt's methods.
  if (fcntl(kSocket, F_SETFD, FD_CLOEXEC) != 0) return 1;
  Inbox inbox(kSocket);
  std::optional<Reader> request;
  while (!(request = inbox.Next()).has_value()) {
    if (!inbox.Fill()) return 1;
  }
  std::optional<Failure> failure;
  try {
    return Answer(*request).Send(kSocket) ? 0 : 1;
  } catch (const Failure& error) {
    failure = error;
  } catch (const std::bad_alloc&) {
    failure = Failure("ENOMEM", "Out of memory");
  } catch (const std::exception& error) {
    failure = Failure("ERR_INTERNAL", error.what());
  }
  Writer message(MessageKind::kFailure);
  message << *failure;
  return message.Send(kSocket) ? 0 : 1;
}

}  // namespace

}  // namespace apt_ostree::apt

int main() {
  const int status = apt_ostree::apt::Serve();
  // All is said and written; what exit would do for a library is done by the system.
  _exit(status);
}
