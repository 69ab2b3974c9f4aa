// What hollow packages should have left behind, to be compared with what is there.
#pragma once

#include <ostree.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

using Digest = std::array<uint8_t, 32>;

struct HashOfDigest {
  size_t operator()(const Digest& digest) const {
    size_t hash;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hash;
  }
};

// Stubs as dpkg made them, by the objects that they name. Whatever renames a file keeps its inode,
// so diversions and the like need not be known here.
using UntouchedStubs = std::unordered_map<Digest, std::unordered_set<ino_t>, HashOfDigest>;

// Paths, relative to the root, of stubs of these packages that are not among `found`: a script
// has written to them, replaced or removed them. Files that dpkg itself took from a package
// (Replaces) are no longer in its list in `directory`, and a package without a list was not
// unpacked. At most `most` of them.
std::vector<std::string> MissingStubs(OstreeRepo* repo, const std::vector<std::string>& commits,
                                      const std::string& directory, const UntouchedStubs& found,
                                      size_t most, JobContext& job);

}  // namespace apt_ostree
