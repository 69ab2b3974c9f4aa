// What the texts of a request name, as apt-get reads them.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apt/cache.h"

namespace apt_ostree::apt {

struct Selection {
  pkgCache::PkgIterator package;
  pkgCache::VerIterator version;
};

struct Chosen {
  std::vector<Selection> installs;
  std::vector<pkgCache::PkgIterator> removals;
  // Versions that a release or a pattern chose, with it: what they need is to come from there too.
  std::vector<std::pair<pkgCache::VerIterator, std::string>> releases;
  std::vector<Message> warnings;
};

class Selector {
 public:
  // `cancelled` is asked for each package that an expression is tried on.
  Selector(CacheFile& file, std::function<bool()> cancelled)
      : file_(file), cancelled_(std::move(cancelled)) {}

  // `name`, `name:arch`, `name=version`, `name/release`, each with `+` or `-` at its end; instead
  // of a name also a task (`name^`), one of apt's patterns, a glob or a regular expression; or the
  // path of a .deb that was opened with the cache. Throws ERR_APT_UNKNOWN_PACKAGE,
  // ERR_APT_PATTERN; an AbortedFailure once it is cancelled.
  Chosen Choose(const std::string& text, bool remove);

 private:
  void AddFile(const std::string& path, Chosen& chosen);

  CacheFile& file_;
  const std::function<bool()> cancelled_;
};

}  // namespace apt_ostree::apt
