// The sources of a context as libapt-pkg reads them, and what there is of each on the disk.
#pragma once

#include "apt/context.h"
#include "apt/tree.h"

namespace apt_ostree::apt {

// One entry for each suite of each address. Throws Failure for sources that cannot be read.
Tree ListSourceIndexes(Context& context);

}  // namespace apt_ostree::apt
