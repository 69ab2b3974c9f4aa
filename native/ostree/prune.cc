// Repo: pruning. What is kept is found here and commits are removed by libostree, with their
// tombstones, static deltas and cached summaries; the other objects are removed here, because
// libostree's own loop tells of no progress and its dry run removes static deltas all the same.
// Commits go first: an interrupted prune leaves objects without a commit, never the reverse.
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/reachable.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/repo_config.h"

namespace apt_ostree {

namespace {

struct PruneRequest {
  bool dry_run = false;
  bool refs_only = false;
  bool commit_only = false;
  int depth = -1;
  std::optional<uint64_t> keep_younger_than;
  std::map<std::string, int> retain_branch_depth;
  std::vector<std::string> only_branches;
  std::optional<std::string> delete_commit;
  bool static_deltas_only = false;
  // Lines "CHECKSUM.TYPE": exactly these are kept.
  // Names of objects, one a line.
  std::optional<std::vector<SharedBytes>> keep;

  // Whether refs are looked at one by one.
  bool by_branch() const {
    return keep_younger_than || !retain_branch_depth.empty() || !only_branches.empty();
  }
};

struct PruneStats {
  double objects = 0, pruned = 0, bytes = 0;
};

std::vector<SharedBytes> CheckedKeep(Napi::Value value, Napi::Env env) {
  if (!value.IsArray()) throw InvalidArgumentType(env, "keep", "an instance of Array", value);
  const auto array = value.As<Napi::Array>();
  std::vector<SharedBytes> pieces;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    pieces.push_back(CheckedBytes(array.Get(i), "keep"));
  }
  return pieces;
}

PruneRequest CheckedRequest(const Options& options, Napi::Env env) {
  PruneRequest request;
  request.dry_run = options.Bool("dryRun", false);
  request.refs_only = options.Bool("refsOnly", false);
  request.commit_only = options.Bool("commitOnly", false);
  request.depth = static_cast<int>(options.Integer("depth", -1, -1, INT32_MAX));
  if (options.Has("keepYoungerThan")) {
    request.keep_younger_than =
        static_cast<uint64_t>(options.Integer("keepYoungerThan", 0, 0, int64_t{1} << 52));
  }
  if (options.Has("retainBranchDepth")) {
    Napi::Value value = options.Raw("retainBranchDepth");
    if (!value.IsObject()) {
      throw InvalidArgumentType(env, "retainBranchDepth", "of type object", value);
    }
    Napi::Object object = value.As<Napi::Object>();
    Napi::Array names = object.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      CheckedRefspec(names.Get(i), "retainBranchDepth");
      const std::string name = CheckedString(names.Get(i), "retainBranchDepth");
      request.retain_branch_depth[name] = static_cast<int>(
          CheckedInteger(object.Get(name), "retainBranchDepth." + name, -1, INT32_MAX));
    }
  }
  if (options.Has("onlyBranches")) {
    request.only_branches = options.Strings("onlyBranches");
    for (const std::string& name : request.only_branches) {
      CheckedRefspec(Napi::String::New(env, name), "onlyBranches");
    }
  }
  request.delete_commit = CheckedOptionalChecksum(options.Raw("deleteCommit"), "deleteCommit");
  request.static_deltas_only = options.Bool("staticDeltasOnly", false);
  if (request.static_deltas_only && !request.delete_commit) {
    throw InvalidArgumentValue(env, "staticDeltasOnly", "needs deleteCommit");
  }
  if (request.delete_commit && request.dry_run) {
    throw InvalidArgumentValue(env, "deleteCommit", "excludes dryRun");
  }
  if (options.Has("keep")) request.keep = CheckedKeep(options.Raw("keep"), env);
  return request;
}

class Pruner {
 public:
  Pruner(RepoState& state, OstreeRepo* repo, const PruneRequest& request, JobContext& job)
      : state_(state), repo_(repo), request_(request), job_(job) {}

  PruneStats Run() {
    if (request_.delete_commit) DeleteCommit(*request_.delete_commit);
    stored_ = StoredObjects(repo_, request_.commit_only, job_.cancellable());
    Reachable keep(repo_, job_, request_.commit_only);
    Gather(keep);
    if (!request_.dry_run) PruneCommits(keep);
    if (!request_.commit_only || request_.dry_run) Sweep(keep);
    return stats_;
  }

 private:
  void DeleteCommit(const std::string& commit) {
    GError* error = nullptr;
    if (request_.static_deltas_only) {
      if (!ostree_repo_prune_static_deltas(repo_, commit.c_str(), job_.cancellable(), &error)) {
        throw FromGError(error, "Removing static deltas").Detail("ref", commit);
      }
      return;
    }
    for (const RefCommit& ref : ListRefCommits(repo_, true, job_.cancellable())) {
      if (ref.checksum != commit) continue;
      throw NativeError("ERR_INVALID_STATE", "The ref " + ref.ref + " names the commit " + commit)
          .Detail("ref", ref.ref);
    }
    RequireObject(repo_, OSTREE_OBJECT_TYPE_COMMIT, commit);
    EnableTombstones(state_, repo_, job_.cancellable());
    if (!ostree_repo_delete_object(repo_, OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(),
                                   job_.cancellable(), &error)) {
      throw FromGError(error, "Removing a commit").Detail("ref", commit);
    }
  }

  void Gather(Reachable& keep) {
    if (request_.keep) {
      GatherNamed(keep);
    } else if (request_.by_branch()) {
      GatherBranches(keep);
    } else if (request_.refs_only) {
      keep.AddRefs(request_.depth);
    } else {
      keep.AddCommitsOf(stored_.get(), request_.depth);
    }
  }

  void GatherNamed(Reachable& keep) {
    for (const SharedBytes& bytes : *request_.keep) {
      job_.ThrowIfCancelled();
      gsize size = 0;
      const auto* data = static_cast<const char*>(g_bytes_get_data(bytes.get(), &size));
      const std::string_view text(data == nullptr ? "" : data, size);
      for (size_t start = 0; start < text.size();) {
        const size_t end = std::min(text.find('\n', start), text.size());
        keep.Add(ParseName(std::string(text.substr(start, end - start))));
        start = end + 1;
      }
    }
  }

  static ObjectName ParseName(const std::string& text) {
    if (text.size() > 65 && text[64] == '.' && IsChecksum(text.substr(0, 64))) {
      const std::string type = text.substr(65);
      for (const OstreeObjectType known :
           {OSTREE_OBJECT_TYPE_FILE, OSTREE_OBJECT_TYPE_DIR_TREE, OSTREE_OBJECT_TYPE_DIR_META,
            OSTREE_OBJECT_TYPE_COMMIT, OSTREE_OBJECT_TYPE_PAYLOAD_LINK}) {
        if (type == ostree_object_type_to_string(known)) return {text.substr(0, 64), known};
      }
    }
    throw NativeError("ERR_INVALID_ARG_VALUE", "Not the name of an object: " + text);
  }

  void GatherBranches(Reachable& keep) {
    std::map<std::string, int> depths = request_.retain_branch_depth;
    const std::vector<RefCommit> refs = ListRefCommits(repo_, false, job_.cancellable());
    if (!request_.only_branches.empty()) {
      for (const std::string& name : request_.only_branches) ResolveCommit(repo_, name);
      const std::set<std::string> only(request_.only_branches.begin(),
                                       request_.only_branches.end());
      for (const RefCommit& ref : refs) {
        if (only.count(ref.ref) == 0) depths.emplace(ref.ref, -1);
      }
    }
    for (const RefCommit& ref : refs) {
      const auto found = depths.find(ref.ref);
      if (found != depths.end()) {
        keep.AddCommit(ref.checksum, found->second);
      } else if (request_.keep_younger_than) {
        keep.AddYounger(ref.checksum, *request_.keep_younger_than);
      } else {
        keep.AddCommit(ref.checksum, request_.depth);
      }
    }
  }

  // Also removes the static deltas of commits that are gone and cached summaries of remotes that
  // are.
  void PruneCommits(Reachable& keep) {
    // Those of the parent repository, which libostree would look for in this one.
    if (ostree_repo_get_parent(repo_) != nullptr) {
      GHashTablePtr commits = StoredObjects(repo_, true, job_.cancellable());
      GHashTableIter iter;
      gpointer key;
      g_hash_table_iter_init(&iter, commits.get());
      while (g_hash_table_iter_next(&iter, &key, nullptr)) {
        if (!g_hash_table_contains(stored_.get(), key)) {
          keep.Add(NameOf(static_cast<GVariant*>(key)));
          ++foreign_;
        }
      }
    }
    OstreeRepoPruneOptions options = {};
    options.flags = OSTREE_REPO_PRUNE_FLAGS_COMMIT_ONLY;
    options.reachable = keep.get();
    gint total = 0, pruned = 0;
    guint64 bytes = 0;
    GError* error = nullptr;
    if (!ostree_repo_prune_from_reachable(repo_, &options, &total, &pruned, &bytes,
                                          job_.cancellable(), &error)) {
      throw FromGError(error, "Pruning").Detail("path", state_.path());
    }
    stats_ = {static_cast<double>(total) - foreign_, static_cast<double>(pruned),
              static_cast<double>(bytes)};
  }

  void Sweep(const Reachable& keep) {
    const double total = g_hash_table_size(stored_.get());
    double done = 0;
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, stored_.get());
    while (g_hash_table_iter_next(&iter, &key, nullptr)) {
      auto* variant = static_cast<GVariant*>(key);
      job_.ThrowIfCancelled();
      ++done;
      const ObjectName name = NameOf(variant);
      // libostree has counted and removed the commits.
      if (name.type == OSTREE_OBJECT_TYPE_COMMIT && !request_.dry_run) continue;
      ++stats_.objects;
      if (!keep.Contains(variant) && !IsNeededLink(name, keep)) Remove(name);
      job_.Report([done, total](Napi::Env env) -> Napi::Value {
        Napi::Object event = Napi::Object::New(env);
        event.Set("phase", "objects");
        event.Set("done", done);
        event.Set("total", total);
        return event;
      });
    }
  }

  void Remove(const ObjectName& name) {
    guint64 size = 0;
    GError* error = nullptr;
    if (!ostree_repo_query_object_storage_size(repo_, name.type, name.checksum.c_str(), &size,
                                               job_.cancellable(), &error)) {
      throw FromGError(error, "Looking at an object").Detail("path", state_.path());
    }
    if (!request_.dry_run && !ostree_repo_delete_object(repo_, name.type, name.checksum.c_str(),
                                                        job_.cancellable(), &error)) {
      throw FromGError(error, "Removing an object").Detail("path", state_.path());
    }
    ++stats_.pruned;
    stats_.bytes += static_cast<double>(size);
  }

  // A payload link stays as long as its file does, if that is large enough to deserve one: a
  // symbolic link `../XX/REST.file`.
  bool IsNeededLink(const ObjectName& name, const Reachable& keep) {
    if (name.type != OSTREE_OBJECT_TYPE_PAYLOAD_LINK) return false;
    const std::string path =
        "objects/" + name.checksum.substr(0, 2) + "/" + name.checksum.substr(2) + ".payload-link";
    char target[256];
    const ssize_t length =
        readlinkat(ostree_repo_get_dfd(repo_), path.c_str(), target, sizeof target);
    constexpr size_t kPrefix = 3, kChecksum = 64;
    if (length < static_cast<ssize_t>(kPrefix + kChecksum + 1)) return false;
    const std::string text(target, static_cast<size_t>(length));
    const ObjectName file = {text.substr(kPrefix, 2) + text.substr(kPrefix + 3, kChecksum - 2),
                             OSTREE_OBJECT_TYPE_FILE};
    if (!IsChecksum(file.checksum) || !keep.Contains(file)) return false;
    guint64 size = 0;
    return ostree_repo_query_object_storage_size(repo_, file.type, file.checksum.c_str(), &size,
                                                 job_.cancellable(), nullptr) != FALSE &&
           size >= LinkThreshold();
  }

  uint64_t LinkThreshold() {
    if (!link_threshold_) {
      GKeyFilePtr config(ostree_repo_copy_config(repo_));
      GStringPtr text(
          g_key_file_get_value(config.get(), "core", "payload-link-threshold", nullptr));
      link_threshold_ = text ? g_ascii_strtoull(text.get(), nullptr, 10) : UINT64_MAX;
    }
    return *link_threshold_;
  }

  RepoState& state_;
  OstreeRepo* repo_;
  const PruneRequest& request_;
  JobContext& job_;
  GHashTablePtr stored_;
  PruneStats stats_;
  size_t foreign_ = 0;
  std::optional<uint64_t> link_threshold_;
};

}  // namespace

Napi::Value Repo::Prune(const Napi::CallbackInfo& info) {
  PruneRequest request = CheckedRequest(Options(info.Env(), info[0], "options"), info.Env());
  return StartAlone(
      info,
      [state = state(), request = std::move(request)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        // It would remove what the transaction counts on.
        state->RequireNoTransaction();
        state->locks().Require(!request.dry_run);
        const PruneStats stats = Pruner(*state, repo.get(), request, job).Run();
        return [stats](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("objects", stats.objects);
          object.Set("pruned", stats.pruned);
          object.Set("bytes", stats.bytes);
          return object;
        };
      },
      info[1]);
}

}  // namespace apt_ostree
