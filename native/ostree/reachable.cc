#include "ostree/reachable.h"

#include <utility>
#include <vector>

#include "core/error.h"
#include "ostree/names.h"

namespace apt_ostree {

ObjectName NameOf(GVariant* key) {
  const char* checksum = nullptr;
  ObjectName name;
  ostree_object_name_deserialize(key, &checksum, &name.type);
  name.checksum = checksum;
  return name;
}

std::vector<RefCommit> ListRefCommits(OstreeRepo* repo, bool collections,
                                      GCancellable* cancellable) {
  std::vector<RefCommit> result;
  GHashTablePtr table;
  GError* error = nullptr;
  if (!ostree_repo_list_refs(repo, nullptr, Out(table), cancellable, &error)) {
    throw FromGError(error, "Listing refs");
  }
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, table.get());
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    result.push_back({"", static_cast<const char*>(key), static_cast<const char*>(value)});
  }
  if (!collections) return result;
  if (!ostree_repo_list_collection_refs(repo, nullptr, Out(table),
                                        OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_REMOTES, cancellable,
                                        &error)) {
    throw FromGError(error, "Listing refs");
  }
  g_hash_table_iter_init(&iter, table.get());
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const auto* ref = static_cast<const OstreeCollectionRef*>(key);
    result.push_back({ref->collection_id, ref->ref_name, static_cast<const char*>(value)});
  }
  return result;
}

Reachable::Reachable(OstreeRepo* repo, const JobContext& job, bool commit_only)
    : repo_(repo),
      job_(job),
      flags_(commit_only ? OSTREE_REPO_COMMIT_TRAVERSE_FLAG_COMMIT_ONLY
                         : OSTREE_REPO_COMMIT_TRAVERSE_FLAG_NONE),
      set_(ostree_repo_traverse_new_reachable()),
      sound_(repo, job.cancellable()) {}

void Reachable::Add(const ObjectName& name) {
  g_hash_table_add(set_.get(), g_variant_ref_sink(
                                   ostree_object_name_serialize(name.checksum.c_str(), name.type)));
}

bool Reachable::Contains(const ObjectName& name) const {
  const auto key = VariantPtr::Sink(ostree_object_name_serialize(name.checksum.c_str(), name.type));
  return Contains(key.get());
}

bool Reachable::AddOne(const std::string& checksum, std::string* parent) {
  parent->clear();
  job_.ThrowIfCancelled();
  if (!IsChecksum(checksum)) {
    throw NativeError("ERR_OSTREE_FAILED", "A ref holds no checksum: " + checksum);
  }
  if (Contains({checksum, OSTREE_OBJECT_TYPE_COMMIT})) return false;
  GError* error = nullptr;
  VariantPtr commit;
  if (!ostree_repo_load_variant_if_exists(repo_, OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(),
                                          commit.out(), &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", checksum);
  }
  if (!commit) return false;
  if (flags_ == OSTREE_REPO_COMMIT_TRAVERSE_FLAG_NONE) {
    sound_.Commit(checksum);
  } else {
    RequireSound(commit.get(), OSTREE_OBJECT_TYPE_COMMIT, checksum);
  }
  // One commit at a time: libostree does not look at its cancellable on the way.
  if (!ostree_repo_traverse_commit_with_flags(repo_, flags_, checksum.c_str(), 0, set_.get(),
                                              nullptr, job_.cancellable(), &error)) {
    throw FromGError(error, "Finding what a commit needs").Detail("ref", checksum);
  }
  job_.Report([done = ++commits_](Napi::Env env) -> Napi::Value {
    Napi::Object event = Napi::Object::New(env);
    event.Set("phase", "commits");
    event.Set("done", static_cast<double>(done));
    return event;
  });
  GStringPtr text(ostree_commit_get_parent(commit.get()));
  if (text) *parent = text.get();
  return true;
}

void Reachable::AddCommit(const std::string& checksum, int depth) {
  std::string parent;
  for (std::string next = checksum; AddOne(next, &parent); next = parent) {
    if (depth == 0 || parent.empty()) return;
    if (depth > 0) --depth;
  }
}

void Reachable::AddYounger(const std::string& checksum, uint64_t timestamp) {
  std::string ignored;
  // What a ref names stays in any case.
  AddOne(checksum, &ignored);
  for (std::string next = checksum; IsChecksum(next);) {
    VariantPtr commit;
    GError* error = nullptr;
    if (!ostree_repo_load_variant_if_exists(repo_, OSTREE_OBJECT_TYPE_COMMIT, next.c_str(),
                                            commit.out(), &error)) {
      throw FromGError(error, "Reading a commit").Detail("ref", next);
    }
    if (!commit) return;
    RequireSound(commit.get(), OSTREE_OBJECT_TYPE_COMMIT, next);
    if (ostree_commit_get_timestamp(commit.get()) < timestamp) return;
    AddOne(next, &ignored);
    GStringPtr parent(ostree_commit_get_parent(commit.get()));
    if (!parent) return;
    next = parent.get();
  }
}

void Reachable::AddCommitsOf(GHashTable* stored, int depth) {
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, stored);
  while (g_hash_table_iter_next(&iter, &key, nullptr)) {
    const ObjectName name = NameOf(static_cast<GVariant*>(key));
    if (name.type == OSTREE_OBJECT_TYPE_COMMIT) AddCommit(name.checksum, depth);
  }
}

void Reachable::AddRefs(int depth) {
  for (const RefCommit& ref : ListRefCommits(repo_, true, job_.cancellable())) {
    AddCommit(ref.checksum, depth);
  }
}

GHashTablePtr StoredObjects(OstreeRepo* repo, bool commit_only, GCancellable* cancellable) {
  GHashTablePtr objects;
  GError* error = nullptr;
  const bool listed =
      commit_only ? ostree_repo_list_commit_objects_starting_with(repo, "", Out(objects),
                                                                  cancellable, &error) != FALSE
                  : ostree_repo_list_objects(
                        repo,
                        static_cast<OstreeRepoListObjectsFlags>(
                            OSTREE_REPO_LIST_OBJECTS_ALL | OSTREE_REPO_LIST_OBJECTS_NO_PARENTS),
                        Out(objects), cancellable, &error) != FALSE;
  if (!listed) throw FromGError(error, "Listing objects");
  return objects;
}

}  // namespace apt_ostree
