// libostree trusts what it has stored: it reads commits and directories without a look at their
// form and at the lengths of the checksums in them, and ends the process where a disk or somebody
// has changed one. Here they are looked at before it gets them, and compared with their names,
// which leaves no directory that holds itself. What is missing is left to it.
#pragma once

#include <ostree.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

// The same bytes, read with care: what makes no sense is a default value.
VariantPtr Untrusted(GVariant* variant);

// Throws ERR_OSTREE_FAILED for an object that is not what its type says; which one it is, is left
// open.
void RequireForm(GVariant* variant, OstreeObjectType type, const std::string& checksum);
// Throws ERR_OSTREE_FAILED for an object that is not what its type or its checksum says.
void RequireSound(GVariant* variant, OstreeObjectType type, const std::string& checksum);
void RequireSoundCommit(OstreeRepo* repo, const std::string& checksum);

// The metadata beside a commit, with care; nothing where there are none.
VariantPtr LoadDetached(OstreeRepo* repo, const std::string& commit, GCancellable* cancellable);

// A bad collection ID would end the process when refs are listed.
void RequireSoundConfig(GKeyFile* config, const std::string& path);

// Looks at commits with all their directories, at each of these once. Throws ERR_OSTREE_FAILED also
// for trees that are too deep to be walked.
class SoundTrees {
 public:
  SoundTrees(OstreeRepo* repo, GCancellable* cancellable)
      : repo_(repo), cancellable_(cancellable) {}
  void Commit(const std::string& checksum);
  // And `depth` of its parents, -1 for all.
  void History(std::string checksum, int depth);
  // Gives how many directories are in each other below this one.
  size_t Directory(const std::string& contents, const std::string& metadata);

 private:
  struct Level {
    std::string contents;
    VariantPtr directories;
    gsize count = 0, next = 0;
    size_t height = 0;
  };
  Level Enter(const std::string& contents);
  void Metadata(const std::string& checksum);
  VariantPtr Load(OstreeObjectType type, const std::string& checksum);

  OstreeRepo* repo_;
  GCancellable* cancellable_;
  std::unordered_set<std::string> commits_, metadata_;
  // What Directory gives.
  std::unordered_map<std::string, size_t> heights_;
};

}  // namespace apt_ostree
