// Repo: checking a repository, as `ostree fsck` does, with damage as data.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/fsck_objects.h"
#include "ostree/names.h"
#include "ostree/reachable.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/repo_config.h"

namespace apt_ostree {

namespace {

// More than these are only counted: they become objects on the JavaScript thread.
constexpr size_t kMostErrors = 1000;

struct FsckRequest {
  bool unreachable = false;
  bool all = true;
  bool remove = false;
  bool add_tombstones = false;
  bool verify_bindings = false;
  bool verify_back_refs = false;

  bool changes() const { return remove || add_tombstones; }
};

struct Fault {
  // "missing", "corrupt", "binding", "back-ref"
  std::string kind;
  std::string message;
  std::string object;
  std::string ref;
  std::vector<std::string> commits;
  bool deleted = false;
  // That the ref belongs to.
  std::string collection = "";
};

struct FsckReport {
  std::vector<Fault> faults;
  size_t fault_count = 0;
  size_t objects = 0;
  size_t commits = 0;
  // Commit, and whether a check made it partial.
  std::map<std::string, bool> partial;
  std::vector<std::string> marked;
  std::vector<std::string> tombstones;
};

std::vector<std::string> BoundRefs(GVariant* metadata) {
  std::vector<std::string> refs;
  VariantPtr list = VariantPtr::Take(
      g_variant_lookup_value(metadata, OSTREE_COMMIT_META_KEY_REF_BINDING, G_VARIANT_TYPE("as")));
  if (!list) return refs;
  const gsize count = g_variant_n_children(list.get());
  for (gsize i = 0; i < count; ++i) {
    const VariantPtr ref = VariantPtr::Take(g_variant_get_child_value(list.get(), i));
    refs.emplace_back(g_variant_get_string(ref.get(), nullptr));
  }
  return refs;
}

class Fsck {
 public:
  Fsck(RepoState& state, OstreeRepo* repo, const FsckRequest& request, JobContext& job)
      : state_(state), repo_(repo), request_(request), job_(job) {}

  FsckReport Run() {
    CheckRefs();
    if (!stop_) CheckCommits();
    // The command ends at a ref or binding that is wrong, before it has looked at objects: all of
    // them are told about here, but no more is changed than it would.
    if (!refs_wrong_) DeleteCommits();
    if (!stop_) CheckContents();
    if (!stop_ && request_.add_tombstones && !refs_wrong_) AddTombstones();
    return std::move(report_);
  }

 private:
  void Add(Fault fault) {
    ++report_.fault_count;
    if (!request_.all && fault.kind != "missing") stop_ = true;
    if (!fault.ref.empty()) refs_wrong_ = true;
    if (report_.faults.size() < kMostErrors) report_.faults.push_back(std::move(fault));
  }

  void CheckRefs() {
    for (const RefCommit& ref : ListRefCommits(repo_, true, job_.cancellable())) {
      job_.ThrowIfCancelled();
      if (stop_) return;
      const std::string label =
          ref.collection.empty() ? ref.ref : "(" + ref.collection + ", " + ref.ref + ")";
      if (!IsChecksum(ref.checksum)) {
        Add({"corrupt",
             "The ref " + label + " holds no checksum",
             "",
             ref.ref,
             {},
             false,
             ref.collection});
        continue;
      }
      if (!CheckCommit(ref.checksum, "The ref " + label + " names a commit that is ", ref.ref,
                       ref.collection)) {
        continue;
      }
      if (request_.verify_bindings) CheckBinding(ref, label);
    }
  }

  // Whether the commit object is there and whole.
  bool CheckCommit(const std::string& checksum, const std::string& prefix,
                   const std::string& ref = "", const std::string& collection = "") {
    if (good_commits_.count(checksum) > 0) return true;
    const ObjectName name = {checksum, OSTREE_OBJECT_TYPE_COMMIT};
    try {
      CheckObject(repo_, name, job_.cancellable());
      good_commits_.insert(checksum);
      return true;
    } catch (const NativeError& error) {
      job_.ThrowIfCancelled();
      const bool missing = error.code() == "ENOENT";
      Fault fault = {missing ? "missing" : "corrupt",
                     prefix + (missing ? "missing" : "damaged: " + error.message()),
                     name.text(),
                     ref,
                     {},
                     false,
                     collection};
      if (!missing) {
        bad_commits_.insert(checksum);
        if (ref.empty()) {
          damaged_.emplace_back(report_.faults.size(), name);
        } else {
          fault.deleted = request_.remove && Delete(name);
        }
      }
      Add(std::move(fault));
      return false;
    }
  }

  void DeleteCommits() {
    if (!request_.remove) return;
    for (const auto& [index, name] : damaged_) {
      const bool deleted = Delete(name);
      if (index < report_.faults.size()) report_.faults[index].deleted = deleted;
    }
  }

  bool Delete(const ObjectName& name) {
    return ostree_repo_delete_object(repo_, name.type, name.checksum.c_str(), job_.cancellable(),
                                     nullptr) != FALSE;
  }

  // An absent binding will do for a plain ref: it is an old commit.
  void CheckBinding(const RefCommit& ref, const std::string& label) {
    const VariantPtr commit = LoadVariant(repo_, OSTREE_OBJECT_TYPE_COMMIT, ref.checksum);
    const VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
    const auto fail = [&](const std::string& why) {
      Add({"binding",
           "The commit of the ref " + label + " " + why,
           ObjectName{ref.checksum, OSTREE_OBJECT_TYPE_COMMIT}.text(),
           ref.ref,
           {},
           false,
           ref.collection});
    };
    const VariantPtr list = VariantPtr::Take(g_variant_lookup_value(
        metadata.get(), OSTREE_COMMIT_META_KEY_REF_BINDING, G_VARIANT_TYPE("as")));
    if (!list) {
      if (!ref.collection.empty()) fail("is not bound to any ref");
      return;
    }
    // Bindings are without the remote.
    GStringPtr remote, name;
    const bool parsed =
        ostree_parse_refspec(ref.ref.c_str(), Out(remote), Out(name), nullptr) != FALSE;
    const std::vector<std::string> bound = BoundRefs(metadata.get());
    if (std::find(bound.begin(), bound.end(), parsed ? name.get() : ref.ref) == bound.end()) {
      fail("is bound to other refs");
      return;
    }
    if (ref.collection.empty()) return;
    const char* collection = nullptr;
    if (!g_variant_lookup(metadata.get(), OSTREE_COMMIT_META_KEY_COLLECTION_BINDING, "&s",
                          &collection)) {
      fail("is not bound to a collection");
    } else if (ref.collection != collection) {
      fail("is bound to another collection");
    }
  }

  void CheckCommits() {
    const GHashTablePtr commits = StoredObjects(repo_, true, job_.cancellable());
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, commits.get());
    while (!stop_ && g_hash_table_iter_next(&iter, &key, nullptr)) {
      job_.ThrowIfCancelled();
      const std::string checksum = NameOf(static_cast<GVariant*>(key)).checksum;
      if (bad_commits_.count(checksum) > 0) continue;
      if (!CheckCommit(checksum, "The commit " + checksum + " is ")) continue;
      VariantPtr commit;
      OstreeRepoCommitState commit_state = OSTREE_REPO_COMMIT_STATE_NORMAL;
      GError* error = nullptr;
      if (!ostree_repo_load_commit(repo_, checksum.c_str(), commit.out(), &commit_state, &error)) {
        throw FromGError(error, "Reading a commit").Detail("ref", checksum);
      }
      if (request_.verify_back_refs) CheckBackRefs(checksum, commit.get());
      if (request_.add_tombstones) {
        GStringPtr parent(ostree_commit_get_parent(commit.get()));
        if (parent && !HasStoredObject(repo_, OSTREE_OBJECT_TYPE_COMMIT, parent.get())) {
          orphans_.push_back(checksum);
        }
      }
      if ((commit_state & OSTREE_REPO_COMMIT_STATE_PARTIAL) != 0) {
        report_.partial[checksum] = (commit_state & OSTREE_REPO_COMMIT_STATE_FSCK_PARTIAL) != 0;
      } else {
        whole_.push_back(checksum);
      }
    }
    report_.commits = whole_.size();
  }

  void CheckBackRefs(const std::string& checksum, GVariant* commit) {
    const VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(commit, 0));
    const char* collection = nullptr;
    if (!g_variant_lookup(metadata.get(), OSTREE_COMMIT_META_KEY_COLLECTION_BINDING, "&s",
                          &collection) ||
        !ostree_validate_collection_id(collection, nullptr)) {
      collection = nullptr;
    }
    for (const std::string& ref : BoundRefs(metadata.get())) {
      const std::optional<std::string> found = Resolve(collection, ref);
      if (found == checksum) continue;
      Add({"back-ref",
           "The commit " + checksum + " is bound to the ref " + ref + ", which " +
               (found ? "names another commit" : "does not exist"),
           ObjectName{checksum, OSTREE_OBJECT_TYPE_COMMIT}.text(),
           ref,
           {},
           false,
           collection != nullptr ? collection : ""});
    }
  }

  std::optional<std::string> Resolve(const char* collection, const std::string& ref) {
    // What a commit says of itself may be anything.
    if (!ostree_validate_rev(ref.c_str(), nullptr)) return std::nullopt;
    GStringPtr checksum;
    GError* error = nullptr;
    if (collection != nullptr) {
      const std::unique_ptr<OstreeCollectionRef, FreeWith<ostree_collection_ref_free>> bound(
          ostree_collection_ref_new(collection, ref.c_str()));
      if (!ostree_repo_resolve_collection_ref(repo_, bound.get(), TRUE,
                                              OSTREE_REPO_RESOLVE_REV_EXT_NONE, Out(checksum),
                                              job_.cancellable(), &error)) {
        throw FromGError(error, "Resolving a ref").Detail("ref", ref);
      }
    } else if (!ostree_repo_resolve_rev(repo_, ref.c_str(), TRUE, Out(checksum), &error)) {
      throw FromGError(error, "Resolving a ref").Detail("ref", ref);
    }
    if (!checksum) return std::nullopt;
    return checksum.get();
  }

  void CheckContents() {
    ObjectKeys objects;
    for (const std::string& checksum : whole_) {
      GatherObjects(repo_, checksum, job_, &objects);
    }
    // These have been checked; they count all the same.
    for (const std::string& checksum : whole_) {
      report_.objects += objects.erase(KeyOf(checksum.c_str(), OSTREE_OBJECT_TYPE_COMMIT));
    }
    if (request_.unreachable) {
      const GHashTablePtr stored = StoredObjects(repo_, false, job_.cancellable());
      GHashTableIter iter;
      gpointer key;
      g_hash_table_iter_init(&iter, stored.get());
      while (g_hash_table_iter_next(&iter, &key, nullptr)) {
        const ObjectName name = NameOf(static_cast<GVariant*>(key));
        // A payload link has no content of its own.
        if (name.type > OSTREE_OBJECT_TYPE_DIR_META) continue;
        objects.insert(KeyOf(name.checksum.c_str(), name.type));
      }
    }
    const std::vector<ObjectFault> faults =
        CheckObjects(repo_, objects, request_.all || request_.remove, job_, &report_.objects);
    if (!faults.empty()) Repair(faults);
  }

  // Names the commits that need what is damaged, removes that if asked to, and marks the commits
  // that lack something now.
  void Repair(const std::vector<ObjectFault>& faults) {
    std::vector<std::vector<std::string>> users(faults.size());
    for (const std::string& checksum : whole_) {
      ObjectKeys objects;
      GatherObjects(repo_, checksum, job_, &objects);
      for (size_t i = 0; i < faults.size(); ++i) {
        if (objects.count(faults[i].key) > 0) users[i].push_back(checksum);
      }
    }
    std::set<std::string> incomplete;
    for (size_t i = 0; i < faults.size(); ++i) {
      const ObjectFault& found = faults[i];
      const ObjectName name = found.key.name();
      Fault fault = {
          found.missing ? "missing" : "corrupt", found.message, name.text(), "", users[i], false};
      fault.deleted = !found.missing && request_.remove && !refs_wrong_ && Delete(name);
      if (found.missing || fault.deleted) incomplete.insert(users[i].begin(), users[i].end());
      Add(std::move(fault));
    }
    // Nothing can be noted in a repository that is not ours to write.
    if (refs_wrong_ || !ostree_repo_is_writable(repo_, nullptr)) return;
    for (const std::string& checksum : incomplete) {
      GError* error = nullptr;
      if (!ostree_repo_mark_commit_partial_reason(repo_, checksum.c_str(), TRUE,
                                                  OSTREE_REPO_COMMIT_STATE_FSCK_PARTIAL, &error)) {
        throw FromGError(error, "Marking a commit as partial").Detail("ref", checksum);
      }
      report_.marked.push_back(checksum);
    }
  }

  void AddTombstones() {
    if (orphans_.empty()) return;
    EnableTombstones(state_, repo_, job_.cancellable());
    for (const std::string& checksum : orphans_) {
      GError* error = nullptr;
      if (!ostree_repo_delete_object(repo_, OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(),
                                     job_.cancellable(), &error)) {
        throw FromGError(error, "Adding a tombstone").Detail("ref", checksum);
      }
      report_.tombstones.push_back(checksum);
    }
  }

  RepoState& state_;
  OstreeRepo* repo_;
  const FsckRequest& request_;
  JobContext& job_;
  FsckReport report_;
  bool stop_ = false;
  bool refs_wrong_ = false;
  std::set<std::string> good_commits_, bad_commits_;
  // Commits that no ref names, and where their faults are.
  std::vector<std::pair<size_t, ObjectName>> damaged_;
  std::vector<std::string> whole_;
  // Commits whose parent is missing.
  std::vector<std::string> orphans_;
};

Napi::Value FaultToJs(Napi::Env env, const Fault& fault) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", fault.kind);
  object.Set("message", fault.message);
  if (!fault.object.empty()) object.Set("object", fault.object);
  if (!fault.ref.empty()) object.Set("ref", fault.ref);
  if (!fault.collection.empty()) object.Set("collectionId", fault.collection);
  object.Set("commits", StringsToJs(env, fault.commits));
  object.Set("deleted", Napi::Boolean::New(env, fault.deleted));
  return object;
}

Napi::Value ReportToJs(Napi::Env env, const FsckReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("objects", static_cast<double>(report.objects));
  object.Set("commits", static_cast<double>(report.commits));
  object.Set("errorCount", static_cast<double>(report.fault_count));
  Napi::Array errors = Napi::Array::New(env, report.faults.size());
  for (size_t i = 0; i < report.faults.size(); ++i) {
    errors.Set(static_cast<uint32_t>(i), FaultToJs(env, report.faults[i]));
  }
  object.Set("errors", errors);
  Napi::Array partial = Napi::Array::New(env, report.partial.size());
  uint32_t index = 0;
  for (const auto& [commit, by_fsck] : report.partial) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("commit", commit);
    entry.Set("reason", by_fsck ? "fsck" : "incomplete");
    partial.Set(index++, entry);
  }
  object.Set("partial", partial);
  object.Set("markedPartial", StringsToJs(env, report.marked));
  object.Set("tombstones", StringsToJs(env, report.tombstones));
  return object;
}

}  // namespace

Napi::Value Repo::FsckAll(const Napi::CallbackInfo& info) {
  const Options options(info.Env(), info[0], "options");
  FsckRequest request;
  request.unreachable = options.Bool("unreachable", false);
  request.all = options.Bool("all", true);
  request.remove = options.Bool("delete", false);
  request.add_tombstones = options.Bool("addTombstones", false);
  request.verify_back_refs = options.Bool("verifyBackRefs", false);
  request.verify_bindings = options.Bool("verifyBindings", false) || request.verify_back_refs;
  Work work = [state = state(), request](JobContext& job) -> ToJs {
    auto repo = state->Use();
    if (request.changes()) {
      state->RequireNoTransaction();
      state->locks().Require(true);
    }
    FsckReport report = Fsck(*state, repo.get(), request, job).Run();
    return [report = std::move(report)](Napi::Env env) { return ReportToJs(env, report); };
  };
  return request.changes() ? StartAlone(info, std::move(work), info[1])
                           : StartWaiting(info, std::move(work), info[1]);
}

Napi::Value Repo::MarkPartial(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string checksum = CheckedChecksum(arguments.Raw(0), "commit");
  const bool partial = arguments.Bool(1, "partial");
  const bool by_fsck = arguments.Bool(2, "byFsck");
  return Start(
      info, [state = state(), checksum = std::move(checksum), partial, by_fsck](JobContext&) {
        auto repo = state->Use();
        if (partial) RequireObject(repo.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
        GError* error = nullptr;
        if (!ostree_repo_mark_commit_partial_reason(
                repo.get(), checksum.c_str(), partial,
                by_fsck ? OSTREE_REPO_COMMIT_STATE_FSCK_PARTIAL : OSTREE_REPO_COMMIT_STATE_NORMAL,
                &error)) {
          throw FromGError(error, "Marking a commit as partial").Detail("ref", checksum);
        }
        return Undefined();
      });
}

}  // namespace apt_ostree
