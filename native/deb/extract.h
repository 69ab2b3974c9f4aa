// The data archive of a package as files, contained in one directory.
#pragma once

#include <cstdint>
#include <string>

#include "deb/reader.h"

namespace apt_ostree {

struct ExtractedDeb {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t links = 0;  // of both kinds
  uint64_t bytes = 0;
};

// Like `dpkg-deb -x`, but that no name and no link, whether of the package or there before,
// leads out of `directory`: links are followed as if it were the root. With `owners`, files get
// the users and groups of the archive.
ExtractedDeb ExtractDeb(const DebSource& source, const std::string& directory, bool owners,
                        JobContext& job);

}  // namespace apt_ostree
