#include "apt/solver.h"

#include <apt-pkg/algorithms.h>
#include <apt-pkg/edsp.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/upgrade.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <memory>
#include <set>
#include <utility>

#include "apt/pseudo.h"
#include "apt/selection.h"
#include "apt/unmet.h"
#include "core/open.h"

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
  // Packages to install first, and to take out again at the end.
  void AddPseudo(const std::vector<PseudoPackage>& packages);
  // How the plan is to be made, and what led to it.
  PlanOptions Named() const;
  // The marks of the request alone, before anything is resolved.
  void MarkOnly();

 private:
  void Select();
  void MarkRemovals();
  void MarkInstalls();
  void SwitchReleases();
  void Resolve();
  bool NothingToResolve();
  bool AllNeeded();
  void Sweep();
  void SaveNeeded(std::vector<PkgIterator>& dropped);
  bool IsNeeded(PkgIterator package);
  bool NeededBy(PkgIterator target);
  void DropPseudo();
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
  std::set<map_id_t> swept_;
  std::vector<PkgIterator> pseudo_;
  // What the made-up packages need.
  std::set<map_id_t> wanted_;
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

void Solver::AddPseudo(const std::vector<PseudoPackage>& packages) {
  for (const PseudoPackage& one : packages) {
    PkgIterator package = cache_.FindPkg(one.name, one.architecture);
    if (package.end() || package->VersionList == 0) continue;
    pseudo_.push_back(package);
    installs_.push_back({package, package.VersionList(), one.release});
  }
}

void Solver::DropPseudo() {
  for (PkgIterator package : pseudo_) {
    VerIterator version = depcache_[package].InstVerIter(cache_);
    if (version.end()) continue;
    for (pkgCache::DepIterator dependency = version.DependsList(); !dependency.end();
         ++dependency) {
      if (dependency->Type != pkgCache::Dep::Depends || dependency.IsMultiArchImplicit()) continue;
      std::unique_ptr<pkgCache::Version*[]> targets(dependency.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        PkgIterator met = VerIterator(cache_, *target).ParentPkg();
        if (depcache_[met].InstallVer != *target) continue;
        // What was asked for in so many words is no mere dependency.
        depcache_.MarkAuto(met, false);
        wanted_.insert(met->ID);
      }
    }
  }
  for (PkgIterator package : pseudo_) depcache_.MarkDelete(package, false, 0, true);
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

// The resolver's passes over the whole cache change nothing where nothing is broken, but it
// brings back candidates that were passed over.
bool Solver::NothingToResolve() {
  if (depcache_.BrokenCount() != 0) return false;
  for (PkgIterator package : file_.installed()) {
    const pkgDepCache::StateCache& state = depcache_[package];
    if (state.Install() && state.InstallVer != state.CandidateVer) return false;
  }
  return true;
}

Failure Solver::Unmet(const std::string& what) {
  std::vector<Message> messages = DescribeBroken(file_);
  const std::string text = what + JoinBroken(messages);
  for (Message& message : session_.TakeMessages()) messages.push_back(std::move(message));
  Failure failure("ERR_APT_UNMET_DEPENDENCIES", text);
  failure.Messages(std::move(messages));
  failure.Data("unmet", UnmetDependencies(file_));
  std::vector<VerIterator> wanted;
  for (const Selection& selection : installs_) wanted.push_back(selection.version);
  failure.Data("why", WhyNot(file_, wanted));
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
      solved = NothingToResolve() || resolver_.Resolve(true);
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

// Whether all that comes in is needed, from those that were asked for down, and nothing is there
// that might not be: then a sweep over the whole cache finds nothing.
bool Solver::AllNeeded() {
  if (request_.autoremove) return false;
  const auto automatic = [this](PkgIterator const& package) {
    return (depcache_[package].Flags & pkgCache::Flag::Auto) != 0;
  };
  const std::vector<PkgIterator>& installed = file_.installed();
  if (std::any_of(installed.begin(), installed.end(), automatic)) return false;
  std::set<map_id_t> unreached;
  std::vector<PkgIterator> queue;
  for (PkgIterator package : file_.Changing()) {
    if (!depcache_[package].NewInstall()) continue;
    if (automatic(package)) {
      unreached.insert(package->ID);
    } else {
      queue.push_back(package);
    }
  }
  while (!queue.empty() && !unreached.empty()) {
    VerIterator version = depcache_[queue.back()].InstVerIter(cache_);
    queue.pop_back();
    for (pkgCache::DepIterator dependency = version.DependsList(); !dependency.end();
         ++dependency) {
      if (dependency.IsNegative() || !depcache_.IsImportantDep(dependency)) continue;
      std::unique_ptr<pkgCache::Version*[]> targets(dependency.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        PkgIterator package = VerIterator(cache_, *target).ParentPkg();
        if (depcache_[package].InstallVer != *target || unreached.erase(package->ID) == 0) continue;
        queue.push_back(package);
      }
    }
  }
  return unreached.empty();
}

void Solver::Sweep() {
  if (AllNeeded()) return;
  depcache_.MarkAndSweep();
  std::vector<PkgIterator> dropped;
  for (PkgIterator package : file_.Changing()) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (!state.Garbage) continue;
    const bool present = package->CurrentVer != 0;
    if (request_.autoremove) {
      if (present && package->CurrentState != pkgCache::State::ConfigFiles) {
        if (!state.Delete()) swept_.insert(package->ID);
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
  for (PkgIterator package : file_.installed()) {
    pkgDepCache::StateCache& state = depcache_[package];
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

PlanOptions Solver::Named() const {
  PlanOptions options;
  options.purge = request_.purge;
  options.order = request_.order;
  options.unneeded = swept_;
  options.requested = wanted_;
  for (const PkgIterator& package : removals_) options.requested.insert(package->ID);
  for (const Selection& selection : installs_) options.requested.insert(selection.package->ID);
  return options;
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
  for (PkgIterator package : file_.installed()) {
    if (depcache_[package].Upgradable()) upgradable.push_back(package);
  }
  checkpoint();
  Resolve();
  checkpoint();
  Sweep();
  DropPseudo();
  CheckAllowed();
  if (request_.purge) {
    for (PkgIterator package : file_.Changing()) {
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
  for (PkgIterator package : file_.installed()) {
    pkgDepCache::StateCache& state = depcache_[package];
    if (state.Garbage && !state.Delete()) {
      plan.no_longer_needed.push_back({package.Name(), package.Arch()});
    }
  }
  for (const PkgIterator& package : made_manual_) {
    plan.made_manual.push_back({package.Name(), package.Arch()});
  }
  plan.warnings = std::move(warnings_);
}

Plan SolvePseudo(Cache& cache, CacheFile& base, Session& session, Request request,
                 const std::function<bool()>& cancelled) {
  // As apt-get build-dep has it.
  if (!request.build_depends.empty() && !request.recommends.has_value()) request.recommends = false;
  PseudoCache pseudo = OpenPseudo(cache, base, session, request);
  CacheFile& file = *pseudo.file;
  if (cancelled()) throw AbortedFailure();
  if (!file.Reset(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  Plan plan;
  Solver solver(file, session, request);
  solver.AddPseudo(pseudo.packages);
  solver.Run(cancelled, plan);
  if (cancelled()) throw AbortedFailure();
  MakePlan(file, session, solver.Named(), plan);
  for (Message& message : session.TakeMessages()) plan.warnings.push_back(std::move(message));
  return plan;
}

Plan SolveOnce(CacheFile& file, Session& session, const Request& request,
               const std::function<bool()>& cancelled, const std::shared_ptr<MarksState>& marks) {
  Plan plan;
  Solver solver(file, session, request);
  solver.Run(cancelled, plan);
  if (cancelled()) throw AbortedFailure();
  PlanOptions options = solver.Named();
  if (marks != nullptr) {
    marks->chosen.insert(options.requested.begin(), options.requested.end());
    marks->unneeded.insert(options.unneeded.begin(), options.unneeded.end());
    options.requested = marks->chosen;
    options.unneeded = marks->unneeded;
  }
  MakePlan(file, session, options, plan);
  for (Message& message : session.TakeMessages()) plan.warnings.push_back(std::move(message));
  return plan;
}

}  // namespace

void WriteScenario(Cache& cache, const Request& request, const std::string& path) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (!file.Reset(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  Solver(file, session, request).MarkOnly();
  Configuration& configuration = cache.context().configuration();
  configuration.Set("APT::Solver::Strict-Pinning", request.strict_pinning ? "true" : "false");
  unsigned flags = request.autoremove ? EDSP::Request::AUTOREMOVE : 0;
  if (request.upgrade != UpgradeMode::kNone) flags |= EDSP::Request::UPGRADE_ALL;
  if (request.upgrade == UpgradeMode::kUpgrade) {
    flags |= EDSP::Request::FORBID_NEW_INSTALL | EDSP::Request::FORBID_REMOVE;
  }
  // Opened here: libapt would wait for the reader of a FIFO, and nobody else could use it
  // meanwhile.
  UniqueFd fd = OpenToReplace(path, "Writing a scenario");
  FileFd output;
  output.OpenDescriptor(fd.release(), FileFd::WriteOnly, FileFd::None, true);
  const bool written = output.IsOpen() && EDSP::WriteRequest(file.depcache(), output, flags) &&
                       EDSP::WriteScenario(file.depcache(), output) && output.Close();
  if (!written || _error->PendingError()) {
    Failure failure = session.MakeFailure("ERR_APT_FAILED", "Writing " + path);
    throw failure.Detail("path", path);
  }
}

Plan Solve(Cache& cache, const Request& request, const std::function<bool()>& cancelled,
           const std::shared_ptr<MarksState>& marks) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (!request.satisfy.empty() || !request.build_depends.empty()) {
    return SolvePseudo(cache, file, session, request, cancelled);
  }
  const bool recommends = request.recommends.value_or(cache.context().options().recommends);
  if (!(marks != nullptr ? file.Activate(marks) : file.Reset(recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  const std::shared_ptr<MarksState> before = marks != nullptr ? file.Copy(marks) : nullptr;
  const auto reset = [&] {
    return before != nullptr ? (file.Assign(marks, *before), true) : file.Reset(recommends);
  };
  // Versions that are no candidates, by the packages that are to have them.
  std::map<map_id_t, VerIterator> others;
  while (true) {
    try {
      return SolveOnce(file, session, request, cancelled, marks);
    } catch (const Failure& failure) {
      const bool unmet = failure.code() == "ERR_APT_UNMET_DEPENDENCIES";
      bool more = false;
      if (unmet && !request.strict_pinning) {
        for (const VerIterator& version : OtherVersions(file)) {
          more = others.emplace(version.ParentPkg()->ID, version).second || more;
        }
      }
      const bool ready = reset();
      if (!more || !ready) throw;
    } catch (...) {
      reset();
      throw;
    }
    for (const auto& [id, version] : others) file.depcache().SetCandidateVersion(version);
  }
}

}  // namespace apt_ostree::apt
