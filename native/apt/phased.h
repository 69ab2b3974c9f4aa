#pragma once

#include <apt-pkg/pkgcache.h>

namespace apt_ostree::apt {

// The share of machines that get the update so far, in per cent; 100 for any other version.
unsigned PhasedPercentage(pkgCache::VerIterator const& version);

}  // namespace apt_ostree::apt
