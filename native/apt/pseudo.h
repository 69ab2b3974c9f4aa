// Dependencies without a package: those of a request ("satisfy") and of source packages
// ("build-dep"). As apt-get does it, a package that has them is made up and installed, and
// taken out again when all that it needs is chosen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apt/solver.h"

namespace apt_ostree::apt {

struct PseudoPackage {
  std::string name;
  std::string architecture;
  // Whose candidates its dependencies are to be met from; may be empty.
  std::string release;
};

struct PseudoCache {
  std::unique_ptr<CacheFile> file;
  std::vector<PseudoPackage> packages;
};

// `cache`'s packages and the ones made up for `request`. Throws ERR_APT_UNKNOWN_PACKAGE for a
// source that is not known, ERR_APT_PATTERN for what is no list of dependencies.
PseudoCache OpenPseudo(Cache& cache, CacheFile& base, Session& session, const Request& request);

}  // namespace apt_ostree::apt
