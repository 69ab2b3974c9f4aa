// Repo: pulling from remotes and from other repositories of this machine.
#include <optional>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/gpg.h"
#include "ostree/local_import.h"
#include "ostree/names.h"
#include "ostree/network.h"
#include "ostree/progress.h"
#include "ostree/pull_options.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

GObjectPtr<OstreeRepo> OpenSource(const std::string& path, GCancellable* cancellable) {
  auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
  auto source = GObjectPtr<OstreeRepo>::Take(ostree_repo_new(file.get()));
  GError* error = nullptr;
  if (!ostree_repo_open(source.get(), cancellable, &error)) {
    throw FromGError(error, "Reading the source repository").Detail("path", path);
  }
  RequireSoundConfig(ostree_repo_get_config(source.get()), path);
  return source;
}

// The refs a repository has itself, without those of its remotes.
std::vector<std::string> OwnRefs(OstreeRepo* source, const std::string& path,
                                 GCancellable* cancellable) {
  GError* error = nullptr;
  GHashTablePtr table;
  if (!ostree_repo_list_refs_ext(source, nullptr, Out(table),
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

// Tells the job's listener of each commit whose GPG signatures a pull looked at.
class Verifications {
 public:
  Verifications(OstreeRepo* repo, JobContext& job)
      : repo_(repo),
        job_(job),
        handler_(g_signal_connect(repo, "gpg-verify-result", G_CALLBACK(OnResult), this)) {}
  ~Verifications() { g_signal_handler_disconnect(repo_, handler_); }
  Verifications(const Verifications&) = delete;
  Verifications& operator=(const Verifications&) = delete;

 private:
  static void OnResult(OstreeRepo*, const char* checksum, OstreeGpgVerifyResult* result,
                       Verifications* self) {
    self->job_.Emit([commit = std::string(checksum),
                     signatures = ReadGpgResult(result)](Napi::Env env) -> Napi::Value {
      Napi::Object event = Napi::Object::New(env);
      event.Set("commit", commit);
      event.Set("signatures", GpgSignaturesToJs(env, signatures));
      return event;
    });
  }

  OstreeRepo* repo_;
  JobContext& job_;
  const gulong handler_;
};

// `detail` and `value` word the error. Gives the last state of the progress. In a transaction,
// which is the caller's then, libostree is told to use that.
ProgressSnapshot RunPull(OstreeRepo* repo, const std::string& remote, const PullOptions& options,
                         JobContext& job, const char* detail, const std::string& value) {
  for (const std::string& cache : options.CacheRepos()) RequireRepository(cache);
  const VariantPtr dict = options.Build();
  ScopedContext context;
  const CancelGuard guard(job.cancellable());
  Progress progress(job);
  const Verifications verifications(repo, job);
  GError* error = nullptr;
  const bool pulled =
      ostree_repo_pull_with_options(repo, remote.c_str(), dict.get(), progress.get(),
                                    job.cancellable(), &error) != FALSE;
  ProgressSnapshot last = progress.Finish();
  if (pulled) return last;
  // What the shut sockets made of it is no news.
  if (job.cancelled()) {
    g_clear_error(&error);
    throw Aborted();
  }
  throw FromGError(error, "Pulling").Detail(detail, value);
}

void AbortTransaction(OstreeRepo* repo) {
  GError* ignored = nullptr;
  ostree_repo_abort_transaction(repo, nullptr, &ignored);
  g_clear_error(&ignored);
}

// In the transaction that the repository object has, or in one of its own.
ProgressSnapshot PullFrom(RepoState& state, const std::string& remote, const PullOptions& options,
                          JobContext& job, const char* detail, const std::string& value) {
  auto repo = state.Use();
  if (options.inherit_transaction) {
    const TransactionShare transaction = state.RequireTransaction();
    return RunPull(repo.get(), remote, options, job, detail, value);
  }
  state.RequireNoTransaction();
  try {
    return RunPull(repo.get(), remote, options, job, detail, value);
  } catch (...) {
    AbortTransaction(repo.get());
    throw;
  }
}

// Whether a pull with these options takes the whole content of the newest commits of some refs.
bool TakesWholeCommits(const PullOptions& options) {
  constexpr int kPart =
      OSTREE_REPO_PULL_FLAGS_COMMIT_ONLY | OSTREE_REPO_PULL_FLAGS_BAREUSERONLY_FILES;
  if (options.inherit_transaction || (options.flags & kPart) != 0) return false;
  for (const char* key : {"subdirs", "override-commit-ids", "collection-refs", "dry-run",
                          "require-static-deltas", "localcache-repos", "per-object-fsync"}) {
    if (options.Has(key)) return false;
  }
  return true;
}

// Without the refs that the source lacks: the pull words that error.
std::vector<std::string> CommitsOf(OstreeRepo* source, const std::vector<std::string>& refs) {
  std::vector<std::string> commits;
  for (const std::string& ref : refs) {
    GStringPtr commit;
    // Filled at the end of the statement, not before.
    const bool resolved =
        ostree_repo_resolve_rev(source, ref.c_str(), TRUE, Out(commit), nullptr) != FALSE;
    if (resolved && commit) commits.emplace_back(commit.get());
  }
  return commits;
}

// libostree counts what it imported itself.
void CountImported(ProgressSnapshot* last, size_t imported, guint64 written) {
  const std::string none = " 0 content objects imported";
  const size_t at = last->status.find(none);
  if (at != std::string::npos) {
    last->status.replace(at, none.size(),
                         " " + std::to_string(imported) + " content objects imported");
  }
  const GStringPtr size(g_format_size(written));
  last->status += std::string("; ") + size.get() + " content written";
}

// All content first, on several threads, then the pull, in one transaction.
ProgressSnapshot PullAhead(RepoState& state, OstreeRepo* source, const std::string& url,
                           PullOptions options, JobContext& job, const std::string& path) {
  auto repo = state.Use();
  state.RequireNoTransaction();
  GError* error = nullptr;
  if (!ostree_repo_prepare_transaction(repo.get(), nullptr, job.cancellable(), &error)) {
    throw FromGError(error, "Beginning a transaction").Detail("path", path);
  }
  try {
    const bool trusted = (options.flags & OSTREE_REPO_PULL_FLAGS_UNTRUSTED) == 0;
    const size_t imported =
        ImportContent(repo.get(), source, CommitsOf(source, options.Refs()), trusted, job);
    options.Add("inherit-transaction", VariantPtr::Sink(g_variant_new_boolean(TRUE)));
    ProgressSnapshot last = RunPull(repo.get(), url, options, job, "path", path);
    OstreeRepoTransactionStats stats = {};
    if (!ostree_repo_commit_transaction(repo.get(), &stats, job.cancellable(), &error)) {
      throw FromGError(error, "Ending a transaction").Detail("path", path);
    }
    CountImported(&last, imported, stats.content_bytes_written);
    return last;
  } catch (...) {
    AbortTransaction(repo.get());
    throw;
  }
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
    return SnapshotToJs(PullFrom(*state, remote, options, job, "remote", remote));
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
    const GObjectPtr<OstreeRepo> source = OpenSource(path, job.cancellable());
    if (!options.has_refs) {
      options.Add("refs", StringsVariant(OwnRefs(source.get(), path, job.cancellable())));
    }
    SoundTrees sound(source.get(), job.cancellable());
    for (const std::string& commit : CommitsOf(source.get(), options.Refs())) {
      sound.History(commit, options.Depth());
    }
    GError* error = nullptr;
    // libostree decodes the path of the URL.
    GStringPtr url(g_filename_to_uri(path.c_str(), nullptr, &error));
    if (!url) throw FromGError(error, "Making a URL").Detail("path", path);
    if (!TakesWholeCommits(options)) {
      return SnapshotToJs(PullFrom(*state, url.get(), options, job, "path", path));
    }
    return SnapshotToJs(PullAhead(*state, source.get(), url.get(), options, job, path));
  };
  return StartAlone(info, std::move(work), info[2]);
}

}  // namespace apt_ostree
