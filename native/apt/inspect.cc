#include "apt/inspect.h"

#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/policy.h>
#include <apt-pkg/sourcelist.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "apt/phased.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;
using DepIterator = pkgCache::DepIterator;

// Bits of the column "flags"; lib/apt/batch.ts has the same.
enum VersionFlag : unsigned {
  kInstalled = 1,
  kCandidate = 2,
  kDownloadable = 4,
  kEssential = 8,
  kProtected = 16,
  kAutomatic = 32,
  kHeld = 64,
};

const char* MultiArch(unsigned char value) {
  if ((value & pkgCache::Version::Foreign) == pkgCache::Version::Foreign) return "foreign";
  if ((value & pkgCache::Version::Same) == pkgCache::Version::Same) return "same";
  if ((value & pkgCache::Version::Allowed) == pkgCache::Version::Allowed) return "allowed";
  return "no";
}

VerIterator CheckedVersion(CacheFile& file, uint32_t id) {
  VerIterator version = file.VersionById(id);
  if (version.end()) {
    throw Failure("ERR_APT_UNKNOWN_PACKAGE", "The package cache has no such version");
  }
  return version;
}

TreeMembers Naming(VerIterator version) {
  return {{"id", static_cast<double>(version->ID)},
          {"name", version.ParentPkg().Name()},
          {"architecture", version.ParentPkg().Arch()},
          {"version", version.VerStr()}};
}

Tree DependencyTargets(DepIterator dependency) {
  TreeList targets;
  std::unique_ptr<pkgCache::Version*[]> all(dependency.AllTargets());
  for (pkgCache::Version** target = all.get(); *target != nullptr; ++target) {
    targets.emplace_back(Naming(VerIterator(*dependency.Cache(), *target)));
  }
  return targets;
}

Tree FileTree(CacheFile& file, pkgCache::PkgFileIterator index) {
  TreeMembers members = {
      {"path", index.FileName()},
      {"type", index.IndexType()},
      {"priority", static_cast<double>(file.policy().GetPriority(index))},
      {"archive", index.Archive()},
      {"codename", index.Codename()},
      {"component", index.Component()},
      {"origin", index.Origin()},
      {"label", index.Label()},
      {"releaseVersion", index.Version()},
      {"site", index.Site()},
      {"architecture", index.Architecture()},
      {"status", index.Flagged(pkgCache::Flag::NotSource)},
      {"notAutomatic", index.Flagged(pkgCache::Flag::NotAutomatic)},
      {"butAutomaticUpgrades", index.Flagged(pkgCache::Flag::ButAutomaticUpgrades)},
      {"size", static_cast<double>(index->Size)},
  };
  pkgIndexFile* found = nullptr;
  const bool known = file.GetSourceList() != nullptr &&
                     file.GetSourceList()->FindIndex(index, found) && found != nullptr;
  members.emplace_back("trusted", known && found->IsTrusted());
  if (known) members.emplace_back("description", found->Describe(true));
  return members;
}

TreeList VersionFiles(CacheFile& file, VerIterator version) {
  TreeList files;
  for (pkgCache::VerFileIterator place = version.FileList(); !place.end(); ++place) {
    files.push_back(FileTree(file, place.File()));
  }
  return files;
}

}  // namespace

PkgIterator FindPackage(pkgCache& cache, const std::string& name, const std::string& architecture) {
  if (!architecture.empty()) return cache.FindPkg(name, architecture);
  pkgCache::GrpIterator group = cache.FindGrp(name);
  return group.end() ? PkgIterator(cache, nullptr) : group.FindPreferredPkg();
}

VersionRowsBuilder::VersionRowsBuilder(CacheFile& file)
    : file_(file),
      columns_({"name", "packageArchitecture", "version", "architecture", "section", "priority",
                "multiArch", "sourceName", "sourceVersion"},
               {"id", "size", "installedSize", "phasedPercentage", "flags"}) {}

void VersionRowsBuilder::Add(VerIterator version) {
  PkgIterator package = version.ParentPkg();
  unsigned flags = 0;
  if (package.CurrentVer() == version) flags |= kInstalled;
  if (file_.Candidate(package) == version) flags |= kCandidate;
  if (version.Downloadable()) flags |= kDownloadable;
  if (IsEssential(package)) flags |= kEssential;
  if ((package->Flags & pkgCache::Flag::Important) != 0) flags |= kProtected;
  if (file_.IsAutomatic(package)) flags |= kAutomatic;
  if (package->SelectedState == pkgCache::State::Hold) flags |= kHeld;
  const char* section = version.Section();
  const char* priority = version.PriorityType();
  const char* texts[] = {package.Name(),
                         package.Arch(),
                         version.VerStr(),
                         version.Arch(),
                         section == nullptr ? "" : section,
                         priority == nullptr ? "" : priority,
                         MultiArch(version->MultiArch),
                         version.SourcePkgName(),
                         version.SourceVerStr()};
  size_t column = 0;
  for (const char* text : texts) columns_.Text(column++, text);
  const double numbers[] = {static_cast<double>(version->ID), static_cast<double>(version->Size),
                            static_cast<double>(version->InstalledSize),
                            static_cast<double>(PhasedPercentage(version)),
                            static_cast<double>(flags)};
  column = 0;
  for (const double number : numbers) columns_.Number(column++, number);
  columns_.EndRow();
}

Columns VersionRowsBuilder::Take() {
  columns_.Finish();
  return std::move(columns_);
}

Columns ListVersions(Cache& cache, const Page& page) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  VersionRowsBuilder rows(file);
  const size_t count = static_cast<pkgCache&>(file).Head().VersionCount;
  size_t id = page.after;
  for (; id < count && rows.rows() < page.limit; ++id) {
    VerIterator version = file.VersionById(id);
    if (!version.end()) rows.Add(version);
  }
  Columns columns = rows.Take();
  columns.next = id < count ? id : 0;
  return columns;
}

Columns ListPackages(Cache& cache, const Page& page) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  Columns columns({"name", "architecture", "installed", "candidate", "section"},
                  {"id", "flags", "versions", "state"});
  const size_t count = static_cast<pkgCache&>(file).Head().PackageCount;
  size_t id = page.after;
  for (; id < count && columns.rows() < page.limit; ++id) {
    PkgIterator package = file.PackageById(id);
    if (package.end() || package->VersionList == 0) continue;
    VerIterator candidate = file.Candidate(package);
    VerIterator current = package.CurrentVer();
    const char* section = package.VersionList().Section();
    columns.Text(0, package.Name());
    columns.Text(1, package.Arch());
    columns.Text(2, current.end() ? "" : current.VerStr());
    columns.Text(3, candidate.end() ? "" : candidate.VerStr());
    columns.Text(4, section == nullptr ? "" : section);
    unsigned flags = 0;
    if (IsEssential(package)) flags |= kEssential;
    if ((package->Flags & pkgCache::Flag::Important) != 0) flags |= kProtected;
    if (file.IsAutomatic(package)) flags |= kAutomatic;
    if (package->SelectedState == pkgCache::State::Hold) flags |= kHeld;
    size_t versions = 0;
    for (VerIterator version = package.VersionList(); !version.end(); ++version) ++versions;
    columns.Number(0, static_cast<double>(package->ID));
    columns.Number(1, flags);
    columns.Number(2, static_cast<double>(versions));
    columns.Number(3, PackageState(package));
    columns.EndRow();
  }
  columns.Finish();
  columns.next = id < count ? id : 0;
  return columns;
}

Columns FilterPackages(Cache& cache, const ListFilter& filter) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  Columns columns({"name", "architecture", "version", "installed", "priority", "section"},
                  {"flags"});
  const std::vector<pkgCache::Package*>& packages = file.ordered();
  uint64_t position = filter.page.after;
  for (; position < packages.size() && columns.rows() < filter.page.limit; ++position) {
    PkgIterator package(file, packages[position]);
    if (package->VersionList == 0) continue;
    if (filter.essential.has_value() && *filter.essential != IsEssential(package)) continue;
    const bool installed = package->CurrentVer != 0;
    if (filter.installed.has_value() && *filter.installed != installed) continue;
    VerIterator version = file.policy().GetCandidateVer(package);
    if (version.end()) version = package.CurrentVer();
    if (version.end()) continue;
    const std::string priority = Text(version.PriorityType());
    if (!filter.priorities.empty() && std::find(filter.priorities.begin(), filter.priorities.end(),
                                                priority) == filter.priorities.end()) {
      continue;
    }
    columns.Text(0, package.Name());
    columns.Text(1, package.Arch());
    columns.Text(2, version.VerStr());
    columns.Text(3, installed ? package.CurrentVer().VerStr() : "");
    columns.Text(4, priority);
    columns.Text(5, Text(version.Section()));
    columns.Number(0, (IsEssential(package) ? 1 : 0) | (file.IsAutomatic(package) ? 2 : 0));
    columns.EndRow();
  }
  columns.Finish();
  columns.next = position < packages.size() ? position : 0;
  return columns;
}

Columns PackageVersions(Cache& cache, const std::string& name, const std::string& architecture) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  VersionRowsBuilder rows(file);
  PkgIterator package = FindPackage(file, name, architecture);
  if (!package.end()) {
    for (VerIterator version = package.VersionList(); !version.end(); ++version) rows.Add(version);
  }
  return rows.Take();
}

Columns VersionRows(Cache& cache, const std::vector<uint32_t>& ids) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  VersionRowsBuilder rows(file);
  for (const uint32_t id : ids) rows.Add(CheckedVersion(file, id));
  return rows.Take();
}

Tree Dependencies(Cache& cache, uint32_t id) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  TreeList groups;
  for (DepIterator dependency = CheckedVersion(file, id).DependsList(); !dependency.end();) {
    DepIterator start, end;
    dependency.GlobOr(start, end);
    TreeList alternatives;
    // Those that a cache adds between the architectures of one package are nobody's words.
    const bool implied = start.IsMultiArchImplicit() || start.IsImplicit();
    for (DepIterator alternative = start;; ++alternative) {
      TreeMembers one = {{"name", alternative.TargetPkg().Name()},
                         {"architecture", alternative.TargetPkg().Arch()}};
      if (alternative.TargetVer() != nullptr) {
        one.emplace_back("comparison", pkgCache::CompTypeDeb(alternative->CompareOp));
        one.emplace_back("version", alternative.TargetVer());
      }
      one.emplace_back("targets", DependencyTargets(alternative));
      alternatives.emplace_back(std::move(one));
      if (alternative == end) break;
    }
    groups.emplace_back(TreeMembers{{"type", pkgCache::DepType(start->Type)},
                                    {"implied", implied},
                                    {"alternatives", std::move(alternatives)}});
  }
  return groups;
}

Tree Provides(Cache& cache, uint32_t id) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  TreeList list;
  VerIterator version = CheckedVersion(file, id);
  for (pkgCache::PrvIterator provides = version.ProvidesList(); !provides.end(); ++provides) {
    if (provides.IsMultiArchImplicit()) continue;
    TreeMembers one = {{"name", provides.Name()}, {"architecture", provides.ParentPkg().Arch()}};
    if (provides.ProvideVersion() != nullptr)
      one.emplace_back("version", provides.ProvideVersion());
    list.emplace_back(std::move(one));
  }
  return list;
}

Tree Origins(Cache& cache, uint32_t id) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  return VersionFiles(file, CheckedVersion(file, id));
}

Tree IndexFiles(Cache& cache) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  TreeList files;
  pkgCache& packages = file;
  for (pkgCache::PkgFileIterator index = packages.FileBegin(); !index.end(); ++index) {
    files.push_back(FileTree(file, index));
  }
  return files;
}

Columns ReverseDependencies(Cache& cache, const std::string& name, const std::string& architecture,
                            const Page& page) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  Columns columns({"name", "architecture", "version", "type", "comparison", "wanted"}, {"id"});
  PkgIterator package = FindPackage(file, name, architecture);
  if (package.end()) return columns;
  uint64_t position = 0;
  for (DepIterator dependency = package.RevDependsList(); !dependency.end(); ++dependency) {
    if (position++ < page.after) continue;
    if (columns.rows() >= page.limit) {
      columns.next = position - 1;
      break;
    }
    if (dependency.IsMultiArchImplicit() || dependency.IsImplicit()) continue;
    VerIterator version = dependency.ParentVer();
    columns.Text(0, version.ParentPkg().Name());
    columns.Text(1, version.ParentPkg().Arch());
    columns.Text(2, version.VerStr());
    columns.Text(3, pkgCache::DepType(dependency->Type));
    const bool versioned = dependency.TargetVer() != nullptr;
    columns.Text(4, versioned ? pkgCache::CompTypeDeb(dependency->CompareOp) : "");
    columns.Text(5, versioned ? dependency.TargetVer() : "");
    columns.Number(0, static_cast<double>(version->ID));
    columns.EndRow();
  }
  columns.Finish();
  return columns;
}

Columns WhatProvides(Cache& cache, const std::string& name) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  VersionRowsBuilder rows(file);
  std::set<map_id_t> seen;
  const auto add = [&](VerIterator const& version) {
    if (seen.insert(version->ID).second) rows.Add(version);
  };
  pkgCache::GrpIterator group = static_cast<pkgCache&>(file).FindGrp(name);
  if (!group.end()) {
    for (PkgIterator package = group.PackageList(); !package.end();
         package = group.NextPkg(package)) {
      for (VerIterator version = package.VersionList(); !version.end(); ++version) add(version);
      for (pkgCache::PrvIterator one = package.ProvidesList(); !one.end(); ++one) {
        add(one.OwnerVer());
      }
    }
  }
  return rows.Take();
}

Tree ExplainPolicy(Cache& cache, const std::string& name, const std::string& architecture) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  PkgIterator package = FindPackage(file, name, architecture);
  if (package.end()) return {};
  VerIterator candidate = file.Candidate(package);
  TreeMembers answer = {{"name", package.Name()}, {"architecture", package.Arch()}};
  if (!package.CurrentVer().end()) answer.emplace_back("installed", package.CurrentVer().VerStr());
  if (!candidate.end()) answer.emplace_back("candidate", candidate.VerStr());
  TreeList versions;
  for (VerIterator version = package.VersionList(); !version.end(); ++version) {
    TreeMembers one = Naming(version);
    // Where a pin of the package sets it, the files do not count.
    const int own = file.policy().GetPriority(version, false);
    one.emplace_back("priority", static_cast<double>(file.policy().GetPriority(version)));
    one.emplace_back("pinned", own != 0);
    one.emplace_back("origins", VersionFiles(file, version));
    versions.emplace_back(std::move(one));
  }
  answer.emplace_back("versions", std::move(versions));
  return answer;
}

}  // namespace apt_ostree::apt
