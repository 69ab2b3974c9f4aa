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
  Solver(CacheFile& file, Session& session, const Request& request,
         const std::function<bool()>& cancelled)
      : file_(file),
        cache_(file),
        depcache_(file.depcache()),
        session_(session),
        request_(request),
        cancelled_(cancelled),
        selector_(file, cancelled),
        resolver_(&depcache_) {}
  ~Solver() {
    for (const auto& [id, selection] : selections_) {
      file_.PackageById(id)->SelectedState = selection;
    }
  }
  Solver(const Solver&) = delete;
  Solver& operator=(const Solver&) = delete;

  void Run(Plan& plan);
  // Packages to install first, and to take out again at the end.
  void AddPseudo(const std::vector<PseudoPackage>& packages);
  // How the plan is to be made, and what led to it.
  PlanOptions Named() const;
  // The marks of the request alone, before anything is resolved.
  void MarkOnly();

 private:
  bool NeedsSoundSystem() const;
  void CheckSystem();
  void CheckUnfinished();
  void FixBroken();
  void Select();
  void Hold(PkgIterator package);
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
  Failure Unmet(const std::string& what);

  CacheFile& file_;
  pkgCache& cache_;
  DepCache& depcache_;
  Session& session_;
  const Request& request_;
  const std::function<bool()>& cancelled_;
  Selector selector_;
  pkgProblemResolver resolver_;
  std::vector<PkgIterator> removals_;
  std::vector<Selection> installs_;
  std::vector<std::pair<VerIterator, std::string>> releases_;
  std::vector<PkgIterator> made_manual_;
  std::set<map_id_t> swept_;
  // What dpkg thinks of packages that are held for as long as this lives.
  std::map<map_id_t, unsigned char> selections_;
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
    releases_.insert(releases_.end(), chosen.releases.begin(), chosen.releases.end());
    for (const Message& warning : chosen.warnings) warnings_.push_back(warning);
  };
  for (const std::string& text : request_.install) take(selector_.Choose(text, false));
  for (const std::string& text : request_.remove) take(selector_.Choose(text, true));
}

void Solver::AddPseudo(const std::vector<PseudoPackage>& packages) {
  for (const PseudoPackage& one : packages) {
    PkgIterator package = cache_.FindPkg(one.name, one.architecture);
    if (package.end() || package->VersionList == 0) continue;
    pseudo_.push_back(package);
    installs_.push_back({package, package.VersionList()});
    if (!one.release.empty()) releases_.emplace_back(package.VersionList(), one.release);
  }
}

// What the request asks for in so many words is no mere dependency.
void Solver::DropPseudo() {
  for (PkgIterator package : pseudo_) {
    VerIterator version = depcache_[package].InstVerIter(cache_);
    if (version.end()) continue;
    for (pkgCache::DepIterator dependency = version.DependsList(); !dependency.end();
         ++dependency) {
      if (dependency.IsMultiArchImplicit()) continue;
      std::unique_ptr<pkgCache::Version*[]> targets(dependency.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        PkgIterator met = VerIterator(cache_, *target).ParentPkg();
        if (dependency.IsNegative()) {
          if (depcache_[met].Delete() && swept_.count(met->ID) == 0) wanted_.insert(met->ID);
        } else if (depcache_[met].InstallVer == *target) {
          depcache_.MarkAuto(met, false);
          wanted_.insert(met->ID);
        }
      }
    }
  }
  for (PkgIterator package : pseudo_) depcache_.MarkDelete(package, false, 0, true);
}

// As apt-get does it: in the cache itself, which the user's word overrules and nothing else. It
// must not outlive this solve there, so marks remember it in their own way.
void Solver::Hold(PkgIterator package) {
  depcache_.Forbid(package);
  selections_.emplace(package->ID, package->SelectedState);
  package->SelectedState = pkgCache::State::Hold;
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
      Hold(package);
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
    if (!state.Install() && request_.reinstall) {
      if (package->CurrentVer != 0 && package.CurrentVer().Downloadable()) {
        depcache_.SetReInstall(package, true);
      } else {
        warnings_.push_back({"warning", "Package '" + package.FullName(true) +
                                            "' cannot be reinstalled: no source has its version"});
      }
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
  for (const auto& [version, release] : releases_) depcache_.SetCandidateVersion(version);
  std::list<std::pair<VerIterator, VerIterator>> changed;
  for (const auto& [version, release] : releases_) {
    changed.emplace_back(version, VerIterator(cache_));
    depcache_.SetCandidateRelease(version, release, changed);
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
  const bool solved = request_.upgrade == UpgradeMode::kNone
                          ? NothingToResolve() || resolver_.Resolve(true)
                          : APT::Upgrade::Upgrade(depcache_, UpgradeFlags(request_.upgrade));
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
  file_.Sweep();
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

// Where nothing is named that could repair a broken system. What is made up is asked for with no
// such check.
bool Solver::NeedsSoundSystem() const {
  if (!pseudo_.empty()) return false;
  return request_.upgrade != UpgradeMode::kNone ||
         (request_.install.empty() && request_.remove.empty());
}

Failure NeedsReinstall(const std::string& package, const std::string& text) {
  Failure failure("ERR_APT_NEEDS_REINSTALL", text);
  failure.Detail("package", package);
  return failure;
}

// The library orders these first, and cannot do that for want of a file.
void Solver::CheckUnfinished() {
  for (PkgIterator package : file_.unfinished()) {
    if (package.State() != PkgIterator::NeedsUnpack || package->CurrentVer == 0) continue;
    if (!depcache_[package].Keep() || package.CurrentVer().Downloadable()) continue;
    const std::string name = package.FullName(true);
    throw NeedsReinstall(
        name, "The package " + name + " needs to be reinstalled, and no source has its version");
  }
}

void Solver::CheckSystem() {
  const CacheFile::StatusProblem& problem = file_.status_problem();
  if (!problem.text.empty()) throw NeedsReinstall(problem.package, problem.text);
  broken_before_ = depcache_.BrokenCount() != 0 && pseudo_.empty();
  if (!broken_before_ || !NeedsSoundSystem()) return;
  if (!request_.fix_broken) {
    throw Unmet("The installed packages have unmet dependencies, which `fixBroken` may repair");
  }
  FixBroken();
  broken_before_ = false;
}

void Solver::FixBroken() {
  if (!pkgFixBroken(depcache_) || depcache_.BrokenCount() != 0 || !pkgMinimizeUpgrade(depcache_)) {
    throw Unmet("The unmet dependencies of the installed packages cannot be repaired");
  }
}

void Solver::MarkOnly() {
  // Else nothing would be marked in a system with broken packages.
  broken_before_ = true;
  Select();
  MarkRemovals();
  MarkInstalls();
}

void Solver::Run(Plan& plan) {
  const auto checkpoint = [this] {
    if (cancelled_()) throw AbortedFailure();
  };
  CheckSystem();
  checkpoint();
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
  CheckUnfinished();
  CheckAllowed(file_, request_, removals_, swept_);
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
  Solver solver(file, session, request, cancelled);
  solver.AddPseudo(pseudo.packages);
  solver.Run(plan);
  if (cancelled()) throw AbortedFailure();
  MakePlan(file, session, solver.Named(), plan);
  for (Message& message : session.TakeMessages()) plan.warnings.push_back(std::move(message));
  return plan;
}

Plan SolveOnce(CacheFile& file, Session& session, const Request& request,
               const std::function<bool()>& cancelled, const std::shared_ptr<MarksState>& marks) {
  Plan plan;
  Solver solver(file, session, request, cancelled);
  solver.Run(plan);
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

int UpgradeFlags(UpgradeMode mode) {
  switch (mode) {
    case UpgradeMode::kUpgrade:
      return APT::Upgrade::FORBID_REMOVE_PACKAGES | APT::Upgrade::FORBID_INSTALL_NEW_PACKAGES;
    case UpgradeMode::kWithNew:
      return APT::Upgrade::FORBID_REMOVE_PACKAGES;
    default:
      return APT::Upgrade::ALLOW_EVERYTHING;
  }
}

void WriteScenario(Cache& cache, const Request& request, const std::string& path,
                   const std::function<bool()>& cancelled) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (!file.Reset(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Resetting the package cache");
  }
  Solver(file, session, request, cancelled).MarkOnly();
  Configuration& configuration = cache.context().configuration();
  configuration.Set("APT::Solver::Strict-Pinning", request.strict_pinning ? "true" : "false");
  unsigned flags = request.autoremove ? EDSP::Request::AUTOREMOVE : 0;
  if (request.upgrade != UpgradeMode::kNone) flags |= EDSP::Request::UPGRADE_ALL;
  const int upgrade = UpgradeFlags(request.upgrade);
  if ((upgrade & APT::Upgrade::FORBID_INSTALL_NEW_PACKAGES) != 0) {
    flags |= EDSP::Request::FORBID_NEW_INSTALL;
  }
  if ((upgrade & APT::Upgrade::FORBID_REMOVE_PACKAGES) != 0) flags |= EDSP::Request::FORBID_REMOVE;
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
