// Marks of a cache that are edited step by step: what python-apt's DepCache gives, as a value
// that can be copied. Many may belong to one cache; see CacheFile::Activate.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apt/columns.h"
#include "apt/inspect.h"
#include "apt/solver.h"
#include "apt/tree.h"

namespace apt_ostree::apt {

struct MarkEdit {
  enum class Kind {
    kInstall,
    kReinstall,
    kRemove,
    kKeep,
    kAuto,
    kManual,
    kHold,
    kRelease,
    kCandidate,
    kForbid,
  };
  Kind kind = Kind::kKeep;
  // See Selector::Choose.
  std::string package;
  bool purge = false;
  // Of installs: whether what the package needs comes with it.
  bool dependencies = true;
  // Of installs: whether it comes only because something needs it.
  bool automatic = false;
};

// What the marks come to.
struct MarkCounts {
  unsigned long installs = 0;
  unsigned long removals = 0;
  unsigned long keeps = 0;
  unsigned long broken = 0;
  uint64_t download_size = 0;
  int64_t install_size_delta = 0;
};

using MarksHandle = std::shared_ptr<MarksState>;

// All of them or, where one throws, none. Each is what apt-get would do for the same word.
MarkCounts EditMarks(Cache& cache, const MarksHandle& marks, const std::vector<MarkEdit>& edits,
                     const std::function<bool()>& cancelled);
// "install": makes the fewest changes beside the edits; "keep": gives edits up instead of
// changing anything else; "upgrade", "full": as apt-get; "fix": repairs what was broken before;
// "autoremove": takes out what nothing needs. Throws ERR_APT_UNMET_DEPENDENCIES, and the marks
// are as before.
MarkCounts ResolveMarks(Cache& cache, const MarksHandle& marks, const std::string& how);
MarkCounts CountMarks(Cache& cache, const MarksHandle& marks);
// One package; nothing where it is unknown.
Tree MarkOf(Cache& cache, const MarksHandle& marks, const std::string& name,
            const std::string& architecture);
// Every package that they change.
Columns ChangedMarks(Cache& cache, const MarksHandle& marks);
// Dependencies that are not met.
Tree UnmetOfMarks(Cache& cache, const MarksHandle& marks);
// Packages that nothing needs.
std::vector<PackageName> UnneededOfMarks(Cache& cache, const MarksHandle& marks);
// Packages that are or will be there, or that dpkg or apt remember: what is to be written down.
Columns StatesOfMarks(Cache& cache, const MarksHandle& marks, const Page& page);
// About how many bytes of memory they take.
size_t SizeOf(const MarksState& marks);
// How a package is needed: from one that was asked for (or is essential) down to it. Nothing
// where it is not there or nothing needs it.
Tree WhyMarks(Cache& cache, const MarksHandle& marks, const std::string& name,
              const std::string& architecture);
Plan PlanOfMarks(Cache& cache, const MarksHandle& marks, bool order);
MarksHandle CopyMarks(Cache& cache, const MarksHandle& marks);
void AssignMarks(Cache& cache, const MarksHandle& target, const MarksHandle& source);

}  // namespace apt_ostree::apt
