// Brings package lists up to date, and says of each source what became of it.
#include <apt-pkg/acquire-item.h>
#include <apt-pkg/acquire.h>
#include <apt-pkg/error.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/update.h>

#include <algorithm>
#include <utility>

#include "fetch/download.h"
#include "fetch/work.h"

namespace apt_ostree::apt {

namespace {

// The address below which a source has its Release file and indexes.
std::string BaseOf(const metaIndex& source) {
  std::string base = source.GetURI();
  if (!base.empty() && base.back() != '/') base += '/';
  const std::string suite = source.GetDist();
  if (suite.empty() || suite.back() == '/') return base + (suite == "/" ? "" : suite);
  return base + "dists/" + suite + "/";
}

// apt's method gives the answer's status line, "404  Not Found [IP: ...]"; anywhere else in a text
// three such digits are part of an address.
int HttpStatus(const std::string& text) {
  if (text.size() < 4 || text[3] != ' ') return 0;
  int status = 0;
  for (int i = 0; i < 3; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    status = status * 10 + (text[i] - '0');
  }
  return status;
}

// Names the host, which may be called anything: looked at before words are looked for in the text.
bool NeverConnected(const std::string& text) {
  static constexpr const char* kBegins[] = {"Could not connect to ",
                                            "Unable to connect to ",
                                            "Cannot initiate the connection to ",
                                            "Could not resolve ",
                                            "Temporary failure resolving ",
                                            "System error resolving ",
                                            "Something wicked ",
                                            "Connection failed",
                                            "Connection timed out"};
  return std::any_of(std::begin(kBegins), std::end(kBegins),
                     [&](const char* begin) { return text.rfind(begin, 0) == 0; });
}

const char* KindOf(const pkgAcquire::Item& item) {
  const std::string& text = item.ErrorText;
  if (NeverConnected(text)) return "network";
  const int status = HttpStatus(text);
  if (status == 401 || status == 403 || status == 407) return "denied";
  if (status == 404 || status == 410) return "notfound";
  if (Contains(text, "not signed") || Contains(text, "GPG") || Contains(text, "signature") ||
      Contains(text, "NO_PUBKEY") || Contains(text, "Clearsigned")) {
    return "auth";
  }
  if (Contains(text, "Hash Sum mismatch") || Contains(text, "unexpected size") ||
      Contains(text, "Hashes of")) {
    return "hash";
  }
  if (Contains(text, "is expired") || Contains(text, "is not valid yet")) return "expired";
  if (Contains(text, "File not found") || Contains(text, "does not have a Release file")) {
    return "notfound";
  }
  if (item.Status == pkgAcquire::Item::StatTransientNetworkError) return "network";
  if (item.Status == pkgAcquire::Item::StatAuthError) return "hash";
  if (Contains(text, "onnect") || Contains(text, "resolv") || Contains(text, "imed out") ||
      Contains(text, "timeout") || Contains(text, "unreachable")) {
    return "network";
  }
  return "other";
}

// Worse kinds replace milder ones of the same source.
int Weight(const std::string& kind) {
  if (kind == "auth") return 5;
  if (kind == "hash") return 4;
  if (kind == "expired" || kind == "denied") return 3;
  if (kind == "notfound") return 2;
  if (kind == "network") return 1;
  return 0;
}

class SourceReport {
 public:
  explicit SourceReport(const pkgSourceList& list) {
    for (const metaIndex* source : list) {
      results_.push_back({WithoutPassword(source->GetURI()), source->GetDist(), true, "", ""});
      bases_.push_back(WithoutPassword(BaseOf(*source)));
      trusted_.push_back(source->GetTrusted() == metaIndex::TRI_YES);
    }
  }

  void AddItem(const pkgAcquire::Item& item) {
    if (item.Status == pkgAcquire::Item::StatDone) return;
    Add(WithoutPassword(item.DescURI()), KindOf(item), item.ErrorText);
  }

  // A source whose new Release file has a bad signature keeps its old lists, and the item then
  // looks like a network failure; only the warning tells.
  void AddMessage(const Message& message) {
    if (message.severity != "error" && message.severity != "warning") return;
    const std::string& text = message.text;
    const bool signature = Contains(text, "GPG error") || Contains(text, "is not signed") ||
                           Contains(text, "signature verification") ||
                           Contains(text, "no longer signed");
    const bool release = Contains(text, "does not have a Release file") ||
                         Contains(text, "no longer has a Release file");
    if (!signature && !release) return;
    bool known = false;
    for (size_t i = 0; i < results_.size(); ++i) {
      // "The repository 'http://host/debian suite Release' ..." with or without the last slash
      // of the URI, or "GPG error: http://host/debian/dists/suite InRelease: ...".
      std::string uri = results_[i].uri;
      const std::string suite = " " + results_[i].suite + " ";
      bool named = Contains(text, (uri + suite).c_str()) || Contains(text, bases_[i].c_str());
      while (!uri.empty() && uri.back() == '/') {
        uri.pop_back();
        named = named || Contains(text, (uri + suite).c_str());
      }
      if (!named) continue;
      known = true;
      // The caller vouches for it; the message stays among the warnings.
      if (signature && trusted_[i]) continue;
      // Of a Release file that the server did not give out, the library says so too.
      if (results_[i].kind == "denied") continue;
      Put(results_[i], signature ? "auth" : "notfound", text);
    }
    if (known || !signature) return;
    // A bad signature counts even where the text does not show whose it is.
    for (size_t i = 0; i < results_.size(); ++i) {
      if (!trusted_[i]) Put(results_[i], "auth", text);
    }
  }

  // For a failure that no item and no message explains.
  void AddUnexplained(const std::string& text) {
    for (const SourceResult& result : results_) {
      if (!result.ok) return;
    }
    for (SourceResult& result : results_) Put(result, "other", text);
  }

  std::vector<SourceResult> Take() { return std::move(results_); }

 private:
  void Add(const std::string& uri, const std::string& kind, const std::string& message) {
    for (size_t i = 0; i < results_.size(); ++i) {
      if (uri.compare(0, bases_[i].size(), bases_[i]) == 0) Put(results_[i], kind, message);
    }
  }
  void Put(SourceResult& result, const std::string& kind, const std::string& message) {
    if (!result.ok && Weight(result.kind) >= Weight(kind)) return;
    result.ok = false;
    result.kind = kind;
    result.message = message;
  }

  std::vector<SourceResult> results_;
  std::vector<std::string> bases_;
  std::vector<bool> trusted_;
};

const char* CodeOf(const std::string& kind) {
  if (kind == "auth") return "ERR_APT_NOT_AUTHENTICATED";
  if (kind == "hash") return "ERR_APT_HASH_MISMATCH";
  if (kind == "expired") return "ERR_APT_EXPIRED";
  if (kind == "network" || kind == "notfound" || kind == "denied") return "ERR_APT_NETWORK";
  return "ERR_APT_FAILED";
}

void ThrowForSources(const UpdateResult& result, bool strict) {
  const SourceResult* worst = nullptr;
  bool alive = result.sources.empty();
  for (const SourceResult& source : result.sources) {
    if (source.ok) {
      alive = true;
      continue;
    }
    if (worst == nullptr || Weight(source.kind) > Weight(worst->kind)) worst = &source;
  }
  if (worst == nullptr) return;
  // Not a matter of one source.
  for (const Message& message : result.warnings) {
    if (!IsDiskFull(message.text)) continue;
    Failure full("ENOSPC", message.text);
    throw full.Messages(result.warnings).Detail("uri", worst->uri);
  }
  if (alive && !strict && worst->kind != "auth") return;
  Failure failure(CodeOf(worst->kind), worst->uri + " " + worst->suite + ": " + worst->message);
  failure.Messages(result.warnings).Detail("uri", worst->uri);
  throw failure;
}

}  // namespace

UpdateResult RunUpdate(Context& context, bool strict, FetchListener& listener) {
  context.PrepareDownloads();
  Session session(context.configuration());
  UpdateResult result;
  {
    pkgSourceList list;
    if (!list.ReadMainList()) throw session.MakeFailure("ERR_APT_SOURCES", "Reading the sources");
    Status status(listener, false);
    pkgAcquire fetcher(&status);
    if (!list.GetIndexes(&fetcher)) {
      throw session.MakeFailure("ERR_APT_SOURCES", "Reading the sources");
    }
    listener.ListsChange();
    const bool updated = AcquireUpdate(fetcher, kPulse, false, true);
    if (listener.Cancelled()) throw AbortedFailure();
    SourceReport report(list);
    for (auto item = fetcher.ItemsBegin(); item != fetcher.ItemsEnd(); ++item) {
      report.AddItem(**item);
    }
    result.warnings = session.TakeMessages();
    for (const Message& message : result.warnings) report.AddMessage(message);
    const auto error =
        std::find_if(result.warnings.begin(), result.warnings.end(),
                     [](const Message& message) { return message.severity == "error"; });
    if (!updated || error != result.warnings.end()) {
      report.AddUnexplained(error != result.warnings.end() ? error->text : "The update failed");
    }
    result.sources = report.Take();
  }
  ThrowForSources(result, strict);
  return result;
}

}  // namespace apt_ostree::apt
