// Why a request cannot be met: as text, and as data.
#pragma once

#include <string>
#include <vector>

#include "apt/depcache.h"
#include "apt/failure.h"

namespace apt_ostree::apt {

// What stands between a marked cache and one without broken packages, worded as apt-get does; of
// hundreds the first.
std::vector<Message> DescribeBroken(CacheFile& file);
// The first of these as lines for the text of an error, each with a line feed before it.
std::string JoinBroken(const std::vector<Message>& messages);
// The same as data: which dependency of which package, and what became of each way to meet it. Cut
// off where it would be too long to read and to hand to JavaScript at once.
Tree UnmetDependencies(CacheFile& file);

// The same from these versions down, which were to be installed. Where nothing that they need is
// missing, but something else is in the way, that.
Tree WhyNot(CacheFile& file, const std::vector<pkgCache::VerIterator>& versions);

// For each dependency that is not met, the newest version that would do but is no candidate.
std::vector<pkgCache::VerIterator> OtherVersions(CacheFile& file);

}  // namespace apt_ostree::apt
