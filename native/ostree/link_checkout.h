// Checkouts that are nothing but hard links, without a look at each object.
#pragma once

#include <ostree.h>

#include <functional>
#include <string>

namespace apt_ostree {

// Lays out `commit`, whose trees are sound, in the new directory `destination` as
// ostree_repo_checkout_at() does: that reads owner, mode and attributes of every object before it
// makes a link, which is most of its time. What cannot be linked is left to `copy`, with a
// descriptor of the directory and the path in the commit. False, and nothing done, where links
// will not do: the repository has another mode or a parent, or is on another file system; or where
// `destination` cannot be made, of which libostree tells best.
bool CheckOutLinks(OstreeRepo* repo, const std::string& commit, const std::string& destination,
                   const std::function<void(int directory, const std::string& path)>& copy,
                   GCancellable* cancellable);

}  // namespace apt_ostree
