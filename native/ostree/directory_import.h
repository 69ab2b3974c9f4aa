// Importing a directory on several threads. What comes out is what ostree_repo_write_dfd_to_mtree
// makes of it, object by object.
#pragma once

#include <ostree.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/job.h"
#include "ostree/import_rules.h"

namespace apt_ostree {

struct ImportResult {
  uint64_t directories = 0;
  uint64_t files = 0;   // links included
  uint64_t hashed = 0;  // of these, files whose content was read
  uint64_t bytes = 0;   // that these had
  uint64_t known = 0;   // of these, hard links of objects
  std::vector<std::string> unmatched;
};

// Whether ImportDirectory can do what the options ask for; libostree has to do the rest, alone.
bool CanImportDirectory(OstreeRepo* repo, const ImportOptions& options);

// On top of what `tree` has. The caller holds the tree's lock and a share in the transaction.
ImportResult ImportDirectory(OstreeRepo* repo, const std::string& path, OstreeMutableTree* tree,
                             const ImportOptions& options, const JobContext& job);

}  // namespace apt_ostree
