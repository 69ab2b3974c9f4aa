// Reading commits and trees straight from their variants; libostree's GFile layer resolves and
// allocates per file and is much slower.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"
#include "ostree/names.h"

namespace apt_ostree {

bool HasStoredObject(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum);
// Throws ENOENT.
void RequireObject(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum);
// The checksum of the commit behind `rev`. Throws ENOENT with the detail `ref`.
std::string ResolveCommit(OstreeRepo* repo, const std::string& rev);

VariantPtr LoadVariant(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum);

// A directory as a commit or another directory names it.
struct TreeChecksums {
  std::string contents;
  std::string metadata;
};
TreeChecksums RootOf(OstreeRepo* repo, const std::string& commit);

// Calls back for each name in a written directory, sorted.
void ReadDirectory(OstreeRepo* repo, const std::string& contents,
                   const std::function<void(const char*, std::string)>& file,
                   const std::function<void(const char*, TreeChecksums)>& directory);

struct TreeEntry {
  enum class Type { kFile, kDirectory, kSymlink };
  std::string path;
  Type type = Type::kFile;
  uint32_t mode = 0;  // permission bits only
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  std::string target;
  // The content object; of a directory its dirtree, empty where that is not written yet.
  std::string checksum;
};

// Facts about single objects, with a cache of directory metadata: a tree has thousands of
// directories and a handful of owners and modes.
class EntryReader {
 public:
  EntryReader(OstreeRepo* repo, GCancellable* cancellable)
      : repo_(repo), cancellable_(cancellable) {}
  TreeEntry File(std::string path, const std::string& checksum);
  TreeEntry Directory(std::string path, const std::string& contents, const std::string& metadata);

  using Visit = std::function<void(TreeEntry)>;
  // The entries of a written directory, sorted by name; with `recursive` all below it.
  void Walk(const std::string& path, const std::string& contents, bool recursive,
            const Visit& visit);
  // The entry at `path`, which is relative to `root`. Throws ENOENT, ENOTDIR.
  TreeEntry Find(const TreeChecksums& root, const TreePath& path, TreeChecksums* directory);

 private:
  struct Owner {
    uint32_t uid, gid, mode;
  };
  OstreeRepo* repo_;
  GCancellable* cancellable_;
  std::map<std::string, Owner> owners_;
};

// Sends entries to JavaScript as columns, a thousand at a time: making one object per entry
// through Node-API would block the JavaScript thread many times longer.
class EntryBatches {
 public:
  explicit EntryBatches(const JobContext& job) : job_(job) {}
  void Add(const TreeEntry& entry);
  void Flush();

 private:
  static constexpr size_t kBatch = 1000;
  const JobContext& job_;
  size_t count_ = 0;
  std::string paths_, targets_, checksums_;
  std::vector<double> numbers_;
};

Napi::Value TreeEntryToJs(Napi::Env env, const TreeEntry& entry);

}  // namespace apt_ostree
