// Finding packages: by names, words of descriptions, globs, regular expressions and apt's own
// patterns. Answers are version rows, see inspect.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apt/cache.h"
#include "apt/columns.h"

namespace apt_ostree::apt {

enum class TermKind { kText, kGlob, kRegex };

struct Search {
  // All must be found.
  std::vector<std::string> terms;
  TermKind kind = TermKind::kText;
  bool names = true;
  bool descriptions = true;
};

// One row for each package that matches: its candidate, or the newest version without one.
std::vector<uint32_t> SearchPackages(Cache& cache, const Search& search,
                                     const std::function<bool()>& cancelled);
// Packages that match one of apt-patterns(7), or all their versions that do. Throws
// ERR_APT_PATTERN with "start" and "end", offsets in the pattern.
std::vector<uint32_t> MatchPattern(Cache& cache, const std::string& pattern, bool all_versions,
                                   const std::function<bool()>& cancelled);

}  // namespace apt_ostree::apt
