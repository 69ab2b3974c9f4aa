// Which kernels a sweep for unneeded packages leaves alone.
#pragma once

#include <apt-pkg/pkgcache.h>

#include <string>
#include <vector>

namespace apt_ostree::apt {

// The library keeps the kernel that runs, and takes that of this machine for it. For as long as
// this lives the library's sweeps keep that of `running` instead (uname -r; empty: none runs)
// beside the newest ones.
class KernelsOf {
 public:
  KernelsOf(pkgCache& cache, const std::string& running);
  ~KernelsOf();
  KernelsOf(const KernelsOf&) = delete;
  KernelsOf& operator=(const KernelsOf&) = delete;

 private:
  std::vector<std::string> before_;
};

}  // namespace apt_ostree::apt
