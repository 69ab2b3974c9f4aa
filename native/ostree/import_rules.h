// What an import changes or leaves out. Rules are data and decided here, in C++: a call into
// JavaScript for each file would cost more than the import.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/arguments.h"
#include "core/gobject.h"
#include "core/job.h"
#include "ostree/devino_cache.h"
#include "ostree/import_filter.h"
#include "ostree/path_pattern.h"
#include "ostree/sepolicy.h"
#include "ostree/xattrs.h"

namespace apt_ostree {

struct ModeMask {
  uint32_t clear = 0;
  uint32_t set = 0;
};

// A line of a statoverride file: bits to add (`+`), or all permission bits (`=`).
struct StatOverride {
  bool replace = false;
  uint32_t mode = 0;
};

// As JavaScript asked for it; shared by the threads of one import, which only read it.
struct ImportOptions {
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  ModeMask files;
  ModeMask directories;
  bool read_only_executables = false;
  std::unordered_map<std::string, StatOverride> stat_overrides;
  std::unordered_set<std::string> skip;
  std::vector<std::string> skip_patterns;
  std::vector<XattrRule> xattrs;
  // A JavaScript function decides about each file, after the rules.
  bool ask = false;

  bool skip_xattrs = false;
  bool canonical_permissions = false;
  bool consume = false;
  bool generate_sizes = false;
  bool error_on_unlabeled = false;
  // Files that are hard links of objects are those objects.
  bool scan_hardlinks = false;
  // Trust a known file even where its metadata differ.
  bool devino_canonical = false;
  std::shared_ptr<DevinoCacheState> devino;
  std::optional<std::string> selinux_root;
  bool selinux_from_tree = false;
  std::shared_ptr<SePolicyState> policy;
  bool labels() const { return selinux_root || selinux_from_tree || policy; }
  unsigned threads = 0;  // 0: as many as there are processors
  // How many directories of the tree it goes to are above it.
  size_t depth = 0;
};

// `listener`: what answers the questions of `filter`.
ImportOptions CheckedImport(const Options& options, Napi::Value listener);

// Applies the rules of one import, of one thread, and keeps account of what they met.
class ImportRules {
 public:
  ImportRules(const ImportOptions& options, OstreeRepo* repo, const JobContext& job);
  // Rules first, then the JavaScript function for those that they leave; then what the mode of the
  // repository asks for.
  void Apply(const std::vector<ImportEntry*>& entries);
  // Skips, statoverrides and such that no file was met for, sorted.
  std::vector<std::string> Unmatched() const;
  // Whether attributes of the source are left out.
  bool skip_xattrs() const { return skip_xattrs_; }
  const XattrRules& xattrs() const { return xattrs_; }
  // Whether rules for attributes change anything.
  bool changes_xattrs() const { return stores_xattrs_ && !options_.xattrs.empty(); }
  bool canonical() const { return canonical_; }

 private:
  void Decide(ImportEntry& entry);
  bool Skips(const std::string& path);

  const ImportOptions& options_;
  const JobContext& job_;
  bool canonical_;
  bool skip_xattrs_;
  bool stores_xattrs_;
  XattrRules xattrs_;
  std::unordered_set<std::string> met_;
  std::vector<PathPattern> patterns_;  // in the order of the options
};

// The same for libostree's own importers. What a JavaScript function throws cannot cross libostree:
// it is kept, the rest is skipped, and Check throws it afterwards.
class CommitModifier {
 public:
  CommitModifier(const ImportOptions& options, OstreeRepo* repo, const JobContext& job,
                 int flags = 0);
  CommitModifier(const CommitModifier&) = delete;
  CommitModifier& operator=(const CommitModifier&) = delete;
  OstreeRepoCommitModifier* get() const { return modifier_.get(); }
  void UsePolicy(std::shared_ptr<SePolicyState> policy);
  // What the rules for extended attributes begin with, by the path; an archive has none.
  void ReadXattrsWith(std::function<VariantPtr(const std::string& path)> read) {
    read_xattrs_ = std::move(read);
  }
  // libostree asks for the attributes of files, but not of the directories of an archive.
  void ChangeDirectories(OstreeMutableTree* tree) const;
  void Check() const;
  std::vector<std::string> Unmatched() const { return rules_.Unmatched(); }

 private:
  static OstreeRepoCommitFilterResult Filter(OstreeRepo* repo, const char* path, GFileInfo* file,
                                             gpointer data);
  static GVariant* XattrsOf(OstreeRepo* repo, const char* path, GFileInfo* file, gpointer data);
  void Fail();

  OstreeRepo* repo_;
  const JobContext& job_;
  const size_t depth_;
  ImportRules rules_;
  std::exception_ptr failure_;
  std::function<VariantPtr(const std::string&)> read_xattrs_;
  // Directories with rules for their attributes.
  std::map<std::string, std::vector<uint32_t>> directories_;
  // Directories are asked about twice in a row, once as a name and once as themselves.
  std::optional<ImportEntry> directory_;
  // Directories that were skipped.
  std::unordered_set<std::string> skipped_;
  bool InSkipped(const std::string& path) const;
  std::unique_lock<std::mutex> devino_lock_;
  std::shared_ptr<SePolicyState> policy_;
  std::unique_ptr<OstreeRepoCommitModifier, FreeWith<ostree_repo_commit_modifier_unref>> modifier_;
};

}  // namespace apt_ostree
