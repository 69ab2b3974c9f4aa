// What the texts of a request name, as apt-get reads them.
#pragma once

#include <string>
#include <vector>

#include "apt/cache.h"

namespace apt_ostree::apt {

struct Selection {
  pkgCache::PkgIterator package;
  pkgCache::VerIterator version;
  std::string release;  // of name/release
};

struct Chosen {
  std::vector<Selection> installs;
  std::vector<pkgCache::PkgIterator> removals;
  std::vector<Message> warnings;
};

class Selector {
 public:
  explicit Selector(CacheFile& file) : file_(file), cache_(file) {}

  // `name`, `name:arch`, `name=version`, `name/release`, each with `+` or `-` at its end; else
  // the path of a .deb that was opened with the cache, a task (`name^`), one of apt's patterns, a
  // glob or a regular expression. Throws ERR_APT_UNKNOWN_PACKAGE, ERR_APT_PATTERN.
  Chosen Choose(const std::string& text, bool remove);

 private:
  enum class Match { kCandidate, kVersion, kRelease };

  // end() where the name is not known.
  pkgCache::PkgIterator Find(const std::string& name);
  pkgCache::PkgIterator FindPackage(const std::string& request, const std::string& name);
  Selection SelectInstall(const std::string& request);
  void SelectRemove(const std::string& request, Chosen& chosen);
  void AddNamed(const std::string& text, bool remove, Chosen& chosen);
  void AddMatching(const std::string& text, bool remove, Chosen& chosen);
  void AddPattern(const std::string& text, bool remove, Chosen& chosen);
  std::vector<pkgCache::PkgIterator> OfTask(const std::string& task);
  // By a glob, or else by a regular expression.
  std::vector<pkgCache::PkgIterator> OfName(const std::string& text);
  void AddFile(const std::string& path, Chosen& chosen);
  // The package behind a virtual one, where there is no choice between several.
  pkgCache::VerIterator OnlyProvider(pkgCache::PkgIterator package, Match match,
                                     const std::string& wanted);
  Failure NoCandidate(const std::string& request, pkgCache::PkgIterator package);

  CacheFile& file_;
  pkgCache& cache_;
};

}  // namespace apt_ostree::apt
