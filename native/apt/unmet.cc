#include "apt/unmet.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;
using DepIterator = pkgCache::DepIterator;

// Lines in the text of an error, messages beside it, and parts of an explanation as data. The last
// take some microseconds each of the JavaScript thread.
constexpr size_t kMostLines = 25;
constexpr size_t kMostMessages = 200;
constexpr size_t kMostParts = 600;

std::string DescribeTarget(CacheFile& file, DepIterator dependency) {
  pkgCache& cache = file;
  std::string text = dependency.TargetPkg().FullName(true);
  if (dependency.TargetVer() != nullptr) {
    text += std::string(" (") + dependency.CompType() + " " + dependency.TargetVer() + ")";
  }
  PkgIterator target = dependency.TargetPkg();
  if (target.ProvidesList().end()) {
    pkgDepCache::StateCache& state = file[target];
    VerIterator version = state.InstVerIter(cache);
    if (!version.end()) return text + " but " + version.VerStr() + " is to be installed";
    // A version that the solver ruled out is no candidate any more.
    if (target->VersionList == 0) return text + " but it is not installable";
    return text + " but it is not going to be installed";
  }
  if (target->VersionList == 0) return text + " but it is a virtual package";
  return text + " but it is not going to be installed";
}

// Explains unmet dependencies, down to those that cannot be met by anything.
class Explainer {
 public:
  explicit Explainer(CacheFile& file) : file_(file), cache_(file) {}
  Tree Dependency(VerIterator version, DepIterator start, DepIterator end);
  // What keeps a version from coming; nothing where its own needs do not.
  TreeList Because(VerIterator version);
  // Whether enough is said.
  bool full() const { return parts_ >= kMostParts; }

 private:
  enum class Verdict { kAsking, kYes, kNo };

  Tree Tried(VerIterator version);
  Tree Alternative(DepIterator dependency);
  bool Stays(VerIterator version) {
    PkgIterator package = version.ParentPkg();
    return file_[package].InstallVer == version && !file_[package].Delete();
  }
  // The solver takes versions that it ruled out from among its candidates.
  bool IsCandidate(VerIterator version) {
    PkgIterator package = version.ParentPkg();
    return file_[package].CandidateVer == version || file_.Candidate(package) == version;
  }
  bool CanCome(VerIterator version);
  bool CanBeMet(DepIterator start, DepIterator end);

  CacheFile& file_;
  pkgCache& cache_;
  std::map<map_id_t, Verdict> verdicts_;
  std::set<map_id_t> explained_;
  size_t parts_ = 0;
};

// Whether it is there or could come, as far as its own needs go.
bool Explainer::CanCome(VerIterator version) {
  // What comes may be broken itself where the solver gave up.
  if (Stays(version) && !file_[version.ParentPkg()].InstBroken()) return true;
  if (!IsCandidate(version)) return false;
  const auto [known, fresh] = verdicts_.emplace(version->ID, Verdict::kAsking);
  // Loops of dependencies can be met by their own members.
  if (!fresh) return known->second != Verdict::kNo;
  // Loops aside, chains are as long as the archive has them; beyond this nobody reads on.
  if (verdicts_.size() > 2000) return true;
  Verdict verdict = Verdict::kYes;
  for (DepIterator dependency = version.DependsList();
       !dependency.end() && verdict == Verdict::kYes;) {
    DepIterator start, end;
    dependency.GlobOr(start, end);
    if (end.IsCritical() && !CanBeMet(start, end)) verdict = Verdict::kNo;
  }
  verdicts_[version->ID] = verdict;
  return verdict != Verdict::kNo;
}

bool Explainer::CanBeMet(DepIterator start, DepIterator end) {
  for (DepIterator alternative = start;; ++alternative) {
    std::unique_ptr<pkgCache::Version*[]> targets(alternative.AllTargets());
    for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
      VerIterator version(cache_, *target);
      if (end.IsNegative() ? Stays(version) : CanCome(version)) return !end.IsNegative();
    }
    if (alternative == end) return end.IsNegative();
  }
}

TreeList Explainer::Because(VerIterator version) {
  TreeList reasons;
  // Once in an explanation is enough.
  if (full() || !explained_.insert(version->ID).second) return reasons;
  for (DepIterator dependency = version.DependsList(); !dependency.end();) {
    DepIterator start, end;
    dependency.GlobOr(start, end);
    if (!full() && end.IsCritical() && !CanBeMet(start, end)) {
      reasons.push_back(Dependency(version, start, end));
    }
  }
  return reasons;
}

// What became of one version that would do.
Tree Explainer::Tried(VerIterator version) {
  ++parts_;
  PkgIterator package = version.ParentPkg();
  pkgDepCache::StateCache& state = file_[package];
  std::string outcome = "not-chosen";
  if (state.Delete()) outcome = "removed";
  if (state.InstallVer == version && !state.Delete()) outcome = "installed";
  const bool other_version = !IsCandidate(version) && package.CurrentVer() != version;
  if (outcome == "not-chosen" && other_version) outcome = "not-candidate";
  TreeMembers one = {{"name", package.Name()},
                     {"architecture", package.Arch()},
                     {"version", version.VerStr()},
                     {"outcome", outcome}};
  if (outcome == "not-candidate") {
    // Why it is none: pins and policy prefer another version, or rule this one out.
    one.emplace_back("priority", static_cast<double>(file_.policy().GetPriority(version)));
    VerIterator candidate = file_.Candidate(package);
    if (!candidate.end()) one.emplace_back("candidate", candidate.VerStr());
  }
  if (package->SelectedState == pkgCache::State::Hold) one.emplace_back("held", true);
  if (outcome != "installed" || state.InstBroken()) {
    TreeList because = Because(version);
    if (!because.empty()) one.emplace_back("because", std::move(because));
  }
  return one;
}

Tree Explainer::Alternative(DepIterator dependency) {
  ++parts_;
  PkgIterator target = dependency.TargetPkg();
  TreeMembers one = {{"name", target.Name()}, {"architecture", target.Arch()}};
  if (dependency.TargetVer() != nullptr) {
    one.emplace_back("comparison", pkgCache::CompTypeDeb(dependency->CompareOp));
    one.emplace_back("version", dependency.TargetVer());
  }
  TreeList tried;
  std::unique_ptr<pkgCache::Version*[]> all(dependency.AllTargets());
  for (pkgCache::Version** version = all.get(); *version != nullptr && !full(); ++version) {
    tried.push_back(Tried(VerIterator(cache_, *version)));
  }
  const bool exists = target->VersionList != 0;
  const char* reason = "not-chosen";
  if (dependency.IsNegative()) {
    reason = "conflict";
  } else if (!exists && target.ProvidesList().end()) {
    reason = "unknown";
  } else if (tried.empty()) {
    reason = exists ? "version" : "virtual";
  }
  one.emplace_back("reason", reason);
  VerIterator chosen = file_[target].InstVerIter(cache_);
  if (!chosen.end()) one.emplace_back("chosen", chosen.VerStr());
  one.emplace_back("tried", std::move(tried));
  return one;
}

Tree Explainer::Dependency(VerIterator version, DepIterator start, DepIterator end) {
  ++parts_;
  TreeList alternatives;
  for (DepIterator alternative = start;; ++alternative) {
    alternatives.push_back(Alternative(alternative));
    if (alternative == end) break;
  }
  return TreeMembers{{"name", version.ParentPkg().Name()},
                     {"architecture", version.ParentPkg().Arch()},
                     {"version", version.VerStr()},
                     {"type", pkgCache::DepType(start->Type)},
                     {"alternatives", std::move(alternatives)}};
}

// Calls `each` with the first and last alternative of all dependencies that are not met.
void ForEachBroken(CacheFile& file,
                   const std::function<void(VerIterator, DepIterator, DepIterator)>& each) {
  pkgCache& cache = file;
  for (PkgIterator package = cache.PkgBegin(); !package.end(); ++package) {
    pkgDepCache::StateCache& state = file[package];
    if (!state.InstBroken()) continue;
    VerIterator version = state.InstVerIter(cache);
    if (version.end()) continue;
    for (DepIterator dependency = version.DependsList(); !dependency.end();) {
      DepIterator start, end;
      dependency.GlobOr(start, end);
      if (!end.IsCritical()) continue;
      if ((file[end] & pkgDepCache::DepGInstall) == pkgDepCache::DepGInstall) continue;
      each(version, start, end);
    }
  }
}

}  // namespace

std::vector<Message> DescribeBroken(CacheFile& file) {
  std::vector<Message> messages;
  ForEachBroken(file, [&](VerIterator version, DepIterator start, DepIterator end) {
    if (messages.size() >= kMostMessages) return;
    std::string text = version.ParentPkg().FullName(true) + " : " + start.DepType() + ": ";
    for (DepIterator alternative = start;; ++alternative) {
      text += DescribeTarget(file, alternative);
      if (alternative == end) break;
      text += " or ";
    }
    messages.push_back({"error", std::move(text)});
  });
  return messages;
}

std::string JoinBroken(const std::vector<Message>& messages) {
  std::string text;
  for (size_t i = 0; i < messages.size() && i < kMostLines; ++i) text += "\n" + messages[i].text;
  if (messages.size() > kMostLines) text += "\nand more";
  return text;
}

Tree UnmetDependencies(CacheFile& file) {
  TreeList list;
  Explainer explainer(file);
  ForEachBroken(file, [&](VerIterator version, DepIterator start, DepIterator end) {
    if (explainer.full()) return;
    list.push_back(explainer.Dependency(version, start, end));
  });
  return list;
}

Tree WhyNot(CacheFile& file, const std::vector<VerIterator>& versions) {
  TreeList list;
  Explainer explainer(file);
  for (const VerIterator& version : versions) {
    for (Tree& reason : explainer.Because(version)) list.push_back(std::move(reason));
  }
  return list.empty() ? UnmetDependencies(file) : Tree(std::move(list));
}

std::vector<VerIterator> OtherVersions(CacheFile& file) {
  pkgCache& cache = file;
  std::vector<VerIterator> versions;
  ForEachBroken(file, [&](VerIterator, DepIterator start, DepIterator end) {
    if (end.IsNegative()) return;
    for (DepIterator alternative = start;; ++alternative) {
      // Newest first.
      std::unique_ptr<pkgCache::Version*[]> targets(alternative.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr; ++target) {
        VerIterator version(cache, *target);
        if (!version.Downloadable() || file.Candidate(version.ParentPkg()) == version) continue;
        versions.push_back(version);
        return;
      }
      if (alternative == end) return;
    }
  });
  return versions;
}

}  // namespace apt_ostree::apt
