// Requests and the plans that libapt-pkg's solver makes of them, as apt-get would.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apt/cache.h"

namespace apt_ostree::apt {

enum class UpgradeMode { kNone, kUpgrade, kFull };

struct Request {
  // See Selector::Choose.
  std::vector<std::string> install;
  std::vector<std::string> remove;
  bool purge = false;
  bool reinstall = false;
  bool autoremove = false;
  UpgradeMode upgrade = UpgradeMode::kNone;
  std::optional<bool> recommends;
  bool allow_remove = true;
  // Where packages may go that `remove` does not name: these at most, or all but these.
  std::optional<std::vector<std::string>> allowed_removals;
  std::vector<std::string> forbidden_removals;
  bool allow_remove_essential = false;
  bool allow_downgrade = false;
  bool allow_change_held = false;
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
void WriteScenario(Cache& cache, const Request& request, const std::string& path);

Plan Solve(Cache& cache, const Request& request, const std::function<bool()>& cancelled);

// Fills in what a marked cache means: packages, sizes and the order of work. `session` is the
// one in which the marks were made.
void MakePlan(CacheFile& file, Session& session, bool purge, Plan& plan);

}  // namespace apt_ostree::apt
