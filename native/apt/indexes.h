// A look at index files before libapt-pkg makes a cache of them: it ends the process at a text
// that its cache cannot hold.
#pragma once

#include <string>

class pkgSourceList;

namespace apt_ostree::apt {

// What makes up the cache: the lists of `sources`, the .deb files among them and the status file of
// the current configuration. Lists that were looked at before are known by a file beside them.
// Throws ERR_APT_FAILED with "path" and "package".
void CheckIndexes(pkgSourceList& sources);

}  // namespace apt_ostree::apt
