// Why each package is in a plan: what brought it in, or what drove it out.
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "apt/solver.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;
using DepIterator = pkgCache::DepIterator;

class Reasons {
 public:
  Reasons(CacheFile& file, const PlanOptions& options)
      : file_(file), cache_(file), depcache_(file.depcache()), options_(options) {}

  std::map<map_id_t, Reason> Find() {
    for (PkgIterator package : file_.Changing()) {
      const pkgDepCache::StateCache& state = depcache_[package];
      const char* action = ActionOf(package, state);
      if (action == nullptr) continue;
      if (state.Delete()) {
        removals_.push_back(package);
      } else if (options_.requested.count(package->ID) != 0) {
        Give(package, {"requested", "", "", ""});
      } else if (package.State() == PkgIterator::NeedsUnpack) {
        Give(package, {"unfinished", "", "", ""});
      } else if (package->CurrentVer != 0 && (state.Flags & pkgCache::Flag::Auto) == 0) {
        later_.push_back(package);
      } else {
        automatic_.push_back(package);
      }
    }
    // What the user has anyway is a reason before what came in along the way.
    Follow();
    for (PkgIterator package : later_) Give(package, {"upgrade", "", "", ""});
    Follow();
    for (PkgIterator package : automatic_) {
      if (reasons_.count(package->ID) == 0) FromInstalled(package);
    }
    Follow();
    for (PkgIterator package : automatic_) Give(package, {"upgrade", "", "", ""});
    for (PkgIterator package : removals_) reasons_[package->ID] = OfRemoval(package);
    return std::move(reasons_);
  }

 private:
  void Give(PkgIterator package, Reason reason) {
    if (reasons_.emplace(package->ID, std::move(reason)).second) queue_.push_back(package);
  }
  // From each package to those that its dependencies brought in: nearest first.
  void Follow();
  void ForEachReverse(VerIterator version, const std::function<bool(DepIterator)>& each);
  void FromInstalled(PkgIterator package);
  Reason OfRemoval(PkgIterator package);
  bool Stays(VerIterator version) {
    PkgIterator package = version.ParentPkg();
    return depcache_[package].InstVerIter(cache_) == version && !depcache_[package].Delete();
  }

  CacheFile& file_;
  pkgCache& cache_;
  DepCache& depcache_;
  const PlanOptions& options_;
  std::map<map_id_t, Reason> reasons_;
  std::deque<PkgIterator> queue_;
  std::vector<PkgIterator> removals_;
  std::vector<PkgIterator> later_;
  std::vector<PkgIterator> automatic_;
};

Reason Because(const char* kind, PkgIterator package, DepIterator dependency) {
  return {kind, package.Name(), package.Arch(), pkgCache::DepType(dependency->Type)};
}

void Reasons::Follow() {
  while (!queue_.empty()) {
    PkgIterator parent = queue_.front();
    queue_.pop_front();
    VerIterator version = depcache_[parent].InstVerIter(cache_);
    if (version.end()) continue;
    for (DepIterator dependency = version.DependsList(); !dependency.end(); ++dependency) {
      if (dependency.IsNegative() || !depcache_.IsImportantDep(dependency)) continue;
      std::unique_ptr<pkgCache::Version*[]> targets(dependency.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        VerIterator wanted(cache_, *target);
        PkgIterator package = wanted.ParentPkg();
        const pkgDepCache::StateCache& state = depcache_[package];
        if (!state.Install() || !Stays(wanted) || package == parent) continue;
        Give(package, Because("dependency", parent, dependency));
      }
    }
  }
}

// Calls `each`, until it is pleased, with what others that stay say about `version` or about
// something that it provides.
void Reasons::ForEachReverse(VerIterator version, const std::function<bool(DepIterator)>& each) {
  const auto from_others = [&](DepIterator dependency) {
    return Stays(dependency.ParentVer()) && dependency.ParentPkg() != version.ParentPkg();
  };
  for (DepIterator one = version.ParentPkg().RevDependsList(); !one.end(); ++one) {
    if (from_others(one) && one.IsSatisfied(version) && each(one)) return;
  }
  for (pkgCache::PrvIterator provides = version.ProvidesList(); !provides.end(); ++provides) {
    for (DepIterator one = provides.ParentPkg().RevDependsList(); !one.end(); ++one) {
      if (from_others(one) && one.IsSatisfied(provides) && each(one)) return;
    }
  }
}

// A package that nothing new needs: something that is there does.
void Reasons::FromInstalled(PkgIterator package) {
  VerIterator version = depcache_[package].InstVerIter(cache_);
  if (depcache_[package].Upgrade()) return;
  ForEachReverse(version, [&](DepIterator dependency) {
    if (dependency.IsNegative() || !depcache_.IsImportantDep(dependency)) return false;
    Give(package, Because("dependency", dependency.ParentPkg(), dependency));
    return true;
  });
}

Reason Reasons::OfRemoval(PkgIterator package) {
  VerIterator gone = package.CurrentVer();
  if (options_.requested.count(package->ID) != 0) return {"requested", "", "", ""};
  if (gone.end() || options_.unneeded.count(package->ID) != 0) return {"unneeded", "", "", ""};
  // Something that comes or stays does not go with it.
  Reason reason;
  ForEachReverse(gone, [&](DepIterator dependency) {
    if (!dependency.IsNegative() || dependency->Type == pkgCache::Dep::Replaces) return false;
    reason = Because("conflict", dependency.ParentPkg(), dependency);
    return true;
  });
  if (!reason.kind.empty()) return reason;
  for (DepIterator dependency = gone.DependsList(); !dependency.end();) {
    DepIterator start, end;
    dependency.GlobOr(start, end);
    if (!end.IsCritical()) continue;
    bool met = false;
    PkgIterator culprit;
    for (DepIterator alternative = start;; ++alternative) {
      std::unique_ptr<pkgCache::Version*[]> targets(alternative.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        VerIterator version(cache_, *target);
        if (version.ParentPkg() == package) continue;
        if (Stays(version)) {
          met = true;
          culprit = version.ParentPkg();
        } else if (culprit.end() && version.ParentPkg().CurrentVer() == version) {
          culprit = version.ParentPkg();
        }
      }
      if (alternative == end) break;
    }
    const bool wrong = end.IsNegative() ? met : !met;
    if (!wrong || culprit.end()) continue;
    return Because(end.IsNegative() ? "conflict" : "broken", culprit, start);
  }
  if (package.State() == PkgIterator::NeedsUnpack) return {"unfinished", "", "", ""};
  return {"unneeded", "", "", ""};
}

}  // namespace

std::vector<Need> FindNeeds(CacheFile& file, PkgIterator wanted) {
  pkgCache& cache = file;
  DepCache& depcache = file.depcache();
  const auto present = [&](PkgIterator package) {
    if (depcache[package].Delete()) return VerIterator(cache);
    return depcache[package].InstVerIter(cache);
  };
  const auto root = [&](PkgIterator package) -> const char* {
    if ((package->Flags & pkgCache::Flag::Essential) != 0) return "essential";
    if ((package->Flags & pkgCache::Flag::Important) != 0) return "protected";
    if ((depcache[package].Flags & pkgCache::Flag::Auto) == 0) return "manual";
    return nullptr;
  };
  if (present(wanted).end()) return {};
  struct Step {
    PkgIterator next;
    const char* type;
  };
  // From the package up to what needs it: breadth first, so the chain is the shortest one.
  std::map<map_id_t, Step> steps = {{wanted->ID, {PkgIterator(), ""}}};
  std::deque<PkgIterator> queue = {wanted};
  const auto look = [&](DepIterator dependency, PkgIterator package) {
    for (; !dependency.end(); ++dependency) {
      if (dependency.IsNegative() || !depcache.IsImportantDep(dependency)) continue;
      PkgIterator parent = dependency.ParentPkg();
      if (present(parent) != dependency.ParentVer()) continue;
      const Step step = {package, pkgCache::DepType(dependency->Type)};
      if (steps.emplace(parent->ID, step).second) queue.push_back(parent);
    }
  };
  while (!queue.empty()) {
    PkgIterator package = queue.front();
    queue.pop_front();
    const char* stands = root(package);
    if (stands != nullptr) {
      std::vector<Need> chain;
      while (!package.end()) {
        const Step& step = steps.at(package->ID);
        chain.push_back({present(package), chain.empty() ? stands : nullptr, step.type});
        package = step.next;
      }
      return chain;
    }
    look(package.RevDependsList(), package);
    VerIterator version = present(package);
    for (pkgCache::PrvIterator provides = version.ProvidesList(); !provides.end(); ++provides) {
      look(provides.ParentPkg().RevDependsList(), package);
    }
  }
  return {};
}

std::map<map_id_t, Reason> FindReasons(CacheFile& file, const PlanOptions& options) {
  return Reasons(file, options).Find();
}

}  // namespace apt_ostree::apt
