// Source packages: their records, their files, and changelogs.
#pragma once

#include <string>
#include <vector>

#include "apt/acquire.h"
#include "apt/cache.h"
#include "apt/tree.h"

namespace apt_ostree::apt {

// The source package that apt-get source would take for `wanted`; see FindSource.
Tree SourceOf(Cache& cache, const std::string& wanted);
// Every version of a source package.
Tree SourceVersions(Cache& cache, const std::string& name);
// All source packages: `sources` from the place `after`, and `next`, 0 at the end. Pages in their
// order cost their own length, others also what is before them.
Tree ListSources(Cache& cache, uint64_t after, size_t limit);

struct FetchedSource {
  std::string name;
  std::string version;
  std::string directory;
  std::vector<std::string> files;  // names in `directory`
};

// Downloads the files of a source package into the context's directory, and checks them.
FetchedSource FetchSource(Cache& cache, const std::string& wanted, FetchListener& listener);

// Downloads the changelog of a version to a file of the context, which the caller removes.
std::string FetchChangelog(Cache& cache, uint32_t version, FetchListener& listener);

}  // namespace apt_ostree::apt
