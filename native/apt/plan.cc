// What a marked cache means: packages, sizes, the order of work, and what is wrong with it.
#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/orderlist.h>
#include <apt-pkg/packagemanager.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/sourcelist.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "apt/solver.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;
using DepIterator = pkgCache::DepIterator;

// Lets the library order the work and writes it down instead of doing it.
class OrderRecorder : public pkgPackageManager {
 public:
  OrderRecorder(CacheFile& file, bool immediate)
      : pkgPackageManager(&file.depcache()), file_(file) {
    if (!immediate) {
      NoImmConfigure = true;
      ImmConfigureAll = false;
    }
    // A package without a file would wait for the next medium.
    for (const PkgIterator& package : file.Changing()) FileNames[package->ID] = "recorded";
  }
  // False with the reasons on the error stack.
  bool Order() {
    // Where each and every package is flagged, the library may as well look at each of them.
    if (!ImmConfigureAll) MakeList();
    if (DoInstallPreFork() != Completed || _error->PendingError()) return false;
    return ConfigureRest();
  }
  std::vector<Operation> operations;

 protected:
  bool Install(PkgIterator package, std::string) override {
    unpacked_.push_back(package);
    Add("unpack", package, Cache[package].InstVerIter(Cache));
    return true;
  }
  bool Configure(PkgIterator package) override {
    configured_.insert(package->ID);
    VerIterator version = Cache[package].InstVerIter(Cache);
    Add("configure", package, version.end() ? package.CurrentVer() : version);
    return true;
  }
  bool Remove(PkgIterator package, bool purge) override {
    Add(purge ? "purge" : "remove", package, package.CurrentVer());
    return true;
  }

 private:
  // What the library would begin with, without a look at every package of the cache: those that
  // change, in its order, and what must be configured at once.
  void MakeList() {
    auto list = std::make_unique<pkgOrderList>(&Cache);
    std::vector<PkgIterator> packages = file_.Changing();
    for (const PkgIterator& package : file_.unfinished()) packages.push_back(package);
    std::sort(packages.begin(), packages.end(), [this](const PkgIterator& a, const PkgIterator& b) {
      return file_.PlaceOf(a) < file_.PlaceOf(b);
    });
    packages.erase(std::unique(packages.begin(), packages.end()), packages.end());
    for (const PkgIterator& package : packages) {
      if (package->VersionList != 0 && IsWork(package)) list->push_back(package);
    }
    // The base class owns it and deletes it.
    List = list.release();
    if (NoImmConfigure) return;
    for (const PkgIterator& package : file_.essential()) {
      List->Flag(package, pkgOrderList::Immediate);
      ImmediateAdd(package, true);
      ImmediateAdd(package, false);
    }
  }

  bool IsWork(PkgIterator package) {
    pkgDepCache::StateCache& state = Cache[package];
    if (package.State() != PkgIterator::NeedsNothing) return true;
    if ((state.iFlags & pkgDepCache::ReInstall) != 0) return true;
    if (state.Mode == pkgDepCache::ModeKeep) return false;
    if (state.InstVerIter(Cache) != package.CurrentVer()) return true;
    // Configuration files that go.
    return !package.Purge() && state.Mode == pkgDepCache::ModeDelete &&
           (state.iFlags & pkgDepCache::Purge) != 0;
  }

  void Add(const char* action, PkgIterator package, VerIterator version) {
    operations.push_back({action, package.Name(),
                          version.end() ? package.Arch() : Text(version.Arch()),
                          version.end() ? "" : version.VerStr()});
  }

  // The library configures what others need at once and leaves the rest to dpkg's
  // `--configure --pending`; here it gets its place in the order too.
  bool ConfigureRest() {
    pkgOrderList rest(&Cache);
    std::vector<PkgIterator> packages = unpacked_;
    for (const PkgIterator& package : file_.unfinished()) {
      // With those that dpkg has left to do.
      if (package.State() == PkgIterator::NeedsConfigure && Cache[package].Keep()) {
        packages.push_back(package);
      }
    }
    for (const PkgIterator& package : packages) {
      if (configured_.count(package->ID) == 0) rest.push_back(package);
    }
    if (!rest.OrderConfigure()) return false;
    for (auto place = rest.begin(); place != rest.end(); ++place) {
      Configure(PkgIterator(Cache, *place));
    }
    return !_error->PendingError();
  }

  CacheFile& file_;
  std::vector<PkgIterator> unpacked_;
  std::set<map_id_t> configured_;
};

std::vector<Operation> Order(CacheFile& file, Session& session) {
  // Essential packages are configured at once where that is possible. From an empty system it
  // may not be, and then any order that respects the dependencies will do.
  for (const bool immediate : {true, false}) {
    _error->PushToStack();
    OrderRecorder recorder(file, immediate);
    const bool ordered = recorder.Order();
    if (ordered || !immediate) {
      _error->MergeWithStack();
    } else {
      _error->RevertToStack();
    }
    if (ordered) return std::move(recorder.operations);
  }
  throw session.MakeFailure("ERR_APT_UNMET_DEPENDENCIES", "No order of installation was found");
}

// Where a version comes from: the first source that has it.
void AddOrigin(VerIterator version, pkgSourceList& sources, pkgRecords& records,
               PlannedPackage& planned) {
  for (pkgCache::VerFileIterator files = version.FileList(); !files.end(); ++files) {
    if ((files.File()->Flags & pkgCache::Flag::NotSource) != 0) continue;
    pkgIndexFile* index = nullptr;
    if (!sources.FindIndex(files.File(), index)) continue;
    pkgRecords::Parser& record = records.Lookup(files);
    planned.filename = record.FileName();
    planned.uri = index->ArchiveURI(planned.filename);
    const HashStringList hashes = record.Hashes();
    const HashString* sha256 = hashes.find("SHA256");
    if (sha256 != nullptr) planned.sha256 = sha256->HashValue();
    return;
  }
}

// Names of the packages of the plan that `version` pre-depends on.
std::vector<std::string> PreDepends(DepCache& depcache, VerIterator version) {
  std::vector<std::string> names;
  for (DepIterator dependency = version.DependsList(); !dependency.end();) {
    DepIterator start, end;
    dependency.GlobOr(start, end);
    if (start->Type != pkgCache::Dep::PreDepends) continue;
    bool found = false;
    for (DepIterator alternative = start; !found; ++alternative) {
      std::unique_ptr<pkgCache::Version*[]> targets(alternative.AllTargets());
      for (pkgCache::Version** target = targets.get(); *target != nullptr && !found; ++target) {
        VerIterator candidate(depcache.GetCache(), *target);
        PkgIterator package = candidate.ParentPkg();
        pkgDepCache::StateCache& state = depcache[package];
        if (state.Delete() || state.InstallVer != *target) continue;
        found = true;
        const bool changes = state.Install() || state.ReInstall();
        if (changes && std::find(names.begin(), names.end(), package.Name()) == names.end()) {
          names.push_back(package.Name());
        }
      }
      if (alternative == end) break;
    }
  }
  return names;
}

}  // namespace

const char* ActionOf(pkgCache::PkgIterator const& package, const pkgDepCache::StateCache& state) {
  if (state.Delete()) {
    if (package->CurrentVer == 0 &&
        !(state.Purge() && package->CurrentState == pkgCache::State::ConfigFiles)) {
      return nullptr;
    }
    return state.Purge() ? "purge" : "remove";
  }
  if (state.NewInstall()) return "install";
  if (state.Upgrade()) return "upgrade";
  if (state.Downgrade()) return "downgrade";
  if (state.ReInstall()) return "reinstall";
  return nullptr;
}

void MakePlan(CacheFile& file, Session& session, const PlanOptions& options, Plan& plan) {
  pkgCache& cache = file;
  DepCache& depcache = file.depcache();
  pkgSourceList& sources = *file.GetSourceList();
  pkgRecords& records = file.records();
  session.ThrowPending("ERR_APT_FAILED", "Reading the package lists");
  std::map<map_id_t, Reason> reasons = FindReasons(file, options);
  for (PkgIterator package : file.Changing()) {
    pkgDepCache::StateCache& state = depcache[package];
    const char* action = ActionOf(package, state);
    if (action == nullptr) continue;
    const bool removal = state.Delete();
    VerIterator current = package.CurrentVer();
    VerIterator version = removal ? current : state.InstVerIter(cache);
    PlannedPackage planned;
    planned.name = package.Name();
    planned.architecture = package.Arch();
    planned.action = action;
    if (!current.end()) planned.old_version = current.VerStr();
    planned.automatic = (state.Flags & pkgCache::Flag::Auto) != 0;
    planned.essential = IsEssential(package);
    if (!version.end()) {
      planned.architecture = Text(version.Arch());
      planned.version = version.VerStr();
      planned.priority = Text(version.PriorityType());
      planned.section = Text(version.Section());
      planned.size = version->Size;
      planned.installed_size = version->InstalledSize;
    }
    if (!removal) {
      AddOrigin(version, sources, records, planned);
      planned.pre_depends = PreDepends(depcache, version);
    }
    planned.reason = std::move(reasons[package->ID]);
    plan.packages.push_back(std::move(planned));
  }
  std::sort(plan.packages.begin(), plan.packages.end(),
            [](const PlannedPackage& a, const PlannedPackage& b) {
              return std::tie(a.name, a.architecture) < std::tie(b.name, b.architecture);
            });
  if (options.order) plan.operations = Order(file, session);
  if (options.purge) {
    // The library asks dpkg to remove; what it purges on top is the caller's wish.
    for (Operation& operation : plan.operations) {
      if (operation.action == "remove") operation.action = "purge";
    }
  }
  plan.download_size = depcache.DebSize();
  plan.install_size_delta = depcache.UsrSize();
}

}  // namespace apt_ostree::apt
