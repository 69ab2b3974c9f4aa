// Sets of objects: what commits reach, and what is stored.
#pragma once

#include <ostree.h>

#include <string>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"
#include "ostree/sound.h"

namespace apt_ostree {

struct ObjectName {
  std::string checksum;
  OstreeObjectType type = OSTREE_OBJECT_TYPE_FILE;

  // "CHECKSUM.TYPE", as libostree's commands print it.
  std::string text() const { return checksum + "." + ostree_object_type_to_string(type); }
};

// The key of libostree's sets of objects.
ObjectName NameOf(GVariant* key);

// Names of the local repository and of its remotes, with their commits, both kinds of refs as
// pruning sees them.
struct RefCommit {
  std::string collection;  // empty for a plain ref
  std::string ref;         // with the remote, if any
  std::string checksum;
};
std::vector<RefCommit> ListRefCommits(OstreeRepo* repo, bool collections,
                                      GCancellable* cancellable);

// Gathers what is to be kept.
class Reachable {
 public:
  // `commit_only`: the commit objects alone.
  Reachable(OstreeRepo* repo, const JobContext& job, bool commit_only);
  // A commit and `depth` of its parents, -1 for all. A missing one ends the way, as anywhere in
  // libostree; so does one that is in the set already.
  void AddCommit(const std::string& checksum, int depth);
  // A commit, and its parents as long as they are not older (seconds since 1970).
  void AddYounger(const std::string& checksum, uint64_t timestamp);
  // The commits of a set of stored objects.
  void AddCommitsOf(GHashTable* stored, int depth);
  void AddRefs(int depth);
  void Add(const ObjectName& name);
  bool Contains(GVariant* key) const { return g_hash_table_contains(set_.get(), key) != FALSE; }
  bool Contains(const ObjectName& name) const;
  GHashTable* get() const { return set_.get(); }

 private:
  // False where the commit is missing or in the set already. `parent` is empty for a first commit.
  bool AddOne(const std::string& checksum, std::string* parent);

  OstreeRepo* repo_;
  const JobContext& job_;
  const OstreeRepoCommitTraverseFlags flags_;
  GHashTablePtr set_;
  SoundTrees sound_;
  size_t commits_ = 0;
};

// What is stored in this repository, not in its parent; with `commit_only` commits alone.
GHashTablePtr StoredObjects(OstreeRepo* repo, bool commit_only, GCancellable* cancellable);

}  // namespace apt_ostree
