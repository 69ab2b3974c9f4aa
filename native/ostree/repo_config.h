// The configuration file of a repository, edited with its order and comments kept; libostree's own
// copy of it has lost them.
#pragma once

#include <ostree.h>

#include "ostree/key_file.h"
#include "ostree/repo_state.h"

namespace apt_ostree {

// Waits until no other work of this object looks at the configuration, and replaces it. For work
// that was started with Repo::StartAlone.
void EditConfig(RepoState& state, OstreeRepo* repo, const KeyFileGroups& changes,
                GCancellable* cancellable);

// From now on, each commit that is removed leaves a tombstone.
void EnableTombstones(RepoState& state, OstreeRepo* repo, GCancellable* cancellable);

}  // namespace apt_ostree
