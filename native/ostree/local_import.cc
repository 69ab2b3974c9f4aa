#include "ostree/local_import.h"

#include <atomic>

#include "core/error.h"
#include "core/parallel.h"
#include "ostree/fsck_objects.h"

namespace apt_ostree {

namespace {

constexpr size_t kObjectsPerThread = 64;
constexpr size_t kMostThreads = 4;

bool HasWhole(OstreeRepo* repo, const std::string& commit) {
  OstreeRepoCommitState state = OSTREE_REPO_COMMIT_STATE_NORMAL;
  return ostree_repo_load_commit(repo, commit.c_str(), nullptr, &state, nullptr) != FALSE &&
         (state & OSTREE_REPO_COMMIT_STATE_PARTIAL) == 0;
}

// Throws NativeError.
bool Take(OstreeRepo* to, OstreeRepo* from, const std::string& checksum, bool trusted,
          GCancellable* cancellable) {
  gboolean has = FALSE;
  GError* error = nullptr;
  if (!ostree_repo_has_object(to, OSTREE_OBJECT_TYPE_FILE, checksum.c_str(), &has, cancellable,
                              &error)) {
    throw FromGError(error, "Looking for an object");
  }
  if (has) return false;
  if (!ostree_repo_import_object_from_with_trust(to, from, OSTREE_OBJECT_TYPE_FILE,
                                                 checksum.c_str(), trusted, cancellable, &error)) {
    throw FromGError(error, "Taking over an object");
  }
  return true;
}

}  // namespace

size_t ImportContent(OstreeRepo* to, OstreeRepo* from, const std::vector<std::string>& commits,
                     bool trusted, const JobContext& job) {
  ObjectKeys objects;
  for (const std::string& commit : commits) {
    if (!HasWhole(to, commit)) GatherObjects(from, commit, job, &objects);
  }
  std::vector<ObjectKey> content;
  for (const ObjectKey& key : objects) {
    if (key.type == OSTREE_OBJECT_TYPE_FILE) content.push_back(key);
  }
  Turns turns(content.size());
  std::atomic<size_t> taken{0};
  try {
    TakeTurns(turns, kObjectsPerThread, kMostThreads, [&] {
      for (size_t i = 0; turns.Next(&i);) {
        if (Take(to, from, content[i].name().checksum, trusted, job.cancellable())) ++taken;
      }
    });
  } catch (const NativeError&) {
    job.ThrowIfCancelled();
  }
  return taken;
}

}  // namespace apt_ostree
