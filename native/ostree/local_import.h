// The content of commits, taken from another repository of this machine on several threads.
// libostree's own pull gives each object to a thread and its main loop again, which costs more than
// the link that is made.
#pragma once

#include <ostree.h>

#include <string>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

// In a transaction of `to`. Takes the content objects below `commits` of `from` that `to` lacks;
// directories and commits are left to the pull, which checks them. `trusted` as in
// ostree_repo_import_object_from_with_trust. Gives how many objects were taken. What `from` cannot
// give is left out: the pull finds it missing and words the error.
size_t ImportContent(OstreeRepo* to, OstreeRepo* from, const std::vector<std::string>& commits,
                     bool trusted, const JobContext& job);

}  // namespace apt_ostree
