#include "apt/cache.h"

#include <apt-pkg/error.h>
#include <apt-pkg/policy.h>
#include <apt-pkg/sourcelist.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace apt_ostree::apt {

namespace {

void RemoveOtherBinaryCaches(const std::string& directory, const std::string& kept) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (name.rfind("pkgcache-", 0) == 0 && name != kept) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

}  // namespace

bool Cache::Fingerprint::operator==(const Fingerprint& other) const {
  const auto same = [](const struct timespec& a, const struct timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  };
  return exists == other.exists && size == other.size && device == other.device &&
         inode == other.inode && same(modified, other.modified) && same(changed, other.changed);
}

Cache::Fingerprint Cache::StatusFingerprint() const {
  struct stat info;
  const std::optional<std::string>& path = context_->options().dpkg_status;
  if (!path.has_value() || stat(path->c_str(), &info) != 0) return {};
  return {true, info.st_size, info.st_dev, info.st_ino, info.st_mtim, info.st_ctim};
}

// libapt-pkg knows its binary cache by path, size and time of the status file, and files of
// commits have time 0. So the name of the binary cache says which status it is about.
std::string Cache::BinaryCacheName() const {
  if (!fingerprint_.exists) return "pkgcache-empty.bin";
  const auto time = [](const struct timespec& stamp) {
    return std::to_string(stamp.tv_sec) + "." + std::to_string(stamp.tv_nsec);
  };
  return "pkgcache-" + std::to_string(fingerprint_.device) + "-" +
         std::to_string(fingerprint_.inode) + "-" + time(fingerprint_.modified) + "-" +
         time(fingerprint_.changed) + ".bin";
}

Cache::Cache(std::shared_ptr<Context> context, const std::vector<std::string>& debs)
    : context_(std::move(context)),
      generation_(context_->generation()),
      fingerprint_(StatusFingerprint()),
      debs_(debs) {
  const std::optional<std::string>& status = context_->options().dpkg_status;
  if (status.has_value() && !fingerprint_.exists) {
    throw SystemFailure(ENOENT, "Reading the package database", *status);
  }
  Session session(context_->configuration());
  auto file = std::make_unique<CacheFile>(context_->options().running_kernel);
  // What is read with further files is no cache for the next time.
  const std::string binary = debs.empty() ? BinaryCacheName() : "";
  context_->configuration().Set("Dir::Cache::pkgcache", binary);
  for (const std::string& deb : debs) {
    if (access(deb.c_str(), R_OK) != 0) throw SystemFailure(errno, "Reading", deb);
    if (!file->BuildSourceList(nullptr) || !file->GetSourceList()->AddVolatileFile(deb)) {
      Failure failure = session.MakeFailure("ERR_APT_FAILED", "Reading the package " + deb);
      throw failure.Detail("path", deb);
    }
  }
  if (!file->Build(context_->options().recommends)) {
    throw session.MakeFailure("ERR_APT_FAILED", "Opening the package cache");
  }
  warnings_ = session.TakeMessages();
  if (!binary.empty()) RemoveOtherBinaryCaches(context_->options().directory, binary);
  file_ = std::move(file);
}

Cache::~Cache() { CloseLater(std::move(file_)); }

bool Cache::ReadSources(CacheFile& file) const {
  if (!file.BuildSourceList(nullptr)) return false;
  return std::all_of(debs_.begin(), debs_.end(), [&file](const std::string& deb) {
    return file.GetSourceList()->AddVolatileFile(deb);
  });
}

CacheFile& Cache::Use() {
  if (generation_ != context_->generation() || !(StatusFingerprint() == fingerprint_)) {
    Failure failure("ERR_APT_STALE_CACHE",
                    "The package lists or the package database changed since the cache was opened");
    throw failure.Detail("path", context_->options().directory);
  }
  return *file_;
}

unsigned PackageState(pkgCache::PkgIterator const& package) {
  return (package->SelectedState & 7u) | (package->InstState & 3u) << 3 |
         (package->CurrentState & 15u) << 5;
}

bool IsEssential(pkgCache::PkgIterator const& package) {
  if ((package->Flags & pkgCache::Flag::Essential) == 0) return false;
  const bool forced =
      (package->Flags & pkgCache::Flag::Important) != 0 && std::strcmp(package.Name(), "apt") == 0;
  return !forced;
}

std::optional<PackageInfo> Cache::Package(const std::string& name,
                                          const std::string& architecture) {
  Session session(context_->configuration());
  CacheFile& file = Use();
  pkgCache& cache = file;
  pkgCache::PkgIterator package =
      architecture.empty() ? cache.FindPkg(name) : cache.FindPkg(name, architecture);
  if (package.end() || package->VersionList == 0) return std::nullopt;
  PackageInfo info;
  info.name = package.Name();
  info.architecture = package.Arch();
  pkgCache::VerIterator candidate = file.policy().GetCandidateVer(package);
  if (!candidate.end()) info.candidate = candidate.VerStr();
  if (package->CurrentVer != 0) info.installed = package.CurrentVer().VerStr();
  info.essential = IsEssential(package);
  info.automatic = file.IsAutomatic(package);
  info.held = package->SelectedState == pkgCache::State::Hold;
  info.state = PackageState(package);
  for (pkgCache::VerIterator version = package.VersionList(); !version.end(); ++version) {
    info.versions.push_back({version.VerStr(), version.Arch(), Text(version.Section()),
                             Text(version.PriorityType()), version->Size, version->InstalledSize,
                             version.Downloadable()});
  }
  return info;
}

}  // namespace apt_ostree::apt
