// The downloads themselves, as the program makes them; apt/acquire.h and apt/source_packages.h
// say what they mean.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apt/acquire.h"
#include "apt/cache.h"
#include "apt/source_packages.h"

namespace apt_ostree::apt {

// A version of the other process's cache.
struct WantedVersion {
  uint32_t id = 0;
  WantedPackage package;
};

UpdateResult RunUpdate(Context& context, bool strict, FetchListener& listener);
std::vector<FetchedPackage> RunFetch(Cache& cache, const std::vector<WantedPackage>& wanted,
                                     FetchListener& listener);
FetchedSource RunFetchSource(Cache& cache, const std::string& wanted, FetchListener& listener);
std::string RunFetchChangelog(Cache& cache, const WantedVersion& wanted, FetchListener& listener);

}  // namespace apt_ostree::apt
