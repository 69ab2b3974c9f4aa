#include "ostree/import_rules.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "ostree/content.h"
#include "ostree/names.h"
#include "ostree/tree_edit.h"

namespace apt_ostree {

namespace {

constexpr uint32_t kPermissions = 07777;
constexpr size_t kAskedAtOnce = 500;

std::optional<uint32_t> OptionalId(const Options& options, const char* key) {
  if (!options.Has(key)) return std::nullopt;
  return static_cast<uint32_t>(options.Integer(key, 0, 0, UINT32_MAX));
}

ModeMask CheckedMask(const Options& options, const char* key, Napi::Env env) {
  const Options mask(env, options.Raw(key), key);
  return {static_cast<uint32_t>(mask.Integer("clear", 0, 0, kPermissions)),
          static_cast<uint32_t>(mask.Integer("set", 0, 0, kPermissions))};
}

void AddOverrides(ImportOptions& import, Napi::Value value, Napi::Env env) {
  if (value.IsUndefined()) return;
  if (!value.IsArray()) throw InvalidArgumentType(env, "statOverrides", "an Array", value);
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Options line(env, array.Get(i), "statOverrides");
    import.stat_overrides[line.String("path")] = {
        line.Bool("replace", false),
        static_cast<uint32_t>(line.Integer("mode", 0, 0, kPermissions))};
  }
}

bool XattrsDisabled(OstreeRepo* repo) {
  return g_key_file_get_boolean(ostree_repo_get_config(repo), "core", "disable-xattrs", nullptr) !=
         FALSE;
}

void CheckContradictions(const ImportOptions& import, Napi::Env env) {
  const bool canonical = import.canonical_permissions;
  // What the ostree command refuses, too.
  if (canonical && (import.uid.value_or(0) != 0 || import.gid.value_or(0) != 0)) {
    throw InvalidArgumentValue(env, "owner", "contradicts 'canonicalPermissions'");
  }
  // Whatever is left out is removed as well, so a function that throws would cost files.
  if (import.ask && import.consume) {
    throw InvalidArgumentValue(env, "filter", "contradicts 'consume'");
  }
  if (import.xattrs.empty()) return;
  if (canonical) throw InvalidArgumentValue(env, "xattrs", "contradicts 'canonicalPermissions'");
  // Only libostree knows which object a file is then, and what attributes that has.
  if (import.devino) throw InvalidArgumentValue(env, "xattrs", "contradicts 'devinoCache'");
  if (!import.labels()) return;
  // There would be two labels.
  for (const XattrRule& rule : import.xattrs) {
    if (!rule.set.contains("security.selinux")) continue;
    throw InvalidArgumentValue(env, "xattrs", "sets labels, which contradicts 'selinuxPolicy'");
  }
}

}  // namespace

ImportOptions CheckedImport(const Options& options, Napi::Value listener) {
  Napi::Env env = listener.Env();
  ImportOptions import;
  import.uid = OptionalId(options, "uid");
  import.gid = OptionalId(options, "gid");
  import.files = CheckedMask(options, "fileModes", env);
  import.directories = CheckedMask(options, "directoryModes", env);
  import.read_only_executables = options.Bool("readOnlyExecutables", false);
  AddOverrides(import, options.Raw("statOverrides"), env);
  for (std::string& name : options.Strings("skip")) import.skip.insert(std::move(name));
  import.skip_patterns = options.Strings("skipPatterns");
  import.xattrs = CheckedXattrRules(options.Raw("xattrs"), "xattrs");
  import.ask = options.Bool("filter", false);
  if (import.ask && !listener.IsFunction()) {
    throw InvalidArgumentType(env, "listener", "of type function", listener);
  }
  import.skip_xattrs = options.Bool("skipXattrs", false);
  import.canonical_permissions = options.Bool("canonicalPermissions", false);
  import.consume = options.Bool("consume", false);
  import.generate_sizes = options.Bool("generateSizes", false);
  import.error_on_unlabeled = options.Bool("errorOnUnlabeled", false);
  import.scan_hardlinks = options.Bool("scanHardlinks", false);
  import.devino_canonical = options.Bool("devinoCanonical", false);
  import.devino = DevinoCache::Optional(env, options.Raw("devinoCache"));
  import.selinux_root = options.OptionalPath("selinuxPolicy");
  import.policy = SePolicy::Optional(env, options.Raw("selinuxPolicyObject"));
  import.selinux_from_tree = options.Bool("selinuxPolicyFromTree", false);
  import.threads = static_cast<unsigned>(options.Integer("threads", 0, 0, 64));
  CheckContradictions(import, env);
  return import;
}

ImportRules::ImportRules(const ImportOptions& options, OstreeRepo* repo, const JobContext& job)
    : options_(options), job_(job), xattrs_(options.xattrs) {
  const bool user_only = ostree_repo_get_mode(repo) == OSTREE_REPO_MODE_BARE_USER_ONLY;
  canonical_ = options.canonical_permissions || user_only;
  stores_xattrs_ = !canonical_ && !XattrsDisabled(repo);
  skip_xattrs_ = options.skip_xattrs || !stores_xattrs_;
  for (const std::string& pattern : options.skip_patterns) patterns_.emplace_back(pattern);
}

bool ImportRules::Skips(const std::string& path) {
  bool skips = false;
  if (!options_.skip.empty() && options_.skip.contains(path)) {
    met_.insert(path);
    skips = true;
  }
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (!patterns_[i].Matches(path)) continue;
    met_.insert(options_.skip_patterns[i]);
    skips = true;
  }
  return skips;
}

void ImportRules::Decide(ImportEntry& entry) {
  if (Skips(entry.path)) {
    entry.skip = true;
    return;
  }
  if (options_.uid) entry.uid = *options_.uid;
  if (options_.gid) entry.gid = *options_.gid;
  if (S_ISREG(entry.mode) && options_.read_only_executables && (entry.mode & 0111) != 0) {
    entry.mode &= ~0222U;
  }
  if (!S_ISLNK(entry.mode)) {
    const ModeMask& mask = S_ISDIR(entry.mode) ? options_.directories : options_.files;
    entry.mode = (entry.mode & ~mask.clear) | mask.set;
  }
  std::vector<uint32_t> xattr_rules = xattrs_.For(entry.path, entry.mode);
  for (const uint32_t rule : xattr_rules) met_.insert(options_.xattrs[rule].path);
  if (stores_xattrs_) entry.xattr_rules = std::move(xattr_rules);
  if (options_.stat_overrides.empty()) return;
  const auto found = options_.stat_overrides.find(entry.path);
  if (found == options_.stat_overrides.end()) return;
  met_.insert(entry.path);
  const uint32_t kept = found->second.replace ? entry.mode & S_IFMT : entry.mode;
  entry.mode = kept | found->second.mode;
}

void ImportRules::Apply(const std::vector<ImportEntry*>& entries) {
  std::vector<ImportEntry*> asked;
  for (ImportEntry* entry : entries) {
    Decide(*entry);
    if (options_.ask && !entry->skip) asked.push_back(entry);
  }
  // Only so many at once: the event loop is not to stand still for a directory of any size.
  for (size_t i = 0; i < asked.size(); i += kAskedAtOnce) {
    const size_t end = std::min(asked.size(), i + kAskedAtOnce);
    AskFilter(
        {asked.begin() + static_cast<ptrdiff_t>(i), asked.begin() + static_cast<ptrdiff_t>(end)},
        job_);
  }
  if (!canonical_) return;
  for (ImportEntry* entry : entries) {
    if (!S_ISLNK(entry->mode)) entry->mode &= S_IFMT | 0755;
    entry->uid = entry->gid = 0;
  }
}

std::vector<std::string> ImportRules::Unmatched() const {
  std::vector<std::string> paths;
  for (const std::string& path : options_.skip) {
    if (!met_.contains(path)) paths.push_back(path);
  }
  for (const std::string& pattern : options_.skip_patterns) {
    if (!met_.contains(pattern)) paths.push_back(pattern);
  }
  for (const XattrRule& rule : options_.xattrs) {
    if (!met_.contains(rule.path)) paths.push_back(rule.path);
  }
  for (const auto& [path, line] : options_.stat_overrides) {
    if (!met_.contains(path)) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

CommitModifier::CommitModifier(const ImportOptions& options, OstreeRepo* repo,
                               const JobContext& job, int flags)
    : repo_(repo), job_(job), depth_(options.depth), rules_(options, repo, job) {
  const auto flag = [&flags](bool wanted, int value) { flags |= wanted ? value : 0; };
  flag(rules_.skip_xattrs(), OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS);
  flag(rules_.canonical(), OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CANONICAL_PERMISSIONS);
  flag(options.consume, OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CONSUME);
  flag(options.generate_sizes, OSTREE_REPO_COMMIT_MODIFIER_FLAGS_GENERATE_SIZES);
  flag(options.error_on_unlabeled, OSTREE_REPO_COMMIT_MODIFIER_FLAGS_ERROR_ON_UNLABELED);
  flag(options.devino_canonical, OSTREE_REPO_COMMIT_MODIFIER_FLAGS_DEVINO_CANONICAL);
  modifier_.reset(ostree_repo_commit_modifier_new(static_cast<OstreeRepoCommitModifierFlags>(flags),
                                                  Filter, this, nullptr));
  if (rules_.changes_xattrs()) {
    ostree_repo_commit_modifier_set_xattr_callback(modifier_.get(), XattrsOf, nullptr, this);
  }
  if (options.devino) {
    devino_lock_ = std::unique_lock<std::mutex>(options.devino->mutex);
    ostree_repo_commit_modifier_set_devino_cache(modifier_.get(), options.devino->cache.get());
  }
  if (options.policy) UsePolicy(options.policy);
  if (options.selinux_root) {
    UsePolicy(SePolicyState::OfDirectory(*options.selinux_root, job.cancellable()));
  }
}

void CommitModifier::UsePolicy(std::shared_ptr<SePolicyState> policy) {
  policy_ = std::move(policy);
  ostree_repo_commit_modifier_set_sepolicy(modifier_.get(), policy_->get());
}

OstreeRepoCommitFilterResult CommitModifier::Filter(OstreeRepo*, const char* path, GFileInfo* file,
                                                    gpointer data) {
  auto* self = static_cast<CommitModifier*>(data);
  if (self->failure_) return OSTREE_REPO_COMMIT_FILTER_SKIP;
  ImportEntry entry;
  entry.mode = g_file_info_get_attribute_uint32(file, "unix::mode");
  try {
    entry.path = path;
    // Of a file, the directories above it.
    const auto slashes = std::count(entry.path.begin() + 1, entry.path.end(), '/');
    RequireDepth(self->depth_ + static_cast<size_t>(slashes) + (S_ISDIR(entry.mode) ? 1 : 0),
                 entry.path);
    // Archives go on with what is below.
    if (self->InSkipped(entry.path)) return OSTREE_REPO_COMMIT_FILTER_SKIP;
    if (self->directory_ && self->directory_->path == entry.path) {
      entry = *self->directory_;
      self->directory_.reset();
    } else {
      entry.uid = g_file_info_get_attribute_uint32(file, "unix::uid");
      entry.gid = g_file_info_get_attribute_uint32(file, "unix::gid");
      entry.size = S_ISREG(entry.mode) ? static_cast<uint64_t>(g_file_info_get_size(file)) : 0;
      self->rules_.Apply({&entry});
      if (S_ISDIR(entry.mode) && entry.path != "/") self->directory_ = entry;
      if (S_ISDIR(entry.mode) && entry.skip) self->skipped_.insert(entry.path);
      if (S_ISDIR(entry.mode) && !entry.skip && !entry.xattr_rules.empty()) {
        self->directories_[entry.path] = entry.xattr_rules;
      }
    }
  } catch (...) {
    self->Fail();
    return OSTREE_REPO_COMMIT_FILTER_SKIP;
  }
  if (entry.skip) return OSTREE_REPO_COMMIT_FILTER_SKIP;
  g_file_info_set_attribute_uint32(file, "unix::uid", entry.uid);
  g_file_info_set_attribute_uint32(file, "unix::gid", entry.gid);
  g_file_info_set_attribute_uint32(file, "unix::mode", entry.mode);
  return OSTREE_REPO_COMMIT_FILTER_ALLOW;
}

void CommitModifier::Fail() {
  failure_ = std::current_exception();
  g_cancellable_cancel(job_.cancellable());
}

// Null leaves what libostree has read itself.
GVariant* CommitModifier::XattrsOf(OstreeRepo*, const char* path, GFileInfo* file, gpointer data) {
  auto* self = static_cast<CommitModifier*>(data);
  if (self->failure_) return nullptr;
  try {
    const ImportRules& rules = self->rules_;
    const std::vector<uint32_t> found =
        rules.xattrs().For(path, g_file_info_get_attribute_uint32(file, "unix::mode"));
    if (found.empty()) return nullptr;
    VariantPtr source;
    if (self->read_xattrs_ && !rules.skip_xattrs()) source = self->read_xattrs_(path);
    return g_variant_ref(rules.xattrs().Apply(found, source.get()).get());
  } catch (...) {
    self->Fail();
    return nullptr;
  }
}

void CommitModifier::ChangeDirectories(OstreeMutableTree* tree) const {
  ContentWriter writer(repo_, job_);
  for (const auto& [path, rules] : directories_) {
    job_.ThrowIfCancelled();
    auto directory = GObjectPtr<OstreeMutableTree>::Share(tree);
    std::istringstream names(path);
    for (std::string name; directory && std::getline(names, name, '/');) {
      if (name.empty() || name == ".") continue;
      directory = FindChild(directory.get(), name).directory;
    }
    // A later entry of the archive may have replaced it.
    if (!directory) continue;
    const char* checksum = ostree_mutable_tree_get_metadata_checksum(directory.get());
    if (checksum == nullptr || *checksum == '\0') continue;
    GError* error = nullptr;
    VariantPtr metadata;
    if (!ostree_repo_load_variant(repo_, OSTREE_OBJECT_TYPE_DIR_META, checksum, metadata.out(),
                                  &error)) {
      throw FromGError(error, "Reading a directory").Detail("path", path);
    }
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t mode = 0;
    VariantPtr label;
    g_variant_get(metadata.get(), "(uuu@a(ayay))", &uid, &gid, &mode, label.out());
    // Labels come after the rules.
    Xattrs all = FromVariant(label.get());
    all.merge(FromVariant(rules_.xattrs().Apply(rules, nullptr).get()));
    const VariantPtr xattrs = ToVariant(all);
    ostree_mutable_tree_set_metadata_checksum(
        directory.get(), writer
                             .Directory({GUINT32_FROM_BE(uid), GUINT32_FROM_BE(gid),
                                         GUINT32_FROM_BE(mode), xattrs.get()})
                             .c_str());
  }
}

bool CommitModifier::InSkipped(const std::string& path) const {
  if (skipped_.empty()) return false;
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (skipped_.contains(path.substr(0, slash))) return true;
  }
  return false;
}

void CommitModifier::Check() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace apt_ostree
