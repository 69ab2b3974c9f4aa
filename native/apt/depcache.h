// The caches of libapt-pkg with two changes: the answer to "are Recommends important" belongs
// to a solve and not to the process's configuration, and the marks can be put back.
#pragma once

#include <apt-pkg/cachefile.h>
#include <apt-pkg/depcache.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/policy.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
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

  // Packages that must not come in by themselves (apt-get's `name-` on a package that is not
  // installed).
  void Forbid(pkgCache::PkgIterator const& package) { forbidden_.insert(package->ID); }
  void Allow(pkgCache::PkgIterator const& package) { forbidden_.erase(package->ID); }
  bool IsInstallOk(pkgCache::PkgIterator const& package, bool auto_install, unsigned long depth,
                   bool from_user) override;

  // All marks: two large arrays and some sums.
  struct State {
    std::vector<StateCache> packages;
    std::vector<unsigned char> dependencies;
    std::set<map_id_t> forbidden;
    signed long long usr_size = 0;
    unsigned long long download_size = 0;
    unsigned long installs = 0, deletes = 0, keeps = 0, broken = 0, policy_broken = 0, bad = 0;
  };
  void Save(State& state) const;
  // A copy of arrays, a hundred times faster than Init.
  void Load(const State& state);

  // Marks as what they differ in from others: next to nothing for a handful of packages, where
  // new arrays would cost more time for their memory than for the copy.
  struct Difference {
    struct Run {
      size_t place;
      std::string bytes;
    };
    std::vector<Run> packages;
    std::vector<Run> dependencies;
    State sums;  // its arrays are empty
  };
  Difference Compare(const State& base) const;
  void Load(const State& base, const Difference& difference);

  const StateCache& at(size_t id) const { return PkgState[id]; }

 private:
  void SaveSums(State& state) const;
  void LoadSums(const State& state);
  std::set<map_id_t> forbidden_;
};

// The marks that somebody works on, while others use the same cache: see marks.h.
struct MarksState {
  // From those after opening.
  DepCache::Difference marks;
  bool fresh = true;
  bool recommends = true;
  // Packages that were marked on purpose: a resolver leaves them as they are.
  std::set<map_id_t> chosen;
  // Packages that were removed because nothing needs them.
  std::set<map_id_t> unneeded;
  // What dpkg is to think of them (hold or not), where that is not what the status file says.
  std::map<map_id_t, unsigned char> selections;
};

class CacheFile : public pkgCacheFile {
 public:
  // Whether marks begin with what dpkg has left to do: unfinished packages, see status_problem().
  // Not where apt-get's do not: for packages that are made up.
  enum class Unfinished { kMark, kIgnore };
  // `running` is the kernel that runs in the root, see KernelsOf.
  explicit CacheFile(std::string running, Unfinished unfinished = Unfinished::kMark)
      : running_kernel_(std::move(running)), unfinished_work_(unfinished) {}
  ~CacheFile();

  // Lists, status and policy; enough to read, and a fraction of what marks cost. False with the
  // reasons on the error stack.
  bool Build(bool recommends);
  // Only after Reset or Activate.
  DepCache& depcache() { return *static_cast<DepCache*>(DCache); }
  SolvePolicy& policy() { return *static_cast<SolvePolicy*>(Policy); }
  // A package that must be installed again and cannot be, as far as Reset found one; else empty.
  // Such a system can be looked at, but apt-get plans nothing for it.
  struct StatusProblem {
    std::string package;
    std::string text;
  };
  const StatusProblem& status_problem() const { return status_problem_; }
  // Marks as after opening, with Recommends as wanted.
  bool Reset(bool recommends);
  // Makes these the marks of depcache(), until others are. Fresh ones are as after opening.
  bool Activate(const std::shared_ptr<MarksState>& state);
  // A snapshot of marks, be they active or not.
  std::shared_ptr<MarksState> Copy(const std::shared_ptr<MarksState>& state);
  // Makes `target` what `source` is, which must not be active.
  void Assign(const std::shared_ptr<MarksState>& target, const MarksState& source);
  // Looks for packages that nothing needs, as MarkAndSweep of depcache().
  void Sweep();
  // Packages that are installed.
  const std::vector<pkgCache::PkgIterator>& installed();
  // Packages that the marks change or would do without, or that must be unpacked again. The cache
  // has a hundred thousand of them all over its map: only what is looked for is touched.
  std::vector<pkgCache::PkgIterator> Changing();
  // Essential packages, and packages that dpkg has not finished with: in the cache's order.
  const std::vector<pkgCache::PkgIterator>& essential();
  const std::vector<pkgCache::PkgIterator>& unfinished();
  // All packages in the cache's order, those without a version too.
  const std::vector<pkgCache::Package*>& ordered();
  // Where a package is in that order.
  size_t PlaceOf(pkgCache::PkgIterator const& package) const { return places_[package->ID]; }
  // Whether dpkg holds a package, for the active marks.
  void Select(pkgCache::PkgIterator package, pkgCache::State::PkgSelectedState selection);

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
  bool MakeInitial(bool recommends);
  void MarkUnfinished();
  void Deactivate();
  void LoadMarks(MarksState& state);
  void SaveMarks(MarksState& state);
  void SwapSelections(std::map<map_id_t, unsigned char>& selections);

  const std::string running_kernel_;
  const Unfinished unfinished_work_;
  StatusProblem status_problem_;
  // The marks after opening, without and with Recommends.
  std::array<std::unique_ptr<const DepCache::State>, 2> initial_;
  std::shared_ptr<MarksState> active_;
  std::unique_ptr<pkgRecords> records_;
  Descriptions descriptions_;
  std::vector<pkgCache::Version*> versions_;
  std::vector<pkgCache::Package*> packages_;
  std::vector<pkgCache::Package*> ordered_;
  std::vector<uint32_t> places_;
  std::vector<pkgCache::PkgIterator> essential_;
  std::vector<pkgCache::PkgIterator> unfinished_;
  std::set<map_id_t> to_unpack_;
  std::optional<std::vector<pkgCache::PkgIterator>> installed_;
  std::vector<pkgCache::Version*> candidates_;
  std::optional<std::vector<bool>> automatic_;
};

}  // namespace apt_ostree::apt
