// Requests and the plans that libapt-pkg's solver makes of them, as apt-get would.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apt/cache.h"

namespace apt_ostree::apt {

enum class UpgradeMode { kNone, kUpgrade, kWithNew, kFull };

struct Request {
  // See Selector::Choose.
  std::vector<std::string> install;
  std::vector<std::string> remove;
  // Dependencies that are to be met, in the syntax of control files; with "Conflicts:" before
  // them, ones that must not be.
  std::vector<std::string> satisfy;
  // Source packages whose build dependencies are to be met: names as FindSource takes them, or
  // absolute paths of .dsc files and of directories with debian/control.
  std::vector<std::string> build_depends;
  bool arch_only = false;
  bool indep_only = false;
  std::optional<std::vector<std::string>> build_profiles;
  std::optional<std::string> host_architecture;
  bool purge = false;
  bool reinstall = false;
  bool autoremove = false;
  UpgradeMode upgrade = UpgradeMode::kNone;
  // Whether packages that are broken already are repaired, where apt-get would do that.
  bool fix_broken = false;
  std::optional<bool> recommends;
  bool allow_remove = true;
  // Where packages may go that `remove` does not name: these at most, or all but these.
  std::optional<std::vector<std::string>> allowed_removals;
  std::vector<std::string> forbidden_removals;
  bool allow_remove_essential = false;
  bool allow_downgrade = false;
  bool allow_change_held = false;
  // Whether only candidates may come. Else other versions do where nothing else would.
  bool strict_pinning = true;
  // Whether the plan is to have the order of work: it takes longer than all the rest.
  bool order = true;
};

// Why a package is in a plan.
struct Reason {
  // "requested"; "dependency": `name` has a dependency of `type` on it; "conflict": `name` does
  // not go with it, as it says by `type`; "broken": its own dependency of `type` on `name` cannot
  // be met any more; "unneeded"; "upgrade"; "unfinished": dpkg has begun with it.
  std::string kind;
  std::string name;
  std::string architecture;
  std::string type;
};

struct PlannedPackage {
  std::string name;
  std::string architecture;  // that of the package: never "all"
  std::string version;
  std::string action;
  std::string old_version;
  bool automatic = false;
  bool essential = false;
  std::string priority;
  std::string section;
  uint64_t size = 0;
  uint64_t installed_size = 0;
  std::string sha256;
  std::string filename;
  std::string uri;
  std::vector<std::string> pre_depends;
  Reason reason;
};

struct Operation {
  std::string action;
  std::string name;
  std::string architecture;
  std::string version;
};

struct PackageName {
  std::string name;
  std::string architecture;
};

struct Plan {
  std::vector<PlannedPackage> packages;
  std::vector<Operation> operations;
  uint64_t download_size = 0;
  int64_t install_size_delta = 0;
  std::vector<PackageName> kept_back;
  std::vector<PackageName> no_longer_needed;
  std::vector<PackageName> made_manual;
  std::vector<Message> warnings;
};

// The request and all that is known about packages, as apt hands it to external solvers; for
// reports that others can replay.
void WriteScenario(Cache& cache, const Request& request, const std::string& path,
                   const std::function<bool()>& cancelled);

// With `marks`, the request comes on top of these, which it changes where it can be met.
Plan Solve(Cache& cache, const Request& request, const std::function<bool()>& cancelled,
           const std::shared_ptr<MarksState>& marks = nullptr);

struct PlanOptions {
  bool purge = false;
  bool order = true;
  // Packages that were named, and those that went because nothing needs them.
  std::set<map_id_t> requested = {};
  std::set<map_id_t> unneeded = {};
};

// Fills in what a marked cache means: packages, sizes and the order of work. `session` is the
// one in which the marks were made.
void MakePlan(CacheFile& file, Session& session, const PlanOptions& options, Plan& plan);

// Throws ERR_APT_REFUSED where the marks do what the request does not allow. `removals` were named;
// those in `swept` go because nothing needs them.
void CheckAllowed(CacheFile& file, const Request& request,
                  const std::vector<pkgCache::PkgIterator>& removals,
                  const std::set<map_id_t>& swept);

// How the library upgrades all packages: a set of APT::Upgrade::UpgradeMode.
int UpgradeFlags(UpgradeMode mode);

// "install", "upgrade", "downgrade", "reinstall", "remove" or "purge"; null: nothing changes.
const char* ActionOf(pkgCache::PkgIterator const& package, const pkgDepCache::StateCache& state);

// The reasons of all packages that the marks change, by the number of the package.
std::map<map_id_t, Reason> FindReasons(CacheFile& file, const PlanOptions& options);

// One step of a chain of needs.
struct Need {
  pkgCache::VerIterator version;
  // Of the first: why it stands for itself ("manual", "essential"...); else null.
  const char* root = nullptr;
  // The kind of its dependency on the next; empty for the last.
  const char* type = "";
};

// The shortest chain from a package that stands for itself to `package`, as the marks have it;
// empty where nothing needs it.
std::vector<Need> FindNeeds(CacheFile& file, pkgCache::PkgIterator package);

}  // namespace apt_ostree::apt
