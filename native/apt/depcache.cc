#include "apt/depcache.h"

#include <apt-pkg/algorithms.h>
#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/tagfile.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "apt/expression.h"
#include "apt/indexes.h"
#include "apt/kernels.h"

namespace apt_ostree::apt {

namespace {

// The library goes from package to package by recursion, which took at most 500 bytes of its
// thread's stack (see AddonData) for each; there is room for twice as much.
constexpr unsigned kMostPackages = sizeof(void*) >= 8 ? 1000000 : 125000;

}  // namespace

SolvePolicy::SolvePolicy(pkgCache* cache, bool recommends)
    : pkgPolicy(cache), recommends_(recommends) {}

bool SolvePolicy::IsImportantDep(pkgCache::DepIterator const& dependency) const {
  if (dependency->Type == pkgCache::Dep::Recommends) return recommends_;
  return pkgPolicy::IsImportantDep(dependency);
}

bool DepCache::IsInstallOk(pkgCache::PkgIterator const& package, bool auto_install,
                           unsigned long depth, bool from_user) {
  // The user is always right, and what comes already may be looked at again.
  const bool asked = from_user || PkgState[package->ID].Install();
  if (!asked && forbidden_.count(package->ID) != 0) return false;
  return pkgDepCache::IsInstallOk(package, auto_install, depth, from_user);
}

void DepCache::SaveSums(State& state) const {
  state.forbidden = forbidden_;
  state.usr_size = iUsrSize;
  state.download_size = iDownloadSize;
  state.installs = iInstCount;
  state.deletes = iDelCount;
  state.keeps = iKeepCount;
  state.broken = iBrokenCount;
  state.policy_broken = iPolicyBrokenCount;
  state.bad = iBadCount;
}

void DepCache::LoadSums(const State& state) {
  forbidden_ = state.forbidden;
  iUsrSize = state.usr_size;
  iDownloadSize = state.download_size;
  iInstCount = state.installs;
  iDelCount = state.deletes;
  iKeepCount = state.keeps;
  iBrokenCount = state.broken;
  iPolicyBrokenCount = state.policy_broken;
  iBadCount = state.bad;
}

void DepCache::Save(State& state) const {
  state.packages.assign(PkgState, PkgState + Cache->Head().PackageCount);
  state.dependencies.assign(DepState, DepState + Cache->Head().DependsCount);
  SaveSums(state);
}

void DepCache::Load(const State& state) {
  std::copy(state.packages.begin(), state.packages.end(), PkgState);
  std::copy(state.dependencies.begin(), state.dependencies.end(), DepState);
  LoadSums(state);
}

namespace {

void CompareBytes(const char* base, const char* now, size_t size,
                  std::vector<DepCache::Difference::Run>& runs) {
  constexpr size_t kBlock = 256;
  for (size_t place = 0; place < size; place += kBlock) {
    const size_t length = std::min(kBlock, size - place);
    if (std::memcmp(base + place, now + place, length) == 0) continue;
    if (!runs.empty() && runs.back().place + runs.back().bytes.size() == place) {
      runs.back().bytes.append(now + place, length);
    } else {
      runs.push_back({place, std::string(now + place, length)});
    }
  }
}

void ApplyBytes(const std::vector<DepCache::Difference::Run>& runs, char* target) {
  for (const auto& run : runs) std::copy(run.bytes.begin(), run.bytes.end(), target + run.place);
}

}  // namespace

DepCache::Difference DepCache::Compare(const State& base) const {
  static_assert(std::is_trivially_copyable_v<StateCache>);
  Difference difference;
  CompareBytes(reinterpret_cast<const char*>(base.packages.data()),
               reinterpret_cast<const char*>(PkgState), base.packages.size() * sizeof(StateCache),
               difference.packages);
  CompareBytes(reinterpret_cast<const char*>(base.dependencies.data()),
               reinterpret_cast<const char*>(DepState), base.dependencies.size(),
               difference.dependencies);
  SaveSums(difference.sums);
  return difference;
}

void DepCache::Load(const State& base, const Difference& difference) {
  Load(base);
  ApplyBytes(difference.packages, reinterpret_cast<char*>(PkgState));
  ApplyBytes(difference.dependencies, reinterpret_cast<char*>(DepState));
  LoadSums(difference.sums);
}

CacheFile::~CacheFile() = default;

bool CacheFile::Build(bool recommends) {
  if (!BuildSourceList(nullptr)) return false;
  CheckIndexes(*GetSourceList());
  CheckPreferenceFiles(*_config);
  if (!BuildCaches(nullptr, false)) return false;
  if (Cache->Head().PackageCount > kMostPackages) {
    return _error->Error("There are more than %u packages", kMostPackages);
  }
  auto policy = std::make_unique<SolvePolicy>(Cache, recommends);
  if (_error->PendingError()) return false;
  ReadPinFile(*policy);
  ReadPinDir(*policy);
  // pkgCacheFile deletes it, through its virtual destructor.
  Policy = policy.release();
  return !_error->PendingError();
}

bool CacheFile::MakeInitial(bool recommends) {
  policy().set_recommends(recommends);
  std::unique_ptr<const DepCache::State>& initial = initial_[recommends ? 1 : 0];
  if (initial != nullptr) return true;
  if (DCache == nullptr) {
    auto depcache = std::make_unique<DepCache>(Cache, &policy());
    // An action group that stays open, as in apt-get: else each mark ends with a sweep for
    // packages that nothing needs, over the whole cache.
    depcache->IncreaseActionGroupLevel();
    if (!depcache->Init(nullptr) || _error->PendingError()) return false;
    DCache = depcache.release();
  } else if (!depcache().Init(nullptr) || _error->PendingError()) {
    return false;
  }
  if (unfinished_work_ == Unfinished::kMark) MarkUnfinished();
  auto state = std::make_unique<DepCache::State>();
  depcache().Save(*state);
  initial = std::move(state);
  return true;
}

void CacheFile::MarkUnfinished() {
  _error->PushToStack();
  if (!pkgApplyStatus(depcache())) {
    _error->PopMessage(status_problem_.text);
    const auto hopeless = [this](const pkgCache::PkgIterator& package) {
      if (package->InstState == pkgCache::State::Ok) return false;
      pkgCache::VerIterator current = package.CurrentVer();
      pkgCache::VerIterator candidate = depcache()[package].CandidateVerIter(*Cache);
      return (current.end() || !current.Downloadable()) &&
             (candidate.end() || !candidate.Downloadable());
    };
    const auto found = std::find_if(unfinished().begin(), unfinished().end(), hopeless);
    if (found != unfinished().end()) status_problem_.package = found->FullName(true);
  }
  _error->RevertToStack();
}

bool CacheFile::Reset(bool recommends) {
  Deactivate();
  if (!MakeInitial(recommends)) return false;
  depcache().Load(*initial_[recommends ? 1 : 0]);
  return true;
}

bool CacheFile::Activate(const std::shared_ptr<MarksState>& state) {
  if (active_ == state) return true;
  Deactivate();
  if (!MakeInitial(state->recommends)) return false;
  LoadMarks(*state);
  active_ = state;
  return true;
}

void CacheFile::LoadMarks(MarksState& state) {
  const DepCache::State& initial = *initial_[state.recommends ? 1 : 0];
  policy().set_recommends(state.recommends);
  if (state.fresh) {
    depcache().Load(initial);
  } else {
    depcache().Load(initial, state.marks);
  }
  SwapSelections(state.selections);
}

void CacheFile::SaveMarks(MarksState& state) {
  state.marks = depcache().Compare(*initial_[state.recommends ? 1 : 0]);
  state.fresh = false;
}

std::shared_ptr<MarksState> CacheFile::Copy(const std::shared_ptr<MarksState>& state) {
  if (active_ != state) return std::make_shared<MarksState>(*state);
  // What the active ones differ in is not known but by looking.
  SaveMarks(*state);
  auto copy = std::make_shared<MarksState>(*state);
  for (auto& [id, selection] : copy->selections) selection = packages_[id]->SelectedState;
  return copy;
}

void CacheFile::Assign(const std::shared_ptr<MarksState>& target, const MarksState& source) {
  const bool active = active_ == target;
  if (active) SwapSelections(target->selections);
  *target = source;
  if (active) LoadMarks(*target);
}

void CacheFile::Deactivate() {
  if (active_ == nullptr) return;
  const std::shared_ptr<MarksState> state = std::exchange(active_, nullptr);
  SwapSelections(state->selections);
  // Nobody can ask for it any more.
  if (state.use_count() > 1) SaveMarks(*state);
}

// The library reads holds from the cache itself. Its map is this process's own copy, so each
// set of marks may have its say while it is active.
void CacheFile::SwapSelections(std::map<map_id_t, unsigned char>& selections) {
  for (auto& [id, selection] : selections) std::swap(packages_[id]->SelectedState, selection);
}

void CacheFile::Select(pkgCache::PkgIterator package, pkgCache::State::PkgSelectedState selection) {
  BuildIndex();
  active_->selections.emplace(package->ID, package->SelectedState);
  package->SelectedState = selection;
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

void CacheFile::Sweep() {
  const KernelsOf kernels(*Cache, running_kernel_);
  depcache().MarkAndSweep();
}

const std::vector<pkgCache::PkgIterator>& CacheFile::installed() {
  if (!installed_.has_value()) {
    installed_.emplace();
    for (pkgCache::PkgIterator package = Cache->PkgBegin(); !package.end(); ++package) {
      if (package->CurrentVer != 0) installed_->push_back(package);
    }
  }
  return *installed_;
}

std::vector<pkgCache::PkgIterator> CacheFile::Changing() {
  BuildIndex();
  std::vector<pkgCache::PkgIterator> changing;
  for (size_t id = 0; id < packages_.size(); ++id) {
    const pkgDepCache::StateCache& state = depcache().at(id);
    const bool same = state.Mode == pkgDepCache::ModeKeep && !state.Garbage &&
                      (state.iFlags & pkgDepCache::ReInstall) == 0;
    if (same && to_unpack_.count(id) == 0) continue;
    if (packages_[id] != nullptr) changing.emplace_back(*Cache, packages_[id]);
  }
  return changing;
}

const std::vector<pkgCache::PkgIterator>& CacheFile::essential() {
  BuildIndex();
  return essential_;
}

const std::vector<pkgCache::PkgIterator>& CacheFile::unfinished() {
  BuildIndex();
  return unfinished_;
}

const std::vector<pkgCache::Package*>& CacheFile::ordered() {
  BuildIndex();
  return ordered_;
}

void CacheFile::BuildIndex() {
  if (!packages_.empty()) return;
  packages_.assign(Cache->Head().PackageCount, nullptr);
  versions_.assign(Cache->Head().VersionCount, nullptr);
  places_.assign(packages_.size(), 0);
  ordered_.reserve(packages_.size());
  for (pkgCache::PkgIterator package = Cache->PkgBegin(); !package.end(); ++package) {
    if (package->ID < packages_.size()) {
      packages_[package->ID] = package;
      places_[package->ID] = static_cast<uint32_t>(ordered_.size());
    }
    ordered_.push_back(package);
    if (package->VersionList == 0) continue;
    if ((package->Flags & pkgCache::Flag::Essential) != 0) essential_.push_back(package);
    if (package.State() != pkgCache::PkgIterator::NeedsNothing) unfinished_.push_back(package);
    if (package.State() == pkgCache::PkgIterator::NeedsUnpack) to_unpack_.insert(package->ID);
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
