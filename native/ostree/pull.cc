// Repo: pulling from remotes and from other repositories of this machine.
#include <optional>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/progress.h"
#include "ostree/pull_options.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

// The refs a repository has itself, without those of its remotes.
std::vector<std::string> OwnRefs(const std::string& path, GCancellable* cancellable) {
  auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
  auto source = GObjectPtr<OstreeRepo>::Take(ostree_repo_new(file.get()));
  GError* error = nullptr;
  GHashTablePtr table;
  if (!ostree_repo_open(source.get(), cancellable, &error) ||
      !ostree_repo_list_refs_ext(source.get(), nullptr, Out(table),
                                 OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_REMOTES, cancellable, &error)) {
    throw FromGError(error, "Reading the source repository").Detail("path", path);
  }
  std::vector<std::string> refs;
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, table.get());
  while (g_hash_table_iter_next(&iter, &key, nullptr)) {
    refs.emplace_back(static_cast<const char*>(key));
  }
  return refs;
}

// `what` and `detail` word the error. Gives the last state of the progress.
ProgressSnapshot RunPull(RepoState& state, const std::string& remote, const PullOptions& options,
                         JobContext& job, const char* detail, const std::string& value) {
  auto repo = state.Use();
  std::optional<TransactionShare> transaction;
  if (options.inherit_transaction) {
    transaction.emplace(state.RequireTransaction());
  } else {
    state.RequireNoTransaction();
  }
  const VariantPtr dict = options.Build();
  ScopedContext context;
  const CancelGuard guard(job.cancellable());
  Progress progress(job);
  GError* error = nullptr;
  const bool pulled =
      ostree_repo_pull_with_options(repo.get(), remote.c_str(), dict.get(), progress.get(),
                                    job.cancellable(), &error) != FALSE;
  ProgressSnapshot last = progress.Finish();
  if (pulled) return last;
  if (!options.inherit_transaction) {
    GError* ignored = nullptr;
    ostree_repo_abort_transaction(repo.get(), nullptr, &ignored);
    g_clear_error(&ignored);
  }
  // What the shut sockets made of it is no news.
  if (job.cancelled()) {
    g_clear_error(&error);
    throw Aborted();
  }
  throw FromGError(error, "Pulling").Detail(detail, value);
}

ToJs SnapshotToJs(ProgressSnapshot snapshot) {
  return [snapshot = std::move(snapshot)](Napi::Env env) { return snapshot.ToJs(env); };
}

}  // namespace

Napi::Value Repo::Pull(const Napi::CallbackInfo& info) {
  std::string remote = CheckedRemoteName(info[0], "remote");
  PullOptions options = CheckedPullOptions(info[1], "options");
  Work work = [state = state(), remote = std::move(remote),
               options = std::move(options)](JobContext& job) -> ToJs {
    return SnapshotToJs(RunPull(*state, remote, options, job, "remote", remote));
  };
  return StartAlone(info, std::move(work), info[2]);
}

Napi::Value Repo::PullLocal(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  PullOptions options = CheckedPullOptions(info[1], "options");
  // As `ostree pull-local`: the source is a directory that the caller chose, not a server.
  for (const char* key : {"disable-sign-verify", "disable-sign-verify-summary"}) {
    if (!options.Has(key)) options.Add(key, VariantPtr::Sink(g_variant_new_boolean(TRUE)));
  }
  Work work = [state = state(), path = std::move(path),
               options = std::move(options)](JobContext& job) mutable -> ToJs {
    state->Use();
    RequireRepository(path);
    if (!options.has_refs) {
      options.Add("refs", StringsVariant(OwnRefs(path, job.cancellable())));
      options.has_refs = true;
    }
    GError* error = nullptr;
    // libostree decodes the path of the URL.
    GStringPtr url(g_filename_to_uri(path.c_str(), nullptr, &error));
    if (!url) throw FromGError(error, "Making a URL").Detail("path", path);
    return SnapshotToJs(RunPull(*state, url.get(), options, job, "path", path));
  };
  return StartAlone(info, std::move(work), info[2]);
}

}  // namespace apt_ostree
