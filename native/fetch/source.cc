// Downloads of what is no package: source packages and changelogs.
#include <apt-pkg/acquire-item.h>
#include <apt-pkg/acquire.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/srcrecords.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <deque>
#include <utility>

#include "apt/source_records.h"
#include "fetch/download.h"
#include "fetch/work.h"

namespace apt_ostree::apt {

namespace {

// Of a name that comes from an index and becomes one of a file.
void CheckFileName(const std::string& name, const std::string& package) {
  const bool plain = !name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos;
  if (plain) return;
  Failure failure("ERR_APT_FAILED", "The record of the source package " + package +
                                        " has a file name that is none: " + name);
  throw failure.Detail("package", package);
}

void MakeOwnDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    throw SystemFailure(errno, "Creating", path);
  }
}

// What a fetcher leaves for a file of this machine is a link to it.
void Place(const std::string& from, const std::string& to) {
  struct stat info;
  if (lstat(from.c_str(), &info) != 0) throw SystemFailure(errno, "Reading", from);
  // Downloads belong to the user of the download methods.
  if (geteuid() == 0 && S_ISREG(info.st_mode) &&
      (lchown(from.c_str(), 0, 0) != 0 || chmod(from.c_str(), 0644) != 0)) {
    throw SystemFailure(errno, "Changing", from);
  }
  if (rename(from.c_str(), to.c_str()) != 0) throw SystemFailure(errno, "Moving", from);
}

struct SourceFile {
  std::string name;
  std::string target;
  std::string partial;
  HashStringList hashes;
  pkgAcqFile* item = nullptr;  // null: there already
};

// The numbers of two caches that were made of the same lists are the same, as a rule.
pkgCache::VerIterator SameVersion(CacheFile& file, const WantedVersion& wanted) {
  const auto same = [&wanted](pkgCache::VerIterator version) {
    pkgCache::PkgIterator package = version.ParentPkg();
    return wanted.package.name == package.Name() && wanted.package.architecture == package.Arch() &&
           wanted.package.version == version.VerStr();
  };
  pkgCache::VerIterator version = file.VersionById(wanted.id);
  if (!version.end() && same(version)) return version;
  pkgCache& cache = file;
  pkgCache::PkgIterator package = cache.FindPkg(wanted.package.name, wanted.package.architecture);
  if (package.end()) return version;
  for (version = package.VersionList(); !version.end() && !same(version); ++version) {
  }
  return version;
}

}  // namespace

FetchedSource RunFetchSource(Cache& cache, const std::string& wanted, FetchListener& listener) {
  Context& context = cache.context();
  context.PrepareDownloads();
  Session session(context.configuration());
  const FoundSource found = FindSource(cache.Use(), session, wanted);
  pkgSrcRecords::Parser& parser = *found.parser;
  FetchedSource fetched;
  fetched.name = parser.Package();
  fetched.version = parser.Version();
  if (!parser.Index().IsTrusted()) {
    Failure failure("ERR_APT_NOT_AUTHENTICATED",
                    fetched.name + " comes from a source that is not authenticated");
    throw failure.Detail("package", fetched.name);
  }
  const std::string directory = fetched.name + "_" + fetched.version;
  CheckFileName(directory, fetched.name);
  MakeOwnDirectory(context.options().directory + "/sources");
  fetched.directory = context.options().directory + "/sources/" + directory;
  MakeOwnDirectory(fetched.directory);

  std::vector<pkgSrcRecords::File> files;
  if (!parser.Files(files))
    throw session.MakeFailure("ERR_APT_FAILED", "Reading the source record");
  // Outlives the fetcher.
  std::deque<SourceFile> downloads;
  Status status(listener, true);
  pkgAcquire fetcher(&status);
  for (const pkgSrcRecords::File& file : files) {
    SourceFile& one = downloads.emplace_back();
    one.name = flNotDir(file.Path);
    CheckFileName(one.name, fetched.name);
    one.target = fetched.directory + "/" + one.name;
    one.partial = context.archives() + "partial/" + one.name;
    one.hashes = file.Hashes;
    fetched.files.push_back(one.name);
    if (!file.Hashes.usable()) {
      Failure failure("ERR_APT_NOT_AUTHENTICATED", one.name + " has no hash that counts");
      throw failure.Detail("package", fetched.name);
    }
    if (Verified(one.target, one.hashes)) continue;
    if (unlink(one.target.c_str()) != 0 && errno != ENOENT) {
      throw SystemFailure(errno, "Removing", one.target);
    }
    // The fetcher owns its items.
    one.item = std::make_unique<pkgAcqFile>(
                   &fetcher, parser.Index().ArchiveURI(file.Path), file.Hashes, file.FileSize,
                   parser.Index().Describe(true), one.name, "", one.partial)
                   .release();
    session.ThrowPending("ERR_APT_FAILED", "Fetching " + one.name);
  }
  CheckSpace(context.archives(), fetcher.FetchNeeded() - fetcher.PartialPresent());
  fetcher.Run(kPulse);
  if (listener.Cancelled()) throw AbortedFailure();
  const SourceFile* unfinished = nullptr;
  for (const SourceFile& one : downloads) {
    if (one.item == nullptr) continue;
    if (one.item->Status == pkgAcquire::Item::StatDone && one.item->Complete) {
      Place(one.partial, one.target);
    } else if (unfinished == nullptr || unfinished->item->ErrorText.empty()) {
      unfinished = &one;
    }
  }
  if (unfinished != nullptr) {
    ThrowForDownload(*unfinished->item, unfinished->name, fetched.name, session);
  }
  for (const SourceFile& one : downloads) {
    if (Verified(one.target, one.hashes)) continue;
    Failure failure("ERR_APT_HASH_MISMATCH", one.target + " does not have the hash of its record");
    throw failure.Detail("package", fetched.name).Detail("path", one.target);
  }
  return fetched;
}

std::string RunFetchChangelog(Cache& cache, const WantedVersion& wanted, FetchListener& listener) {
  Context& context = cache.context();
  context.PrepareDownloads();
  Session session(context.configuration());
  pkgCache::VerIterator version = SameVersion(cache.Use(), wanted);
  if (version.end()) {
    throw Failure("ERR_APT_UNKNOWN_PACKAGE", "The package cache has no such version");
  }
  const std::string package = version.ParentPkg().Name();
  const std::string name = "changelog-" + std::to_string(wanted.id);
  const std::string directory = context.archives() + "partial";
  const std::string path = directory + "/" + name;
  unlink(path.c_str());
  Status status(listener, true);
  pkgAcquire fetcher(&status);
  // The fetcher owns its items.
  std::deque<const pkgAcquire::Item*> items;
  items.push_back(std::make_unique<pkgAcqChangelog>(&fetcher, version, directory, name).release());
  const pkgAcquire::Item* item = items.front();
  if (item->Status == pkgAcquire::Item::StatError) {
    Failure failure("ERR_APT_NO_CHANGELOG", "No source says where changelogs are: " + package);
    throw failure.Messages(session.TakeMessages()).Detail("package", package);
  }
  fetcher.Run(kPulse);
  if (listener.Cancelled()) throw AbortedFailure();
  if (item->Status != pkgAcquire::Item::StatDone || !item->Complete) {
    ThrowForDownload(*item, "the changelog of " + package, package, session);
  }
  return path;
}

}  // namespace apt_ostree::apt
