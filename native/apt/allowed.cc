// What a plan may do only where the request gives leave.
#include <algorithm>
#include <string>

#include "apt/solver.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

void Refuse(const std::string& reason, const std::vector<PkgIterator>& packages) {
  std::string names;
  for (const PkgIterator& package : packages) {
    names += (names.empty() ? "" : ", ") + package.FullName(true);
  }
  Failure failure("ERR_APT_REFUSED", reason + ": " + names);
  throw failure.Detail("package", names);
}

}  // namespace

void CheckAllowed(CacheFile& file, const Request& request, const std::vector<PkgIterator>& removals,
                  const std::set<map_id_t>& swept) {
  DepCache& depcache = file.depcache();
  std::vector<PkgIterator> essential, held, downgraded, unasked, driven_out;
  const auto add = [](std::vector<PkgIterator>& list, const PkgIterator& package) {
    if (std::find(list.begin(), list.end(), package) == list.end()) list.push_back(package);
  };
  for (PkgIterator package : file.installed()) {
    pkgDepCache::StateCache& state = depcache[package];
    if (state.Delete() && std::find(removals.begin(), removals.end(), package) == removals.end()) {
      unasked.push_back(package);
      if (swept.count(package->ID) == 0) driven_out.push_back(package);
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
      if (!target.end() && target->CurrentVer != 0 && depcache[target].Delete()) {
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
        !request.allowed_removals.has_value() || names(*request.allowed_removals, package);
    if (!allowed || names(request.forbidden_removals, package)) not_allowed.push_back(package);
  }
  if (!not_allowed.empty()) Refuse("These packages must not be removed", not_allowed);
  // What nothing needs goes because that was asked for.
  if (!request.allow_remove && !driven_out.empty()) {
    Refuse("These packages would be removed", driven_out);
  }
  if (!request.allow_remove_essential && !essential.empty()) {
    Refuse("These essential packages would be removed", essential);
  }
  if (!request.allow_downgrade && !downgraded.empty()) {
    Refuse("These packages would be downgraded", downgraded);
  }
  if (!request.allow_change_held && !held.empty()) {
    Refuse("These held packages would be changed", held);
  }
}

}  // namespace apt_ostree::apt
