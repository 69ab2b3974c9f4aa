// Asks a JavaScript function what an import shall do with files. The thread that imports waits
// for the answer, so many files are asked about at once.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

// A file, directory or link on its way into a tree, as far as filters may see or change it.
struct ImportEntry {
  std::string path;  // absolute within the source
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0;  // with the file type
  uint64_t size = 0;
  bool skip = false;
  std::vector<uint32_t> xattr_rules;  // that apply to it, first to last
};

// Sends `{paths, numbers, answer}` to the job's listener: paths joined by NUL, and mode, uid, gid
// and size of each. `answer` takes skip (0 or 1), uid, gid and permission bits of each, or null,
// which stops the import: the function has thrown. Throws ABORT_ERR then, and when the job is
// cancelled.
void AskFilter(std::vector<ImportEntry*> entries, const JobContext& job);

}  // namespace apt_ostree
