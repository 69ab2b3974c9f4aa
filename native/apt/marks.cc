#include "apt/marks.h"

#include <apt-pkg/algorithms.h>
#include <apt-pkg/error.h>
#include <apt-pkg/upgrade.h>

#include <utility>

#include "apt/inspect.h"
#include "apt/selection.h"
#include "apt/unmet.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

// A session in which the marks are those of the cache.
class Marked {
 public:
  Marked(Cache& cache, const MarksHandle& marks)
      : session(cache.context().configuration()), file(cache.Use()), marks_(marks) {
    if (!file.Activate(marks)) {
      throw session.MakeFailure("ERR_APT_FAILED", "Reading the package cache");
    }
  }
  DepCache& depcache() { return file.depcache(); }

  // Does `change` whole or not at all.
  template <typename Change>
  void Atomically(Change change) {
    const MarksHandle before = file.Copy(marks_);
    try {
      change();
    } catch (...) {
      file.Assign(marks_, *before);
      throw;
    }
  }

  void Edit(Selector& selector, const MarkEdit& edit);
  void Resolve(const std::string& how);
  MarkCounts Counts();
  Failure Unmet();

  Session session;
  CacheFile& file;

 private:
  void Install(const Selection& selection, const MarkEdit& edit);
  void Choose(PkgIterator package);
  void Release(PkgIterator package);
  void Unprotect(PkgIterator package);

  const MarksHandle marks_;
};

// From now on only the user changes it.
void Marked::Choose(PkgIterator package) {
  marks_->chosen.insert(package->ID);
  depcache().MarkProtected(package);
}

void Marked::Release(PkgIterator package) {
  marks_->chosen.erase(package->ID);
  Unprotect(package);
}

void Marked::Unprotect(PkgIterator package) {
  const auto protection = static_cast<unsigned>(pkgDepCache::Protected);
  pkgDepCache::StateCache& state = depcache()[package];
  state.iFlags = static_cast<decltype(state.iFlags)>(state.iFlags & ~protection);
}

void Marked::Install(const Selection& selection, const MarkEdit& edit) {
  PkgIterator package = selection.package;
  depcache().SetCandidateVersion(selection.version);
  Release(package);
  const bool again = edit.kind == MarkEdit::Kind::kReinstall;
  if (again) {
    if (package->CurrentVer == 0 || !package.CurrentVer().Downloadable()) {
      Failure failure("ERR_APT_REFUSED", "Package '" + package.FullName(true) +
                                             "' cannot be reinstalled: it is not installed, or "
                                             "no source has its version");
      throw failure.Detail("package", package.FullName(true));
    }
    depcache().MarkKeep(package, false, true);
    depcache().SetReInstall(package, true);
  } else {
    depcache().MarkInstall(package, false, 0, !edit.automatic);
  }
  Choose(package);
  // Marked before its dependencies are looked for, as apt-get does.
  if (!again && edit.dependencies) depcache().MarkInstall(package, true, 0, !edit.automatic);
}

void Marked::Edit(Selector& selector, const MarkEdit& edit) {
  using Kind = MarkEdit::Kind;
  const bool candidate = edit.kind == Kind::kCandidate;
  const bool install = edit.kind == Kind::kInstall || edit.kind == Kind::kReinstall;
  const Chosen chosen = selector.Choose(edit.package, !install && !candidate);
  // `name-` among installs is a removal and `name+` the other way round, as in a request.
  const bool both = install || edit.kind == Kind::kRemove;
  if (!both && !(candidate ? chosen.removals.empty() : chosen.installs.empty())) {
    Failure failure("ERR_INVALID_ARG_VALUE", "The edit of '" + edit.package +
                                                 "' neither installs nor removes: its last "
                                                 "character must not say so");
    throw failure.Detail("package", edit.package);
  }
  for (const Selection& selection : chosen.installs) {
    if (candidate) {
      depcache().SetCandidateVersion(selection.version);
    } else {
      Install(selection, edit);
    }
  }
  for (PkgIterator package : chosen.removals) {
    switch (edit.kind) {
      case Kind::kRemove:
      case Kind::kInstall:
      case Kind::kReinstall:
        Release(package);
        depcache().MarkDelete(package, edit.purge);
        Choose(package);
        break;
      case Kind::kKeep:
        Release(package);
        depcache().SetReInstall(package, false);
        depcache().MarkKeep(package, false, true);
        depcache().Allow(package);
        break;
      case Kind::kAuto:
      case Kind::kManual:
        depcache().MarkAuto(package, edit.kind == Kind::kAuto);
        break;
      case Kind::kHold:
        file.Select(package, pkgCache::State::Hold);
        break;
      case Kind::kRelease:
        file.Select(package, pkgCache::State::Install);
        // An upgrade protects what is held.
        if (marks_->chosen.count(package->ID) == 0) Unprotect(package);
        break;
      case Kind::kForbid:
        depcache().Forbid(package);
        break;
      default:
        break;
    }
  }
}

Failure Marked::Unmet() {
  std::vector<Message> messages = DescribeBroken(file);
  const std::string text = "The marks have unmet dependencies" + JoinBroken(messages);
  for (Message& message : session.TakeMessages()) messages.push_back(std::move(message));
  Failure failure("ERR_APT_UNMET_DEPENDENCIES", text);
  failure.Messages(std::move(messages));
  failure.Data("unmet", UnmetDependencies(file));
  return failure;
}

void Marked::Resolve(const std::string& how) {
  bool solved = true;
  if (how == "upgrade") {
    solved = APT::Upgrade::Upgrade(depcache(), UpgradeFlags(UpgradeMode::kUpgrade));
  } else if (how == "with-new") {
    solved = APT::Upgrade::Upgrade(depcache(), UpgradeFlags(UpgradeMode::kWithNew));
  } else if (how == "full") {
    solved = APT::Upgrade::Upgrade(depcache(), UpgradeFlags(UpgradeMode::kFull));
  } else if (how == "autoremove") {
    file.Sweep();
    for (PkgIterator package : file.Changing()) {
      pkgDepCache::StateCache& state = depcache()[package];
      if (!state.Garbage) continue;
      if (package->CurrentVer != 0) {
        if (!state.Delete()) marks_->unneeded.insert(package->ID);
        depcache().MarkDelete(package, false, 0, false);
      } else {
        depcache().MarkKeep(package, false, false);
      }
    }
  } else {
    pkgProblemResolver resolver(&depcache());
    for (const map_id_t id : marks_->chosen) {
      PkgIterator package = file.PackageById(id);
      if (package.end()) continue;
      resolver.Clear(package);
      if (how != "keep") resolver.Protect(package);
      if (depcache()[package].Delete()) resolver.Remove(package);
    }
    if (how == "keep") {
      // Protected ones are those that it must not give up: none.
      for (const map_id_t id : marks_->chosen) {
        PkgIterator package = file.PackageById(id);
        if (!package.end()) Unprotect(package);
      }
      solved = resolver.ResolveByKeep();
    } else {
      if (how == "fix") solved = pkgFixBroken(depcache());
      solved = solved && resolver.Resolve(true);
    }
  }
  if (depcache().BrokenCount() != 0 || !solved) throw Unmet();
}

MarkCounts Marked::Counts() {
  DepCache& marks = depcache();
  return {marks.InstCount(),   marks.DelCount(), marks.KeepCount(),
          marks.BrokenCount(), marks.DebSize(),  marks.UsrSize()};
}

TreeMembers Naming(VerIterator version) {
  return {{"name", version.ParentPkg().Name()},
          {"architecture", version.ParentPkg().Arch()},
          {"version", version.VerStr()}};
}

// Bits of the column "flags"; lib/apt/marks.ts has the same.
enum MarkFlag : unsigned { kAutomatic = 1, kBroken = 2, kChosen = 4, kHeld = 8 };

unsigned FlagsOf(const MarksState& marks, PkgIterator package,
                 const pkgDepCache::StateCache& state) {
  unsigned flags = 0;
  if ((state.Flags & pkgCache::Flag::Auto) != 0) flags |= kAutomatic;
  if (state.InstBroken()) flags |= kBroken;
  if (marks.chosen.count(package->ID) != 0) flags |= kChosen;
  if (package->SelectedState == pkgCache::State::Hold) flags |= kHeld;
  return flags;
}

}  // namespace

MarkCounts EditMarks(Cache& cache, const MarksHandle& marks, const std::vector<MarkEdit>& edits,
                     const std::function<bool()>& cancelled) {
  Marked marked(cache, marks);
  Selector selector(marked.file, cancelled);
  const auto all = [&] {
    for (const MarkEdit& edit : edits) marked.Edit(selector, edit);
    marked.session.ThrowPending("ERR_APT_FAILED", "Marking packages");
  };
  marked.Atomically(all);
  return marked.Counts();
}

MarkCounts ResolveMarks(Cache& cache, const MarksHandle& marks, const std::string& how) {
  Marked marked(cache, marks);
  marked.Atomically([&] { marked.Resolve(how); });
  return marked.Counts();
}

MarkCounts CountMarks(Cache& cache, const MarksHandle& marks) {
  return Marked(cache, marks).Counts();
}

Tree MarkOf(Cache& cache, const MarksHandle& marks, const std::string& name,
            const std::string& architecture) {
  Marked marked(cache, marks);
  pkgCache& packages = marked.file;
  PkgIterator package = FindPackage(packages, name, architecture);
  if (package.end()) return {};
  pkgDepCache::StateCache& state = marked.depcache()[package];
  const char* action = ActionOf(package, state);
  TreeMembers answer = {{"name", package.Name()},
                        {"architecture", package.Arch()},
                        {"action", action == nullptr ? "keep" : action}};
  const auto add = [&answer](const char* key, VerIterator version) {
    if (!version.end()) answer.emplace_back(key, version.VerStr());
  };
  add("installed", package.CurrentVer());
  add("candidate", state.CandidateVerIter(packages));
  if (!state.Delete()) add("version", state.InstVerIter(packages));
  const unsigned flags = FlagsOf(*marks, package, state);
  answer.emplace_back("auto", (flags & kAutomatic) != 0);
  answer.emplace_back("broken", (flags & kBroken) != 0);
  answer.emplace_back("chosen", (flags & kChosen) != 0);
  answer.emplace_back("held", (flags & kHeld) != 0);
  answer.emplace_back("state", static_cast<double>(PackageState(package)));
  return answer;
}

Columns ChangedMarks(Cache& cache, const MarksHandle& marks) {
  Marked marked(cache, marks);
  pkgCache& packages = marked.file;
  Columns columns({"name", "architecture", "action", "installed", "version"}, {"flags", "state"});
  for (PkgIterator package : marked.file.Changing()) {
    pkgDepCache::StateCache& state = marked.depcache()[package];
    const char* action = ActionOf(package, state);
    if (action == nullptr) continue;
    VerIterator version = state.InstVerIter(packages);
    VerIterator current = package.CurrentVer();
    columns.Text(0, package.Name());
    columns.Text(1, package.Arch());
    columns.Text(2, action);
    columns.Text(3, current.end() ? "" : current.VerStr());
    columns.Text(4, version.end() || state.Delete() ? "" : version.VerStr());
    columns.Number(0, FlagsOf(*marks, package, state));
    columns.Number(1, PackageState(package));
    columns.EndRow();
  }
  columns.Finish();
  return columns;
}

Columns StatesOfMarks(Cache& cache, const MarksHandle& marks, const Page& page) {
  Marked marked(cache, marks);
  Columns columns({"name", "architecture", "action"}, {"state", "flags"});
  const std::vector<pkgCache::Package*>& packages = marked.file.ordered();
  uint64_t position = page.after;
  for (; position < packages.size() && columns.rows() < page.limit; ++position) {
    PkgIterator package(marked.file, packages[position]);
    if (package->VersionList == 0) continue;
    pkgDepCache::StateCache& state = marked.depcache()[package];
    const char* action = ActionOf(package, state);
    const bool automatic = (state.Flags & pkgCache::Flag::Auto) != 0;
    const bool remembered = package->CurrentState != pkgCache::State::NotInstalled ||
                            package->SelectedState != pkgCache::State::Unknown;
    if (action == nullptr && !automatic && !remembered) continue;
    columns.Text(0, package.Name());
    columns.Text(1, package.Arch());
    columns.Text(2, action == nullptr ? "" : action);
    columns.Number(0, PackageState(package));
    const VerIterator version = package.VersionList();
    const bool same = (version->MultiArch & pkgCache::Version::Same) == pkgCache::Version::Same;
    columns.Number(1, (automatic ? 1 : 0) | (same ? 2 : 0));
    columns.EndRow();
  }
  columns.Finish();
  columns.next = position < packages.size() ? position : 0;
  return columns;
}

size_t SizeOf(const MarksState& marks) {
  size_t bytes = sizeof marks;
  for (const auto* runs : {&marks.marks.packages, &marks.marks.dependencies}) {
    for (const auto& run : *runs) bytes += sizeof run + run.bytes.size();
  }
  return bytes;
}

Tree UnmetOfMarks(Cache& cache, const MarksHandle& marks) {
  Marked marked(cache, marks);
  return UnmetDependencies(marked.file);
}

std::vector<PackageName> UnneededOfMarks(Cache& cache, const MarksHandle& marks) {
  Marked marked(cache, marks);
  marked.file.Sweep();
  std::vector<PackageName> names;
  for (PkgIterator package : marked.file.Changing()) {
    pkgDepCache::StateCache& state = marked.depcache()[package];
    if (state.Garbage && !state.Delete()) names.push_back({package.Name(), package.Arch()});
  }
  return names;
}

Tree WhyMarks(Cache& cache, const MarksHandle& marks, const std::string& name,
              const std::string& architecture) {
  Marked marked(cache, marks);
  PkgIterator package = FindPackage(marked.file, name, architecture);
  if (package.end()) return {};
  TreeList chain;
  for (const Need& need : FindNeeds(marked.file, package)) {
    TreeMembers step = Naming(need.version);
    step.emplace_back("type", need.type);
    if (need.root != nullptr) step.emplace_back("root", need.root);
    chain.emplace_back(std::move(step));
  }
  return chain;
}

Plan PlanOfMarks(Cache& cache, const MarksHandle& marks, bool order) {
  Marked marked(cache, marks);
  if (marked.depcache().BrokenCount() != 0) throw marked.Unmet();
  Plan plan;
  PlanOptions options;
  options.order = order;
  options.requested = marks->chosen;
  options.unneeded = marks->unneeded;
  MakePlan(marked.file, marked.session, options, plan);
  plan.warnings = marked.session.TakeMessages();
  return plan;
}

MarksHandle CopyMarks(Cache& cache, const MarksHandle& marks) {
  Session session(cache.context().configuration());
  return cache.Use().Copy(marks);
}

void AssignMarks(Cache& cache, const MarksHandle& target, const MarksHandle& source) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  if (target == source) return;
  // One that is in use would change under the copy.
  file.Assign(target, *file.Copy(source));
}

}  // namespace apt_ostree::apt
