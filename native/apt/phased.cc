// The one field of a version that the library's headers keep from others.
#define APT_COMPILING_APT
#include "apt/phased.h"

namespace apt_ostree::apt {

unsigned PhasedPercentage(pkgCache::VerIterator const& version) {
  return version.PhasedUpdatePercentage();
}

}  // namespace apt_ostree::apt
