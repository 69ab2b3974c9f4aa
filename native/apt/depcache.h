// The caches of libapt-pkg with two changes: the answer to "are Recommends important" belongs
// to a solve and not to the process's configuration, and the marks can be put back.
#pragma once

#include <apt-pkg/cachefile.h>
#include <apt-pkg/depcache.h>
#include <apt-pkg/policy.h>

#include <memory>
#include <set>
#include <vector>

namespace apt_ostree::apt {

class SolvePolicy : public pkgPolicy {
 public:
  SolvePolicy(pkgCache* cache, bool recommends);
  bool IsImportantDep(pkgCache::DepIterator const& dependency) const override;
  bool recommends() const { return recommends_; }
  void set_recommends(bool recommends) { recommends_ = recommends; }

 private:
  bool recommends_;
};

class DepCache : public pkgDepCache {
 public:
  DepCache(pkgCache* cache, SolvePolicy* policy) : pkgDepCache(cache, policy) {}

  // Packages that must not come in (apt-get's `name-` on a package that is not installed).
  void Forbid(pkgCache::PkgIterator const& package) { forbidden_.insert(package->ID); }
  bool IsInstallOk(pkgCache::PkgIterator const& package, bool auto_install, unsigned long depth,
                   bool from_user) override;

  // The state after Init. Restore is a copy of arrays, some thirty times faster than Init.
  void Save();
  void Restore();

 private:
  struct Counters {
    signed long long usr_size;
    unsigned long long download_size;
    unsigned long installs, deletes, keeps, broken, policy_broken, bad;
  };
  std::set<map_id_t> forbidden_;
  std::vector<StateCache> packages_;
  std::vector<unsigned char> dependencies_;
  Counters counters_ = {};
};

class CacheFile : public pkgCacheFile {
 public:
  // False with the reasons on the error stack.
  bool Build(bool recommends);
  DepCache& depcache() { return *static_cast<DepCache*>(DCache); }
  SolvePolicy& policy() { return *static_cast<SolvePolicy*>(Policy); }
  // Marks as after opening, with Recommends as wanted.
  bool Reset(bool recommends);
};

}  // namespace apt_ostree::apt
