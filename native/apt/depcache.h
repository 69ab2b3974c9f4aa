// The caches of libapt-pkg with two changes: the answer to "are Recommends important" belongs
// to a solve and not to the process's configuration, and the marks can be put back.
#pragma once

#include <apt-pkg/cachefile.h>
#include <apt-pkg/depcache.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/policy.h>

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "apt/descriptions.h"

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
  ~CacheFile();

  // Lists, status and policy; enough to read, and a fraction of what marks cost. False with the
  // reasons on the error stack.
  bool Build(bool recommends);
  // Marks, made when first asked for.
  bool BuildMarks();
  // Only after BuildMarks or Reset.
  DepCache& depcache() { return *static_cast<DepCache*>(DCache); }
  SolvePolicy& policy() { return *static_cast<SolvePolicy*>(Policy); }
  // Marks as after opening, with Recommends as wanted.
  bool Reset(bool recommends);

  // Records of the index files: one reader, as each one opens every file.
  pkgRecords& records();
  // Read when first asked for; see search.h.
  Descriptions& descriptions() { return descriptions_; }
  // Whether apt's state file says that the package came only because something needs it.
  bool IsAutomatic(pkgCache::PkgIterator const& package);
  // What policy and pins would install, or end(); computed for all packages at once.
  pkgCache::VerIterator Candidate(pkgCache::PkgIterator const& package);
  // By their number in the cache; end() where there is none.
  pkgCache::VerIterator VersionById(size_t id);
  pkgCache::PkgIterator PackageById(size_t id);

 private:
  void BuildIndex();
  void ReadStates();

  std::unique_ptr<pkgRecords> records_;
  Descriptions descriptions_;
  std::vector<pkgCache::Version*> versions_;
  std::vector<pkgCache::Package*> packages_;
  std::vector<pkgCache::Version*> candidates_;
  std::optional<std::vector<bool>> automatic_;
};

}  // namespace apt_ostree::apt
