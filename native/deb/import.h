// A .deb as one commit.
//
//   tree/                  the data archive, at the places of a merged-/usr system
//   deb/control/<member>   the control archive
//   deb/hollow.tar         the data archive with stubs in place of most files' content
//
// dpkg unpacks a package made of the last two (deb/hollow.h) with all its bookkeeping while it
// writes next to nothing; compose then puts the objects of tree/ where the stubs are.
#pragma once

#include <ostree.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

struct ImportedDeb {
  std::string commit;
  std::string ref;
  std::string package;
  std::string version;
  std::string architecture;
  std::string sha256;
  uint64_t size = 0;            // of the .deb
  uint64_t installed_size = 0;  // bytes, as its control file says
  uint64_t files = 0;
  uint64_t bytes = 0;  // content of these files
  uint64_t hardlinks = 0;
  std::vector<std::string> conffiles;  // absolute paths
  std::vector<std::string> scripts;
  std::string pre_depends;
  bool essential = false;
};

// The repository must be in a transaction; several imports may run in one. Sets the ref there.
// Throws ERR_DEB_DAMAGED, ERR_DEB_UNSUPPORTED.
ImportedDeb ImportDeb(OstreeRepo* repo, const std::string& path,
                      const std::optional<std::string>& sha256, JobContext& job);

}  // namespace apt_ostree
