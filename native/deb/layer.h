// The changed files of an overlay (its upper directory): stubs of hollow packages replaced by
// the real content, and the whole merged into a tree.
#pragma once

#include <ostree.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

// Files of a layer whose objects are known, so that nobody has to read them again.
struct LayerLinks {
  struct Link {
    std::string checksum;
    // Another name of the object itself, not a copy.
    bool object = false;
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t mode = 0;
    uint64_t size = 0;
    timespec modified = {};
  };
  dev_t device = 0;
  std::unordered_map<ino_t, Link> files;
};

struct FillResult {
  std::shared_ptr<LayerLinks> links = std::make_shared<LayerLinks>();
  uint64_t filled = 0;  // stubs replaced
  uint64_t copied = 0;  // of these, by copies
  uint64_t bytes = 0;   // content behind them
  // Relative to the directory, at most kMostTouched: stubs that somebody has read since dpkg wrote
  // them, and so has seen something else than the package's content; stubs that dpkg made and that
  // are gone or changed; other files with the text of a stub in them.
  std::vector<std::string> touched;
};

inline constexpr size_t kMostTouched = 16;

// Replaces every stub below `directory` that a package of `commits` has: a script or a package's
// own content may look like a stub of any other object. Objects become further names of the
// repository's own files, so nothing may write to this layer afterwards: it must become a lower
// layer. The repository must be of mode bare and hold the objects (their transaction is over).
FillResult FillLayer(OstreeRepo* repo, const std::string& directory,
                     const std::vector<std::string>& commits, JobContext& job);

struct MergeResult {
  uint64_t files = 0;   // added or changed, links included
  uint64_t hashed = 0;  // of these, files whose content was read
  uint64_t hashed_bytes = 0;
  uint64_t reused = 0;   // files found in `links`
  uint64_t removed = 0;  // whiteouts
  uint64_t directories = 0;
  // Pipes and sockets that are left out, relative to the layer; at most kMostDropped.
  std::vector<std::string> dropped;
};

inline constexpr size_t kMostDropped = 16;

// Applies the layer to `tree`; the caller holds its lock and a share in the transaction.
// `skip`: paths relative to the layer whose content is left out.
MergeResult MergeLayer(OstreeRepo* repo, OstreeMutableTree* tree, const std::string& directory,
                       const LayerLinks* links, const std::vector<std::string>& skip,
                       JobContext& job);

}  // namespace apt_ostree
