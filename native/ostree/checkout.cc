// Repo: checkout.
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/devino_cache.h"
#include "ostree/features.h"
#include "ostree/link_checkout.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sepolicy.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// OstreeRepoCheckoutAtOptions with memory of its own.
struct CheckoutOptions {
  OstreeRepoCheckoutMode mode = OSTREE_REPO_CHECKOUT_MODE_NONE;
  OstreeRepoCheckoutOverwriteMode overwrite = OSTREE_REPO_CHECKOUT_OVERWRITE_NONE;
  bool whiteouts = false;
  bool passthrough_whiteouts = false;
  bool hardlinks_only = false;
  bool force_copy = false;
  bool force_copy_zero_sized = false;
  bool canonical_directories = false;
  bool fsync = false;
  bool cache_uncompressed = false;
  bool allow_missing = false;
  std::optional<std::string> selinux_root;
  std::string selinux_prefix;
  // Absolute within what is checked out, without a slash at the end.
  std::unordered_set<std::string> skip;
  std::shared_ptr<DevinoCacheState> devino;

  // Whether links of a whole commit in a new directory are all there is to it. libostree alone
  // fills its cache of devices and inodes.
  bool MayLink() const {
    return mode == OSTREE_REPO_CHECKOUT_MODE_NONE &&
           overwrite == OSTREE_REPO_CHECKOUT_OVERWRITE_NONE && !whiteouts &&
           !passthrough_whiteouts && !force_copy && !force_copy_zero_sized &&
           !canonical_directories && !fsync && skip.empty() && !devino;
  }
};

struct CheckoutSource {
  std::string rev;
  TreePath subpath;
};

std::string WithoutSlash(std::string path) {
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

struct Filter {
  const std::unordered_set<std::string>& skip;
  GCancellable* cancellable;

  static OstreeRepoCheckoutFilterResult Call(OstreeRepo*, const char* path, struct stat*,
                                             gpointer data) {
    const auto* filter = static_cast<const Filter*>(data);
    // libostree itself hardly ever looks: skipping all that is left brings it to its end.
    const bool skipped = g_cancellable_is_cancelled(filter->cancellable) ||
                         (!filter->skip.empty() &&
                          // Directories come with a slash at the end.
                          filter->skip.count(WithoutSlash(path)) != 0);
    return skipped ? OSTREE_REPO_CHECKOUT_FILTER_SKIP : OSTREE_REPO_CHECKOUT_FILTER_ALLOW;
  }
};

OstreeRepoCheckoutOverwriteMode CheckedOverwrite(const Options& options) {
  const std::string text = options.OptionalString("overwrite").value_or("none");
  if (text == "none") return OSTREE_REPO_CHECKOUT_OVERWRITE_NONE;
  if (text == "union-files") return OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_FILES;
  if (text == "add-files") return OSTREE_REPO_CHECKOUT_OVERWRITE_ADD_FILES;
  if (text == "union-identical") return OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_IDENTICAL;
  throw InvalidArgumentValue(options.Raw("overwrite").Env(), "overwrite",
                             "is not a way to overwrite");
}

CheckoutOptions CheckedOptions(const Options& options, Napi::Env env) {
  CheckoutOptions checkout;
  const std::string mode = options.OptionalString("mode").value_or("none");
  if (mode == "user") {
    checkout.mode = OSTREE_REPO_CHECKOUT_MODE_USER;
  } else if (mode != "none") {
    throw InvalidArgumentValue(env, "mode", "must be 'none' or 'user'");
  }
  checkout.overwrite = CheckedOverwrite(options);
  checkout.whiteouts = options.Bool("whiteouts", false);
  checkout.passthrough_whiteouts = options.Bool("passthroughWhiteouts", false);
  checkout.hardlinks_only = options.Bool("hardlinksOnly", false);
  checkout.force_copy = options.Bool("forceCopy", false);
  checkout.force_copy_zero_sized = options.Bool("forceCopyZeroSized", false);
  checkout.canonical_directories = options.Bool("canonicalDirectories", false);
  checkout.fsync = options.Bool("fsync", false);
  checkout.cache_uncompressed = options.Bool("uncompressedCache", false);
  checkout.allow_missing = options.Bool("allowMissing", false);
  checkout.selinux_root = options.OptionalPath("selinuxPolicy");
  checkout.selinux_prefix = options.OptionalString("selinuxPrefix").value_or("");
  for (const std::string& path : options.Strings("skip")) checkout.skip.insert(WithoutSlash(path));
  checkout.devino = DevinoCache::Optional(env, options.Raw("devinoCache"));
  // libostree answers these three with FALSE and no error.
  if (checkout.force_copy && checkout.hardlinks_only) {
    throw InvalidArgumentValue(env, "forceCopy", "contradicts 'hardlinksOnly'");
  }
  if (checkout.overwrite == OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_IDENTICAL &&
      !checkout.hardlinks_only) {
    throw InvalidArgumentValue(env, "overwrite", "'union-identical' needs 'hardlinksOnly'");
  }
  if (checkout.selinux_root && !checkout.force_copy) {
    throw InvalidArgumentValue(env, "selinuxPolicy", "needs 'forceCopy'");
  }
  if (!checkout.selinux_prefix.empty() && !checkout.selinux_root) {
    throw InvalidArgumentValue(env, "selinuxPrefix", "needs 'selinuxPolicy'");
  }
  return checkout;
}

std::vector<CheckoutSource> CheckedSources(Napi::Value value) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), "sources", "an instance of Array", value);
  }
  Napi::Array list = value.As<Napi::Array>();
  std::vector<CheckoutSource> sources;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const std::string name = "sources[" + std::to_string(i) + "]";
    const Options source(value.Env(), list.Get(i), name);
    CheckoutSource checked;
    checked.rev = CheckedRev(source.Raw("rev"), name + ".rev");
    if (source.Has("subpath")) {
      checked.subpath = CheckedTreePath(source.Raw("subpath"), name + ".subpath");
    }
    sources.push_back(std::move(checked));
  }
  return sources;
}

// libostree before 2025.6 frees the attributes of a directory twice when it relabels one that has
// a label in the repository.
void RefuseLabelledDirectories(OstreeRepo* repo, const std::string& contents,
                               const std::string& metadata, std::set<std::string>& seen,
                               JobContext& job) {
  if (!seen.insert(contents + metadata).second) return;
  job.ThrowIfCancelled();
  VariantPtr directory = LoadVariant(repo, OSTREE_OBJECT_TYPE_DIR_META, metadata);
  VariantPtr xattrs = VariantPtr::Take(g_variant_get_child_value(directory.get(), 3));
  const gsize count = g_variant_n_children(xattrs.get());
  for (gsize i = 0; i < count; ++i) {
    const char* name = nullptr;
    g_variant_get_child(xattrs.get(), i, "(^&ay@ay)", &name, nullptr);
    if (std::strcmp(name, "security.selinux") != 0) continue;
    throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                      "This libostree (" + OstreeVersion() +
                          ") cannot relabel directories that have a label in the commit");
  }
  ReadDirectory(
      repo, contents, [](const char*, const std::string&) {},
      [&](const char*, const TreeChecksums& child) {
        RefuseLabelledDirectories(repo, child.contents, child.metadata, seen, job);
      });
}

// Whether `path` is in the commit; other failures throw.
bool HasPath(OstreeRepo* repo, const std::string& commit, const TreePath& path,
             GCancellable* cancellable) {
  try {
    EntryReader(repo, cancellable).Find(RootOf(repo, commit), path, nullptr);
    return true;
  } catch (const NativeError& error) {
    if (error.code() == "ENOENT" || error.code() == "ENOTDIR") return false;
    throw;
  }
}

void CheckOut(OstreeRepo* repo, const CheckoutSource& source, const std::string& destination,
              const CheckoutOptions& options, OstreeSePolicy* policy, JobContext& job) {
  const std::string commit = ResolveCommit(repo, source.rev);
  RequireObject(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
  SoundTrees(repo, job.cancellable()).Commit(commit);
  if (options.allow_missing && !HasPath(repo, commit, source.subpath, job.cancellable())) return;
  const std::string subpath = TreePathText(source.subpath);
  OstreeRepoCheckoutAtOptions at = {};
  at.mode = options.mode;
  at.overwrite_mode = options.overwrite;
  at.process_whiteouts = options.whiteouts;
  at.process_passthrough_whiteouts = options.passthrough_whiteouts;
  at.no_copy_fallback = options.hardlinks_only;
  at.force_copy = options.force_copy;
  at.force_copy_zerosized = options.force_copy_zero_sized;
  at.bareuseronly_dirs = options.canonical_directories;
  at.enable_fsync = options.fsync;
  at.enable_uncompressed_cache = options.cache_uncompressed;
  at.subpath = source.subpath.empty() ? nullptr : subpath.c_str();
  Filter filter{options.skip, job.cancellable()};
  at.filter = Filter::Call;
  at.filter_user_data = &filter;
  if (policy != nullptr) {
    if (!ostree_check_version(2025, 6)) {
      const TreeChecksums root = RootOf(repo, commit);
      std::set<std::string> seen;
      RefuseLabelledDirectories(repo, root.contents, root.metadata, seen, job);
    }
    at.sepolicy = policy;
    at.sepolicy_prefix = options.selinux_prefix.empty() ? nullptr : options.selinux_prefix.c_str();
  }
  if (options.devino) at.devino_to_csum_cache = options.devino->cache.get();
  const auto check_out = [&](int parent, const std::string& place) {
    GError* error = nullptr;
    if (ostree_repo_checkout_at(repo, &at, parent, place.c_str(), commit.c_str(), job.cancellable(),
                                &error)) {
      return;
    }
    job.ThrowIfCancelled();
    throw FromGError(error, "Checking out").Detail("path", destination).Detail("ref", source.rev);
  };
  const auto copy = [&](int directory, const std::string& path) {
    at.subpath = path.c_str();
    check_out(directory, ".");
  };
  if (!options.MayLink() || !source.subpath.empty() ||
      !CheckOutLinks(repo, commit, destination, copy, job.cancellable())) {
    check_out(AT_FDCWD, destination);
  }
  job.ThrowIfCancelled();
}

}  // namespace

Napi::Value Repo::Checkout(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::vector<CheckoutSource> sources = CheckedSources(info[0]);
  std::string destination = arguments.Path(1, "destination");
  CheckoutOptions options = CheckedOptions(arguments.Object(2, "options"), info.Env());
  return StartWaiting(
      info, [state = state(), sources = std::move(sources), destination = std::move(destination),
             options = std::move(options)](JobContext& job) {
        auto repo = state->Use();
        std::shared_ptr<SePolicyState> policy;
        if (options.selinux_root) {
          policy = SePolicyState::OfDirectory(*options.selinux_root, job.cancellable());
        }
        std::unique_lock<std::mutex> devino_lock;
        if (options.devino) devino_lock = std::unique_lock<std::mutex>(options.devino->mutex);
        for (const CheckoutSource& source : sources) {
          CheckOut(repo.get(), source, destination, options, policy ? policy->get() : nullptr, job);
        }
        return Undefined();
      });
}

Napi::Value Repo::CheckoutComposefs(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  std::string destination = Arguments(info).Path(1, "destination");
  const std::string verity = Arguments(info).String(2, "verity");
  guint32 level = 0;
  if (verity == "available") {
    level = 1;
  } else if (verity == "required") {
    level = 2;
  } else if (verity != "none") {
    throw InvalidArgumentValue(info.Env(), "verity", "must be 'none', 'available' or 'required'");
  }
  return StartWaiting(info, [state = state(), rev = std::move(rev),
                             destination = std::move(destination), level](JobContext& job) {
    auto repo = state->Use();
    using Call = gboolean (*)(OstreeRepo*, GVariant*, int, const char*, const char*, GCancellable*,
                              GError**);
    const Call checkout = RequireOstree<Call>("ostree_repo_checkout_composefs");
    const std::string commit = ResolveCommit(repo.get(), rev);
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, commit);
    SoundTrees(repo.get(), job.cancellable()).Commit(commit);
    GVariantDict options;
    g_variant_dict_init(&options, nullptr);
    g_variant_dict_insert(&options, "verity", "u", level);
    const VariantPtr given = VariantPtr::Sink(g_variant_dict_end(&options));
    GError* error = nullptr;
    if (!checkout(repo.get(), given.get(), AT_FDCWD, destination.c_str(), commit.c_str(),
                  job.cancellable(), &error)) {
      throw FromGError(error, "Writing the image").Detail("path", destination).Detail("ref", rev);
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
