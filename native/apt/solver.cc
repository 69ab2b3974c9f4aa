#include "apt/solver.h"

#include <apt-pkg/algorithms.h>
#include <apt-pkg/edsp.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/upgrade.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <set>
#include <utility>

#include "apt/selection.h"
#include "apt/unmet.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

// One solve. The steps and their order are apt-get's, because another order of marking gives
// other choices among alternatives.
class Solver {
 public:
  Solver(CacheFile& file, Session& session, const Request& request)
      : file_(file),
        cache_(file),
        depcache_(file.depcache()),
        session_(session),
        request_(request),
        selector_(file),
        resolver_(&depcache_) {}

  void Run(const std::function<bool()>& cancelled, Plan& plan);
  // The marks of the request alone, before anything is resolved.
  void MarkOnly();

 private:
  void Select();
  void MarkRemovals();
  void MarkInstalls();
  void SwitchReleases();
  void Resolve();
  void Sweep();
  void SaveNeeded(std::vector<PkgIterator>& dropped);
  bool IsNeeded(PkgIterator package);
  bool NeededBy(PkgIterator target);
  void CheckAllowed();
  void Refuse(const std::string& reason, const std::vector<PkgIterator>& packages);
  Failure Unmet(const std::string& what);

  CacheFile& file_;
  pkgCache& cache_;
  DepCache& depcache_;
  Session& session_;
  const Request& request_;
  Selector selector_;
  pkgProblemResolver resolver_;
  std::vector<PkgIterator> removals_;
  std::vector<Selection> installs_;
  std::vector<PkgIterator> made_manual_;
  std::vector<Message> warnings_;
  bool broken_before_ = false;
};

void Solver::Select() {
  std::set<map_id_t> removed;
  std::set<map_id_t> seen;
  const auto take = [&](const Chosen& chosen) {
    for (PkgIterator package : chosen.removals) {
      if (removed.insert(package->ID).second) removals_.push_back(package);
    }
    for (const Selection& selection : chosen.installs) {
      if (seen.insert(selection.version->ID).second) installs_.push_back(selection);
    }
    for (const Message& warning : chosen.warnings) warnings_.push_back(warning);
  };
  for (const std::string& text : request_.remove) take(selector_.Choose(text, true));
  for (const std::string& text : request_.install) take(selector_.Choose(text, false));
}

void Solver::MarkRemovals() {
  for (PkgIterator package : removals_) {
    resolver_.Clear(package);
    resolver_.Protect(package);
    resolver_.Remove(package);
    const bool there = request_.purge ? package->CurrentState != pkgCache::State::NotInstalled
                                      : package->CurrentVer != 0;
    if (there) {
      depcache_.MarkDelete(package, request_.purge);
    } else {
      warnings_.push_back(
          {"notice", "Package '" + package.FullName(true) + "' is not installed, so not removed"});
      // apt-get puts it on hold in the cache itself, which would outlive this solve.
      depcache_.Forbid(package);
    }
  }
}

void Solver::MarkInstalls() {
  std::vector<PkgIterator> with_dependencies;
  for (const Selection& selection : installs_) {
    PkgIterator package = selection.package;
    depcache_.SetCandidateVersion(selection.version);
    pkgDepCache::StateCache& state = depcache_[package];
    resolver_.Clear(package);
    resolver_.Protect(package);
    depcache_.MarkInstall(package, false);
    if (!state.Install() && request_.reinstall && package->CurrentVer != 0 &&
        package.CurrentVer().Downloadable()) {
      depcache_.SetReInstall(package, true);
    }
    if (!broken_before_) with_dependencies.push_back(package);
    if (!state.Install() && (state.Flags & pkgCache::Flag::Auto) != 0 && !request_.reinstall) {
      depcache_.MarkAuto(package, false);
      made_manual_.push_back(package);
    }
  }
  SwitchReleases();
  // Only now, and in the order of the request, so that what was asked for is preferred among
  // alternatives.
  for (PkgIterator package : with_dependencies) depcache_.MarkInstall(package, true);
}

void Solver::SwitchReleases() {
  for (const Selection& selection : installs_) {
    if (!selection.release.empty()) depcache_.SetCandidateVersion(selection.version);
  }
  std::list<std::pair<VerIterator, VerIterator>> changed;
  for (const Selection& selection : installs_) {
    if (selection.release.empty()) continue;
    changed.emplace_back(selection.version, VerIterator(cache_));
    depcache_.SetCandidateRelease(selection.version, selection.release, changed);
  }
}

Failure Solver::Unmet(const std::string& what) {
  std::vector<Message> messages = DescribeBroken(file_);
  std::string text = what;
  for (const Message& message : messages) text += "\n" + message.text;
  for (Message& message : session_.TakeMessages()) messages.push_back(std::move(message));
  Failure failure("ERR_APT_UNMET_DEPENDENCIES", text);
  failure.Messages(std::move(messages));
  failure.Data("unmet", UnmetDependencies(file_));
  return failure;
}

void Solver::Resolve() {
  if (_error->PendingError()) throw Unmet("The request cannot be met");
  if (broken_before_ && depcache_.BrokenCount() != 0) {
    throw Unmet("The installed packages have unmet dependencies");
  }
  bool solved;
  switch (request_.upgrade) {
    case UpgradeMode::kUpgrade:
      solved = APT::Upgrade::Upgrade(depcache_, APT::Upgrade::FORBID_REMOVE_PACKAGES |
                                                    APT::Upgrade::FORBID_INSTALL_NEW_PACKAGES);
      break;
    case UpgradeMode::kFull:
      solved = APT::Upgrade::Upgrade(depcache_, APT::Upgrade::ALLOW_EVERYTHING);
      break;
    default:
      solved = resolver_.Resolve(true);
  }
  if (depcache_.BrokenCount() != 0) throw Unmet("The request has unmet dependencies");
  if (!solved) throw Unmet("The request cannot be met");
}

// Whether something that stays or comes has a dependency on `target` that matters.
bool Solver::NeededBy(PkgIterator target) {
  for (pkgCache::DepIterator dependency = target.RevDependsList(); !dependency.end();
       ++dependency) {
    if (dependency.IsNegative() || !depcache_.IsImportantDep(dependency)) continue;
    VerIterator version = dependency.ParentVer();
    if (version.end()) continue;
    PkgIterator parent = version.ParentPkg();
    pkgDepCache::StateCache& state = depcache_[parent];
    if (parent.CurrentVer() == version) {
      if (state.Keep()) return true;
    } else if (state.CandidateVerIter(cache_) == version) {
      if (state.NewInstall() || state.Upgrade()) return true;
    }
  }
  return false;
}

bool Solver::IsNeeded(PkgIterator package) {
  if (NeededBy(package)) return true;
  VerIterator version = depcache_[package].CandidateVerIter(cache_);
  if (version.end()) return false;
  for (pkgCache::PrvIterator provides = version.ProvidesList(); !provides.end(); ++provides) {
    if (NeededBy(provides.ParentPkg())) return true;
  }
  return false;
}

void Solver::SaveNeeded(std::vector<PkgIterator>& dropped) {
  // Each one that comes back may need others of the list.
  for (bool changed = true; changed;) {
    changed = false;
    for (auto package = dropped.begin(); package != dropped.end(); ++package) {
      if (!IsNeeded(*package)) continue;
      depcache_.MarkInstall(*package, false, 0, false);
      dropped.erase(package);
      changed = true;
      break;
    }
  }
}

void Solver::Sweep() {
  depcache_.MarkAndSweep();
  std::vector<PkgIterator> dropped;
  for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (!state.Garbage) continue;
    const bool present = package->CurrentVer != 0;
    if (request_.autoremove) {
      if (present && package->CurrentState != pkgCache::State::ConfigFiles) {
        depcache_.MarkDelete(package, request_.purge, 0, false);
      } else {
        depcache_.MarkKeep(package, false, false);
      }
    } else if (state.Install() && !present) {
      // The solver brought it in and then chose something else.
      dropped.push_back(package);
      depcache_.MarkDelete(package, false, 0, false);
    }
  }
  std::sort(dropped.begin(), dropped.end(), [](const PkgIterator& a, const PkgIterator& b) {
    return std::strcmp(a.Name(), b.Name()) < 0;
  });
  if (!dropped.empty() && (depcache_.BrokenCount() != 0 || depcache_.PolicyBrokenCount() != 0)) {
    SaveNeeded(dropped);
  }
  if (depcache_.BrokenCount() != 0) throw Unmet("Removing unneeded packages broke dependencies");
}

void Solver::Refuse(const std::string& reason, const std::vector<PkgIterator>& packages) {
  std::string names;
  for (const PkgIterator& package : packages) {
    names += (names.empty() ? "" : ", ") + package.FullName(true);
  }
  Failure failure("ERR_APT_REFUSED", reason + ": " + names);
  throw failure.Detail("package", names);
}

void Solver::CheckAllowed() {
  std::vector<PkgIterator> essential, held, downgraded, unasked;
  const auto add = [](std::vector<PkgIterator>& list, const PkgIterator& package) {
    if (std::find(list.begin(), list.end(), package) == list.end()) list.push_back(package);
  };
  for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (package->CurrentVer == 0) continue;
    if (state.Delete() &&
        std::find(removals_.begin(), removals_.end(), package) == removals_.end()) {
      unasked.push_back(package);
    }
    if (state.Downgrade()) downgraded.push_back(package);
    if (package->SelectedState == pkgCache::State::Hold &&
        state.InstallVer != VerIterator(package.CurrentVer())) {
      held.push_back(package);
    }
    if ((package->Flags & (pkgCache::Flag::Essential | pkgCache::Flag::Important)) == 0) continue;
    if (state.Delete()) add(essential, package);
    // Also what an essential package cannot work without.
    for (pkgCache::DepIterator dependency = package.CurrentVer().DependsList(); !dependency.end();
         ++dependency) {
      if (dependency->Type != pkgCache::Dep::PreDepends &&
          dependency->Type != pkgCache::Dep::Depends) {
        continue;
      }
      PkgIterator target = dependency.SmartTargetPkg();
      if (!target.end() && target->CurrentVer != 0 && depcache_[target].Delete()) {
        add(essential, target);
      }
    }
  }
  const auto names = [](const std::vector<std::string>& list, PkgIterator package) {
    return std::any_of(list.begin(), list.end(), [&package](const std::string& name) {
      return name == package.Name() || name == package.FullName(false);
    });
  };
  std::vector<PkgIterator> not_allowed;
  for (const PkgIterator& package : unasked) {
    const bool allowed =
        !request_.allowed_removals.has_value() || names(*request_.allowed_removals, package);
    if (!allowed || names(request_.forbidden_removals, package)) not_allowed.push_back(package);
  }
  if (!not_allowed.empty()) Refuse("These packages must not be removed", not_allowed);
  if (!request_.allow_remove && !request_.autoremove && !unasked.empty()) {
    Refuse("These packages would be removed", unasked);
  }
  if (!request_.allow_remove_essential && !essential.empty()) {
    Refuse("These essential packages would be removed", essential);
  }
  if (!request_.allow_downgrade && !downgraded.empty()) {
    Refuse("These packages would be downgraded", downgraded);
  }
  if (!request_.allow_change_held && !held.empty()) {
    Refuse("These held packages would be changed", held);
  }
}

void Solver::MarkOnly() {
  // Else nothing would be marked in a system with broken packages.
  broken_before_ = true;
  Select();
  MarkRemovals();
  MarkInstalls();
}

void Solver::Run(const std::function<bool()>& cancelled, Plan& plan) {
  const auto checkpoint = [&cancelled] {
    if (cancelled()) throw AbortedFailure();
  };
  broken_before_ = depcache_.BrokenCount() != 0;
  Select();
  checkpoint();
  MarkRemovals();
  MarkInstalls();
  std::vector<PkgIterator> upgradable;
  for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
    if (package->CurrentVer != 0 && depcache_[package].Upgradable()) upgradable.push_back(package);
  }
  checkpoint();
  Resolve();
  checkpoint();
  Sweep();
  CheckAllowed();
  if (request_.purge) {
    for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
      if (depcache_[package].Delete() && !depcache_[package].Purge()) {
        depcache_.MarkDelete(package, true);
      }
    }
  }
  for (const PkgIterator& package : upgradable) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (!state.Upgrade() && !state.Delete()) {
      plan.kept_back.push_back({package.Name(), package.Arch()});
    }
  }
  for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (state.Garbage && !state.Delete() && package->CurrentVer != 0) {
      plan.no_longer_needed.push_back({package.Name(), package.Arch()});
    }
  }
  for (const PkgIterator& package : made_manual_) {
    plan.made_manual.push_back({package.Name(), package.Arch()});
  }
  plan.warnings = std::move(warnings_);
}

// Puts the marks back however a solve ends.
class MarksGuard {
 public:
  explicit MarksGuard(DepCache& depcache) : depcache_(depcache) {}
  ~MarksGuard() { depcache_.Restore(); }
  MarksGuard(const MarksGuard&) = delete;
  MarksGuard& operator=(const MarksGuard&) = delete;

 private:
  DepCache& depcache_;
};

}  // namespace

void WriteScenario(Cache& cache, const Request& request, const std::string& path) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (!file.Reset(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  MarksGuard guard(file.depcache());
  Solver(file, session, request).MarkOnly();
  unsigned flags = request.autoremove ? EDSP::Request::AUTOREMOVE : 0;
  if (request.upgrade != UpgradeMode::kNone) flags |= EDSP::Request::UPGRADE_ALL;
  if (request.upgrade == UpgradeMode::kUpgrade) {
    flags |= EDSP::Request::FORBID_NEW_INSTALL | EDSP::Request::FORBID_REMOVE;
  }
  FileFd output(path, FileFd::WriteOnly | FileFd::Create | FileFd::Empty, FileFd::None, 0644);
  const bool written = output.IsOpen() && EDSP::WriteRequest(file.depcache(), output, flags) &&
                       EDSP::WriteScenario(file.depcache(), output) && output.Close();
  if (!written || _error->PendingError()) {
    Failure failure = session.MakeFailure("ERR_APT_FAILED", "Writing " + path);
    throw failure.Detail("path", path);
  }
}

Plan Solve(Cache& cache, const Request& request, const std::function<bool()>& cancelled) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (!file.Reset(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  MarksGuard guard(file.depcache());
  Plan plan;
  Solver(file, session, request).Run(cancelled, plan);
  if (cancelled()) throw AbortedFailure();
  MakePlan(file, session, request.purge, plan);
  for (Message& message : session.TakeMessages()) plan.warnings.push_back(std::move(message));
  return plan;
}

}  // namespace apt_ostree::apt
