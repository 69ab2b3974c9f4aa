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
// The checksum of the commit behind `rev`, or nothing where it or a parent on the way is missing.
std::optional<std::string> TryResolveCommit(OstreeRepo* repo, const std::string& rev);
// Throws ENOENT with the detail `ref`; the commit, where it is stored, is a sound one.
std::string ResolveCommit(OstreeRepo* repo, const std::string& rev);

// Only what is sound.
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

// The children of a dirtree's two lists.
struct NamedFile {
  const char* name;  // owned by the list
  std::string checksum;
};
NamedFile FileAt(GVariant* files, gsize index);
struct NamedDirectory {
  const char* name;
  TreeChecksums checksums;
};
NamedDirectory DirectoryAt(GVariant* directories, gsize index);

std::string ChildPath(const std::string& parent, const std::string& name);

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
  // Of a directory its dirmeta.
  std::string metadata;
  // a(ayay); only where it was asked for.
  VariantPtr xattrs;
};

// Facts about single objects, with a cache of directory metadata: a tree has thousands of
// directories and a handful of owners and modes.
class EntryReader {
 public:
  EntryReader(OstreeRepo* repo, GCancellable* cancellable, bool with_xattrs = false)
      : repo_(repo), cancellable_(cancellable), with_xattrs_(with_xattrs) {}
  TreeEntry File(std::string path, const std::string& checksum);
  TreeEntry Directory(std::string path, const std::string& contents, const std::string& metadata);

  using Visit = std::function<void(TreeEntry)>;
  // The entries of a written directory, sorted by name; with `recursive` all below it, which is
  // `depth` directories below where it began.
  void Walk(const std::string& path, const std::string& contents, bool recursive,
            const Visit& visit, size_t depth = 0);
  // The entry at `path`, which is relative to `root`. Throws ENOENT, ENOTDIR.
  TreeEntry Find(const TreeChecksums& root, const TreePath& path, TreeChecksums* directory);

  struct Owner {
    uint32_t uid, gid, mode;
    VariantPtr xattrs;
  };
  using Owners = std::map<std::string, Owner>;
  // Hands the cache on from reader to reader.
  void SwapOwners(Owners& owners) { owners_.swap(owners); }

 private:
  OstreeRepo* repo_;
  GCancellable* cancellable_;
  bool with_xattrs_;
  Owners owners_;
};

// The regular file at `path`. Throws ENOENT, ENOTDIR, EISDIR, ELOOP.
TreeEntry FindFile(OstreeRepo* repo, const std::string& rev, const TreePath& path,
                   GCancellable* cancellable);
GObjectPtr<GInputStream> LoadContent(OstreeRepo* repo, const TreeEntry& file,
                                     GCancellable* cancellable);

// Entries as columns: making one object per entry through Node-API would block the JavaScript
// thread many times longer.
class EntryColumns {
 public:
  explicit EntryColumns(bool with_checksums = true) : with_checksums_(with_checksums) {}
  void Add(const TreeEntry& entry);
  size_t count() const { return count_; }
  // Makes a NativeEntryBatch; the columns are empty afterwards.
  ToJs Take();

 private:
  bool with_checksums_;
  size_t count_ = 0;
  std::string paths_, targets_, checksums_, metadata_;
  std::vector<double> numbers_;
  // Distinct sets of extended attributes: most entries share one.
  std::map<std::string, size_t> xattr_index_;
  std::vector<VariantPtr> xattr_sets_;
};

// Sends entries to JavaScript, a thousand at a time.
class EntryBatches {
 public:
  explicit EntryBatches(const JobContext& job) : job_(job) {}
  void Add(const TreeEntry& entry);
  void Flush();

 private:
  static constexpr size_t kBatch = 1000;
  const JobContext& job_;
  EntryColumns columns_;
};

// `[{name, value}]` of a(ayay).
Napi::Value XattrsToJs(Napi::Env env, GVariant* xattrs);
Napi::Value TreeEntryToJs(Napi::Env env, const TreeEntry& entry);

}  // namespace apt_ostree
