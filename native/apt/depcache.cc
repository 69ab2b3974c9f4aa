#include "apt/depcache.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/tagfile.h>

#include <algorithm>

namespace apt_ostree::apt {

SolvePolicy::SolvePolicy(pkgCache* cache, bool recommends)
    : pkgPolicy(cache), recommends_(recommends) {}

bool SolvePolicy::IsImportantDep(pkgCache::DepIterator const& dependency) const {
  if (dependency->Type == pkgCache::Dep::Recommends) return recommends_;
  return pkgPolicy::IsImportantDep(dependency);
}

bool DepCache::IsInstallOk(pkgCache::PkgIterator const& package, bool auto_install,
                           unsigned long depth, bool from_user) {
  if (forbidden_.count(package->ID) != 0) return false;
  return pkgDepCache::IsInstallOk(package, auto_install, depth, from_user);
}

void DepCache::Save() {
  packages_.assign(PkgState, PkgState + Head().PackageCount);
  dependencies_.assign(DepState, DepState + Head().DependsCount);
  counters_ = {iUsrSize,   iDownloadSize, iInstCount,         iDelCount,
               iKeepCount, iBrokenCount,  iPolicyBrokenCount, iBadCount};
}

void DepCache::Restore() {
  std::copy(packages_.begin(), packages_.end(), PkgState);
  std::copy(dependencies_.begin(), dependencies_.end(), DepState);
  iUsrSize = counters_.usr_size;
  iDownloadSize = counters_.download_size;
  iInstCount = counters_.installs;
  iDelCount = counters_.deletes;
  iKeepCount = counters_.keeps;
  iBrokenCount = counters_.broken;
  iPolicyBrokenCount = counters_.policy_broken;
  iBadCount = counters_.bad;
  forbidden_.clear();
}

CacheFile::~CacheFile() = default;

bool CacheFile::Build(bool recommends) {
  if (!BuildCaches(nullptr, false)) return false;
  auto policy = std::make_unique<SolvePolicy>(Cache, recommends);
  if (_error->PendingError()) return false;
  ReadPinFile(*policy);
  ReadPinDir(*policy);
  // pkgCacheFile deletes it, through its virtual destructor.
  Policy = policy.release();
  return !_error->PendingError();
}

bool CacheFile::BuildMarks() {
  if (DCache != nullptr) return true;
  auto depcache = std::make_unique<DepCache>(Cache, &policy());
  // An action group that stays open, as in apt-get: else each mark ends with a sweep for
  // packages that nothing needs, over the whole cache.
  depcache->IncreaseActionGroupLevel();
  if (!depcache->Init(nullptr) || _error->PendingError()) return false;
  depcache->Save();
  DCache = depcache.release();
  return true;
}

bool CacheFile::Reset(bool recommends) {
  if (DCache == nullptr) {
    policy().set_recommends(recommends);
    return BuildMarks();
  }
  depcache().Restore();
  if (policy().recommends() == recommends) return true;
  policy().set_recommends(recommends);
  if (!depcache().Init(nullptr)) return false;
  depcache().Save();
  return true;
}

pkgRecords& CacheFile::records() {
  if (records_ == nullptr) records_ = std::make_unique<pkgRecords>(*Cache);
  return *records_;
}

void CacheFile::ReadStates() {
  automatic_.emplace(Cache->Head().PackageCount, false);
  const std::string path = _config->FindFile("Dir::State::extended_states");
  if (!RealFileExists(path)) return;
  FileFd file(path, FileFd::ReadOnly, FileFd::Extension);
  pkgTagFile tags(&file);
  for (pkgTagSection section; tags.Step(section);) {
    if (section.FindI("Auto-Installed", 0) <= 0) continue;
    const std::string name = section.FindS("Package");
    const std::string architecture = section.FindS("Architecture");
    pkgCache::PkgIterator package =
        architecture.empty() ? Cache->FindPkg(name) : Cache->FindPkg(name, architecture);
    if (!package.end()) (*automatic_)[package->ID] = true;
  }
}

bool CacheFile::IsAutomatic(pkgCache::PkgIterator const& package) {
  if (!automatic_.has_value()) ReadStates();
  return (*automatic_)[package->ID];
}

pkgCache::VerIterator CacheFile::Candidate(pkgCache::PkgIterator const& package) {
  if (candidates_.empty()) {
    candidates_.assign(Cache->Head().PackageCount, nullptr);
    for (pkgCache::PkgIterator one = Cache->PkgBegin(); !one.end(); ++one) {
      if (one->VersionList != 0) candidates_[one->ID] = policy().GetCandidateVer(one);
    }
  }
  return pkgCache::VerIterator(*Cache, candidates_[package->ID]);
}

void CacheFile::BuildIndex() {
  if (!packages_.empty()) return;
  packages_.assign(Cache->Head().PackageCount, nullptr);
  versions_.assign(Cache->Head().VersionCount, nullptr);
  for (pkgCache::PkgIterator package = Cache->PkgBegin(); !package.end(); ++package) {
    if (package->ID < packages_.size()) packages_[package->ID] = package;
    for (pkgCache::VerIterator version = package.VersionList(); !version.end(); ++version) {
      if (version->ID < versions_.size()) versions_[version->ID] = version;
    }
  }
}

pkgCache::VerIterator CacheFile::VersionById(size_t id) {
  BuildIndex();
  if (id >= versions_.size() || versions_[id] == nullptr) return pkgCache::VerIterator(*Cache);
  return pkgCache::VerIterator(*Cache, versions_[id]);
}

pkgCache::PkgIterator CacheFile::PackageById(size_t id) {
  BuildIndex();
  // A default one is at its end.
  if (id >= packages_.size() || packages_[id] == nullptr) return pkgCache::PkgIterator();
  return pkgCache::PkgIterator(*Cache, packages_[id]);
}

}  // namespace apt_ostree::apt
