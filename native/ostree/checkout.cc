// Repo: checkout.
#include <fcntl.h>

#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/devino_cache.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

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
  TreePath subpath;
  std::shared_ptr<DevinoCacheState> devino;
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
  if (options.Has("subpath")) checkout.subpath = CheckedTreePath(options.Raw("subpath"), "subpath");
  checkout.devino = DevinoCache::Optional(env, options.Raw("devinoCache"));
  // libostree answers these two with FALSE and no error.
  if (checkout.force_copy && checkout.hardlinks_only) {
    throw InvalidArgumentValue(env, "forceCopy", "contradicts 'hardlinksOnly'");
  }
  if (checkout.overwrite == OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_IDENTICAL &&
      !checkout.hardlinks_only) {
    throw InvalidArgumentValue(env, "overwrite", "'union-identical' needs 'hardlinksOnly'");
  }
  return checkout;
}

}  // namespace

Napi::Value Repo::Checkout(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(info[0], "rev");
  std::string destination = arguments.Path(1, "destination");
  CheckoutOptions options = CheckedOptions(arguments.Object(2, "options"), info.Env());
  return Start(info, [state = state(), rev = std::move(rev), destination = std::move(destination),
                      options = std::move(options)](JobContext& job) {
    auto repo = state->Use();
    const std::string commit = ResolveCommit(repo.get(), rev);
    RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, commit);
    const std::string subpath = TreePathText(options.subpath);
    OstreeRepoCheckoutAtOptions at = {};
    at.mode = options.mode;
    at.overwrite_mode = options.overwrite;
    at.process_whiteouts = options.whiteouts;
    at.process_passthrough_whiteouts = options.passthrough_whiteouts;
    at.no_copy_fallback = options.hardlinks_only;
    at.force_copy = options.force_copy;
    at.force_copy_zerosized = options.force_copy_zero_sized;
    at.bareuseronly_dirs = options.canonical_directories;
    at.subpath = options.subpath.empty() ? nullptr : subpath.c_str();
    std::unique_lock<std::mutex> devino_lock;
    if (options.devino) {
      devino_lock = std::unique_lock<std::mutex>(options.devino->mutex);
      at.devino_to_csum_cache = options.devino->cache.get();
    }
    GError* error = nullptr;
    if (!ostree_repo_checkout_at(repo.get(), &at, AT_FDCWD, destination.c_str(), commit.c_str(),
                                 job.cancellable(), &error)) {
      throw FromGError(error, "Checking out").Detail("path", destination).Detail("ref", rev);
    }
    return Undefined();
  });
}

}  // namespace apt_ostree
