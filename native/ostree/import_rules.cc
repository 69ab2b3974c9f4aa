#include "ostree/import_rules.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "ostree/names.h"

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
  import.selinux_from_tree = options.Bool("selinuxPolicyFromTree", false);
  import.threads = static_cast<unsigned>(options.Integer("threads", 0, 0, 64));
  // What the ostree command refuses, too.
  if (import.canonical_permissions &&
      (import.uid.value_or(0) != 0 || import.gid.value_or(0) != 0)) {
    throw InvalidArgumentValue(env, "owner", "contradicts 'canonicalPermissions'");
  }
  // Whatever is left out is removed as well, so a function that throws would cost files.
  if (import.ask && import.consume) {
    throw InvalidArgumentValue(env, "filter", "contradicts 'consume'");
  }
  return import;
}

ImportRules::ImportRules(const ImportOptions& options, OstreeRepo* repo, const JobContext& job)
    : options_(options), job_(job) {
  const bool user_only = ostree_repo_get_mode(repo) == OSTREE_REPO_MODE_BARE_USER_ONLY;
  canonical_ = options.canonical_permissions || user_only;
  skip_xattrs_ = options.skip_xattrs || canonical_;
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
  if (options.devino) {
    devino_lock_ = std::unique_lock<std::mutex>(options.devino->mutex);
    ostree_repo_commit_modifier_set_devino_cache(modifier_.get(), options.devino->cache.get());
  }
  if (options.selinux_root) UsePolicyOf(*options.selinux_root);
}

void CommitModifier::UsePolicyOf(const std::string& root) {
  const UniqueFd directory(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) throw FromErrno(errno, "Opening", root);
  GError* error = nullptr;
  policy_ = GObjectPtr<OstreeSePolicy>::Take(
      ostree_sepolicy_new_at(directory.get(), job_.cancellable(), &error));
  if (!policy_) throw FromGError(error, "Reading the SELinux policy").Detail("path", root);
  if (ostree_sepolicy_get_name(policy_.get()) == nullptr) {
    throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                      "There is no SELinux policy, or this libostree was built without SELinux")
        .Detail("path", root);
  }
  ostree_repo_commit_modifier_set_sepolicy(modifier_.get(), policy_.get());
}

void CommitModifier::UsePolicyOfCommit(const std::string& commit) {
  GError* error = nullptr;
  policy_ = GObjectPtr<OstreeSePolicy>::Take(
      ostree_sepolicy_new_from_commit(repo_, commit.c_str(), job_.cancellable(), &error));
  if (!policy_) throw FromGError(error, "Reading the SELinux policy").Detail("ref", commit);
  if (ostree_sepolicy_get_name(policy_.get()) == nullptr) {
    throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                      "The commit has no SELinux policy, or this libostree was built without it")
        .Detail("ref", commit);
  }
  ostree_repo_commit_modifier_set_sepolicy(modifier_.get(), policy_.get());
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
    }
  } catch (...) {
    self->failure_ = std::current_exception();
    g_cancellable_cancel(self->job_.cancellable());
    return OSTREE_REPO_COMMIT_FILTER_SKIP;
  }
  if (entry.skip) return OSTREE_REPO_COMMIT_FILTER_SKIP;
  g_file_info_set_attribute_uint32(file, "unix::uid", entry.uid);
  g_file_info_set_attribute_uint32(file, "unix::gid", entry.gid);
  g_file_info_set_attribute_uint32(file, "unix::mode", entry.mode);
  return OSTREE_REPO_COMMIT_FILTER_ALLOW;
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
