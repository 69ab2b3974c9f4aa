// Why a request cannot be met: as text, and as data.
#pragma once

#include <vector>

#include "apt/depcache.h"
#include "apt/failure.h"

namespace apt_ostree::apt {

// What stands between a marked cache and one without broken packages, worded as apt-get does.
std::vector<Message> DescribeBroken(CacheFile& file);
// The same as data: which dependency of which package, and what became of each way to meet it.
Tree UnmetDependencies(CacheFile& file);

}  // namespace apt_ostree::apt
