#include "apt/unmet.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;
using DepIterator = pkgCache::DepIterator;

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

// What became of one version that would do.
Tree Tried(CacheFile& file, VerIterator version) {
  PkgIterator package = version.ParentPkg();
  pkgDepCache::StateCache& state = file[package];
  const char* outcome = "not-chosen";
  if (state.Delete()) outcome = "removed";
  if (state.InstallVer == version && !state.Delete()) outcome = "installed";
  const bool other_version = state.CandidateVer != version && package.CurrentVer() != version;
  if (outcome == std::string("not-chosen") && other_version) outcome = "not-candidate";
  return TreeMembers{{"name", package.Name()},
                     {"architecture", package.Arch()},
                     {"version", version.VerStr()},
                     {"outcome", outcome}};
}

Tree Alternative(CacheFile& file, DepIterator dependency) {
  pkgCache& cache = file;
  PkgIterator target = dependency.TargetPkg();
  TreeMembers one = {{"name", target.Name()}, {"architecture", target.Arch()}};
  if (dependency.TargetVer() != nullptr) {
    one.emplace_back("comparison", pkgCache::CompTypeDeb(dependency->CompareOp));
    one.emplace_back("version", dependency.TargetVer());
  }
  TreeList tried;
  std::unique_ptr<pkgCache::Version*[]> all(dependency.AllTargets());
  for (pkgCache::Version** version = all.get(); *version != nullptr; ++version) {
    tried.push_back(Tried(file, VerIterator(cache, *version)));
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
  pkgCache::VerIterator chosen = file[target].InstVerIter(cache);
  if (!chosen.end()) one.emplace_back("chosen", chosen.VerStr());
  one.emplace_back("tried", std::move(tried));
  return one;
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

Tree UnmetDependencies(CacheFile& file) {
  TreeList list;
  ForEachBroken(file, [&](VerIterator version, DepIterator start, DepIterator end) {
    TreeList alternatives;
    for (DepIterator alternative = start;; ++alternative) {
      alternatives.push_back(Alternative(file, alternative));
      if (alternative == end) break;
    }
    list.emplace_back(TreeMembers{{"name", version.ParentPkg().Name()},
                                  {"architecture", version.ParentPkg().Arch()},
                                  {"version", version.VerStr()},
                                  {"type", pkgCache::DepType(start->Type)},
                                  {"alternatives", std::move(alternatives)}});
  });
  return list;
}

}  // namespace apt_ostree::apt
