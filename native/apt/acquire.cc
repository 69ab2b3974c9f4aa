#include "apt/acquire.h"

#include <apt-pkg/acquire-item.h>
#include <apt-pkg/acquire-worker.h>
#include <apt-pkg/acquire.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/hashes.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/strutl.h>
#include <apt-pkg/update.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <utility>

namespace apt_ostree::apt {

namespace {

// Microseconds between two looks at progress and at the wish to stop.
constexpr int kPulse = 50000;

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

std::string WithoutPassword(const std::string& uri) { return URI::NoUserPassword(uri); }

class Status : public pkgAcquireStatus {
 public:
  Status(Session& session, FetchListener& listener, bool stop_at_damage)
      : session_(session), listener_(listener), stop_at_damage_(stop_at_damage) {}

  bool MediaChange(std::string, std::string) override { return false; }
  void Fetch(pkgAcquire::ItemDesc& item) override { Tell(item, "started"); }
  void Done(pkgAcquire::ItemDesc& item) override { Tell(item, "done"); }
  void IMSHit(pkgAcquire::ItemDesc& item) override { Tell(item, "hit"); }
  void Fail(pkgAcquire::ItemDesc& item) override {
    // Idle means that another address of the same file is tried next.
    if (item.Owner->Status == pkgAcquire::Item::StatIdle) return;
    listener_.Item(WithoutPassword(item.URI), "failed", item.Owner->ErrorText);
    if (item.Owner->Status == pkgAcquire::Item::StatAuthError) damaged_ = true;
  }
  bool Pulse(pkgAcquire* owner) override {
    pkgAcquireStatus::Pulse(owner);
    FetchProgress progress;
    progress.bytes_done = CurrentBytes;
    progress.bytes_total = TotalBytes;
    progress.items_done = CurrentItems;
    progress.items_total = TotalItems;
    progress.bytes_per_second = CurrentCPS;
    for (pkgAcquire::Worker* worker = owner->WorkersBegin(); worker != nullptr;
         worker = owner->WorkerStep(worker)) {
      if (worker->CurrentItem != nullptr) {
        progress.current = worker->CurrentItem->ShortDesc;
        break;
      }
    }
    listener_.Progress(progress);
    session_.Yield();
    return !listener_.Cancelled() && !(stop_at_damage_ && damaged_);
  }

 private:
  void Tell(const pkgAcquire::ItemDesc& item, const char* status) {
    listener_.Item(WithoutPassword(item.URI), status, "");
  }

  Session& session_;
  FetchListener& listener_;
  const bool stop_at_damage_;
  bool damaged_ = false;
};

// The library puts pipes into an fd_set, which ends the process for descriptors past its size.
void CheckDescriptors() {
  FileDescriptor probe(open("/dev/null", O_RDONLY | O_CLOEXEC));
  // Each download method takes a few.
  if (probe.get() >= 0 && probe.get() < FD_SETSIZE - 128) return;
  throw Failure("EMFILE", "Too many open files: libapt-pkg cannot download with descriptors past " +
                              std::to_string(FD_SETSIZE));
}

// The address below which a source has its Release file and indexes.
std::string BaseOf(const metaIndex& source) {
  std::string base = source.GetURI();
  if (!base.empty() && base.back() != '/') base += '/';
  const std::string suite = source.GetDist();
  if (suite.empty() || suite.back() == '/') return base + (suite == "/" ? "" : suite);
  return base + "dists/" + suite + "/";
}

const char* KindOf(const pkgAcquire::Item& item) {
  const std::string& text = item.ErrorText;
  if (Contains(text, "not signed") || Contains(text, "GPG") || Contains(text, "signature") ||
      Contains(text, "NO_PUBKEY") || Contains(text, "Clearsigned")) {
    return "auth";
  }
  if (Contains(text, "Hash Sum mismatch") || Contains(text, "unexpected size") ||
      Contains(text, "Hashes of")) {
    return "hash";
  }
  if (Contains(text, "404") || Contains(text, "File not found") ||
      Contains(text, "does not have a Release file")) {
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
  if (kind == "auth") return 4;
  if (kind == "hash") return 3;
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
      Put(results_[i], signature ? "auth" : "notfound", text);
    }
    if (known || !signature) return;
    // A bad signature counts even where the text does not show whose it is.
    for (SourceResult& result : results_) Put(result, "auth", text);
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
};

const char* CodeOf(const std::string& kind) {
  if (kind == "auth") return "ERR_APT_NOT_AUTHENTICATED";
  if (kind == "hash") return "ERR_APT_HASH_MISMATCH";
  if (kind == "network" || kind == "notfound") return "ERR_APT_NETWORK";
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

bool DamagedText(const std::string& text) {
  return Contains(text, "Hash Sum mismatch") || Contains(text, "unexpected size") ||
         Contains(text, "File has unexpected size");
}

// Whether a finished file has the hash of the record: the library trusts its size.
bool Verified(const std::string& path, const HashStringList& hashes) {
  FileFd file(path, FileFd::ReadOnly, FileFd::None);
  if (!file.IsOpen()) return false;
  Hashes sums(hashes);
  return sums.AddFD(file) && sums.GetHashStringList() == hashes;
}

struct Download {
  WantedPackage wanted;
  pkgCache::VerIterator version;
  std::string path;
  std::string sha256;
  HashStringList hashes;
  pkgAcqArchive* item = nullptr;
};

pkgCache::VerIterator FindVersion(pkgCache& cache, const WantedPackage& wanted) {
  pkgCache::PkgIterator package = wanted.architecture.empty()
                                      ? cache.FindPkg(wanted.name)
                                      : cache.FindPkg(wanted.name, wanted.architecture);
  if (!package.end()) {
    for (pkgCache::VerIterator version = package.VersionList(); !version.end(); ++version) {
      if (wanted.version == version.VerStr() && version.Downloadable()) return version;
    }
  }
  Failure failure("ERR_APT_UNKNOWN_PACKAGE", "No source has " + wanted.name + " " + wanted.version +
                                                 " " + wanted.architecture);
  throw failure.Detail("package", wanted.name);
}

HashStringList RecordHashes(pkgCache::VerIterator version, pkgRecords& records) {
  for (pkgCache::VerFileIterator files = version.FileList(); !files.end(); ++files) {
    if ((files.File()->Flags & pkgCache::Flag::NotSource) != 0) continue;
    HashStringList hashes = records.Lookup(files).Hashes();
    if (!hashes.empty()) return hashes;
  }
  return {};
}

void CheckSpace(const std::string& directory, uint64_t needed) {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) return;
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  if (needed <= free) return;
  Failure failure("ENOSPC", "The packages need " + std::to_string(needed) + " bytes in " +
                                directory + " and there are " + std::to_string(free));
  throw failure.Detail("path", directory);
}

[[noreturn]] void ThrowForDownload(const Download& download, Session& session) {
  const pkgAcquire::Item& item = *download.item;
  const std::string uri = WithoutPassword(item.DescURI());
  std::string text = item.ErrorText;
  std::vector<Message> messages = session.TakeMessages();
  if (!text.empty()) messages.push_back({"error", text});
  const char* code = "ERR_APT_FAILED";
  if (DamagedText(text) || item.Status == pkgAcquire::Item::StatAuthError) {
    code = "ERR_APT_HASH_MISMATCH";
  } else if (IsDiskFull(text)) {
    code = "ENOSPC";
  } else if (item.Status == pkgAcquire::Item::StatTransientNetworkError || Contains(text, "404") ||
             Contains(uri, "http")) {
    code = "ERR_APT_NETWORK";
  }
  if (text.empty()) text = "The download did not finish";
  Failure failure(code, "Fetching " + download.wanted.name + " " + download.wanted.version +
                            " from " + uri + ": " + text);
  failure.Messages(std::move(messages)).Detail("package", download.wanted.name).Detail("uri", uri);
  throw failure;
}

}  // namespace

UpdateResult Update(Context& context, bool strict, FetchListener& listener) {
  CheckDescriptors();
  context.PrepareDownloads();
  Session session(context.configuration());
  UpdateResult result;
  {
    pkgSourceList list;
    if (!list.ReadMainList()) throw session.MakeFailure("ERR_APT_SOURCES", "Reading the sources");
    Status status(session, listener, false);
    pkgAcquire fetcher(&status);
    if (!list.GetIndexes(&fetcher)) {
      throw session.MakeFailure("ERR_APT_SOURCES", "Reading the sources");
    }
    // From here on a cache that is open may find its files replaced.
    context.NextGeneration();
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

std::vector<FetchedPackage> Fetch(Cache& cache, const std::vector<WantedPackage>& wanted,
                                  FetchListener& listener) {
  CheckDescriptors();
  Context& context = cache.context();
  context.PrepareDownloads();
  Session session(context.configuration());
  CacheFile& file = cache.Use();
  pkgSourceList& sources = *file.GetSourceList();
  pkgRecords records(file);
  session.ThrowPending("ERR_APT_FAILED", "Reading the package lists");

  // Outlives the fetcher, whose items write into it; a deque keeps its elements in place.
  std::deque<Download> downloads;
  Status status(session, listener, true);
  pkgAcquire fetcher(&status);
  for (const WantedPackage& one : wanted) {
    if (listener.Cancelled()) throw AbortedFailure();
    Download& download = downloads.emplace_back();
    download.wanted = one;
    download.version = FindVersion(file, one);
    download.hashes = RecordHashes(download.version, records);
    const auto queue = [&] {
      // The fetcher owns its items.
      download.item = std::make_unique<pkgAcqArchive>(&fetcher, &sources, &records,
                                                      download.version, download.path)
                          .release();
      session.ThrowPending("ERR_APT_FAILED", "Fetching " + one.name);
    };
    queue();
    if (download.item->Complete && !Verified(download.path, download.hashes)) {
      const std::string stale = download.path;
      std::unique_ptr<pkgAcqArchive>(download.item).reset();
      if (unlink(stale.c_str()) != 0) throw SystemFailure(errno, "Removing", stale);
      queue();
    }
    const HashString* sha256 = download.hashes.find("SHA256");
    if (sha256 != nullptr) download.sha256 = sha256->HashValue();
    if (!download.item->IsTrusted()) {
      Failure failure("ERR_APT_NOT_AUTHENTICATED",
                      one.name + " comes from a source that is not authenticated");
      throw failure.Detail("package", one.name)
          .Detail("uri", WithoutPassword(download.item->DescURI()));
    }
  }
  CheckSpace(context.archives(), fetcher.FetchNeeded() - fetcher.PartialPresent());
  const pkgAcquire::RunResult result = fetcher.Run(kPulse);
  if (listener.Cancelled()) throw AbortedFailure();

  std::vector<FetchedPackage> fetched;
  const Download* unfinished = nullptr;
  for (const Download& download : downloads) {
    const pkgAcquire::Item& item = *download.item;
    if (item.Status == pkgAcquire::Item::StatDone && item.Complete) {
      fetched.push_back({download.wanted.name, download.wanted.architecture,
                         download.wanted.version, download.path, download.sha256});
      continue;
    }
    // One that failed says more than those which were stopped because of it.
    if (unfinished == nullptr || unfinished->item->ErrorText.empty()) unfinished = &download;
  }
  if (unfinished != nullptr) ThrowForDownload(*unfinished, session);
  if (result == pkgAcquire::Failed) {
    throw session.MakeFailure("ERR_APT_FAILED", "Fetching packages");
  }
  return fetched;
}

}  // namespace apt_ostree::apt
