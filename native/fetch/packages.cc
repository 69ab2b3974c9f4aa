// Downloads packages of an open cache.
#include <apt-pkg/acquire-item.h>
#include <apt-pkg/acquire.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/hashes.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/sourcelist.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <memory>

#include "fetch/download.h"
#include "fetch/work.h"

namespace apt_ostree::apt {

namespace {

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

// Of a package file that was given: no list tells it.
std::string Sha256Of(const std::string& path) {
  FileFd file(path, FileFd::ReadOnly, FileFd::None);
  Hashes hashes(Hashes::SHA256SUM);
  if (!file.IsOpen() || !hashes.AddFD(file)) throw SystemFailure(EIO, "Reading", path);
  return hashes.GetHashString(Hashes::SHA256SUM).HashValue();
}

}  // namespace

std::vector<FetchedPackage> RunFetch(Cache& cache, const std::vector<WantedPackage>& wanted,
                                     FetchListener& listener) {
  Context& context = cache.context();
  context.PrepareDownloads();
  Session session(context.configuration());
  CacheFile& file = cache.Use();
  pkgSourceList& sources = *file.GetSourceList();
  pkgRecords records(file);
  session.ThrowPending("ERR_APT_FAILED", "Reading the package lists");

  // Outlives the fetcher, whose items write into it; a deque keeps its elements in place.
  std::deque<Download> downloads;
  Status status(listener, true);
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
                         download.wanted.version, download.path,
                         download.sha256.empty() ? Sha256Of(download.path) : download.sha256});
      continue;
    }
    // One that failed says more than those which were stopped because of it.
    if (unfinished == nullptr || unfinished->item->ErrorText.empty()) unfinished = &download;
  }
  if (unfinished != nullptr) {
    const WantedPackage& one = unfinished->wanted;
    ThrowForDownload(*unfinished->item, one.name + " " + one.version, one.name, session);
  }
  if (result == pkgAcquire::Failed) {
    throw session.MakeFailure("ERR_APT_FAILED", "Fetching packages");
  }
  return fetched;
}

}  // namespace apt_ostree::apt
