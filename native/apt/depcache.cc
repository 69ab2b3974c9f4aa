#include "apt/depcache.h"

#include <apt-pkg/error.h>

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

bool CacheFile::Build(bool recommends) {
  if (!BuildCaches(nullptr, false)) return false;
  auto policy = std::make_unique<SolvePolicy>(Cache, recommends);
  if (_error->PendingError()) return false;
  ReadPinFile(*policy);
  ReadPinDir(*policy);
  if (_error->PendingError()) return false;
  auto depcache = std::make_unique<DepCache>(Cache, policy.get());
  // An action group that stays open, as in apt-get: else each mark ends with a sweep for
  // packages that nothing needs, over the whole cache.
  depcache->IncreaseActionGroupLevel();
  // pkgCacheFile deletes both, through their virtual destructors.
  Policy = policy.release();
  DCache = depcache.release();
  if (!DCache->Init(nullptr)) return false;
  this->depcache().Save();
  return !_error->PendingError();
}

bool CacheFile::Reset(bool recommends) {
  if (policy().recommends() == recommends) {
    depcache().Restore();
    return true;
  }
  policy().set_recommends(recommends);
  depcache().Restore();
  if (!depcache().Init(nullptr)) return false;
  depcache().Save();
  return true;
}

}  // namespace apt_ostree::apt
