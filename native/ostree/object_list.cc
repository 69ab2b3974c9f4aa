// Repo: which objects there are, and which of them commits reach.
#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/cursor.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// "CHECKSUM.TYPE", joined by NUL.
class ObjectNames {
 public:
  void Add(const std::string& checksum, const char* type) {
    if (count_++ > 0) names_.push_back('\0');
    names_.append(checksum).append(".").append(type);
  }
  size_t count() const { return count_; }
  ToJs Take() {
    count_ = 0;
    return [names = std::exchange(names_, {})](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, names);
    };
  }

 private:
  std::string names_;
  size_t count_ = 0;
};

using DirectoryPtr = std::unique_ptr<DIR, FreeWith<closedir>>;

// Reads `objects` one of its 256 directories after the other. ostree_repo_list_objects makes one
// table of all instead, some 250 bytes for each object.
class ObjectListing {
 public:
  ObjectListing(std::shared_ptr<RepoState> state, std::set<std::string> types, std::string prefix,
                bool parents)
      : state_(std::move(state)),
        types_(std::move(types)),
        prefix_(std::move(prefix)),
        parents_(parents) {}

  ToJs Next(JobContext& job, size_t limit) {
    auto repo = state_->Use();
    ObjectNames names;
    while (names.count() < limit && generation_ >= 0) {
      job.ThrowIfCancelled();
      if (position_ < found_.size()) {
        const auto& [checksum, type] = found_[position_++];
        names.Add(checksum, type.c_str());
      } else {
        ReadMore(repo.get());
      }
    }
    if (names.count() == 0) return nullptr;
    return names.Take();
  }

 private:
  void ReadMore(OstreeRepo* repo) {
    found_.clear();
    position_ = 0;
    // `generation_` steps up from the repository to its parent, the parent of that...
    for (int i = 0; i < generation_ && repo != nullptr; ++i) repo = ostree_repo_get_parent(repo);
    if (repo == nullptr) {
      generation_ = -1;
      return;
    }
    if (directory_ == 256) {
      directory_ = 0;
      generation_ = parents_ ? generation_ + 1 : -1;
      return;
    }
    char start[3];
    std::snprintf(start, sizeof start, "%02x", directory_++);
    const size_t shared = std::min<size_t>(prefix_.size(), 2);
    if (prefix_.compare(0, shared, start, shared) == 0) ReadDirectoryOf(repo, start);
  }

  void ReadDirectoryOf(OstreeRepo* repo, const std::string& start) {
    const std::string path = "objects/" + start;
    const int fd =
        openat(ostree_repo_get_dfd(repo), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
      if (errno == ENOENT) return;
      throw FromErrno(errno, "Listing objects in", state_->path() + "/" + path);
    }
    DirectoryPtr directory(fdopendir(fd));
    const char* content = ostree_repo_get_mode(repo) == OSTREE_REPO_MODE_ARCHIVE ? "filez" : "file";
    while (const dirent* entry = readdir(directory.get())) {
      const char* dot = std::strchr(entry->d_name, '.');
      if (dot == nullptr) continue;
      const std::string checksum = start + std::string(entry->d_name, dot);
      std::string type = dot + 1;
      if (!IsChecksum(checksum) || checksum.compare(0, prefix_.size(), prefix_) != 0) continue;
      // "filez" in a repository of another mode is no object of it, nor is "file" in an archive.
      if (type == "file" || type == "filez") {
        if (type != content) continue;
        type = "file";
      }
      if (types_.count(type) != 0) found_.emplace_back(checksum, std::move(type));
    }
    std::sort(found_.begin(), found_.end());
  }

  std::shared_ptr<RepoState> state_;
  std::set<std::string> types_;
  std::string prefix_;
  bool parents_;
  int generation_ = 0;
  int directory_ = 0;
  std::vector<std::pair<std::string, std::string>> found_;
  size_t position_ = 0;
};

GHashTablePtr ReachableFrom(OstreeRepo* repo, const std::vector<std::string>& commits, int depth,
                            bool commit_only, GCancellable* cancellable) {
  GHashTablePtr objects(ostree_repo_traverse_new_reachable());
  SoundTrees sound(repo, cancellable);
  for (const std::string& commit : commits) {
    RequireObject(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
    sound.History(commit, depth);
    GError* error = nullptr;
    if (!ostree_repo_traverse_commit_with_flags(
            repo,
            commit_only ? OSTREE_REPO_COMMIT_TRAVERSE_FLAG_COMMIT_ONLY
                        : OSTREE_REPO_COMMIT_TRAVERSE_FLAG_NONE,
            commit.c_str(), depth, objects.get(), nullptr, cancellable, &error)) {
      throw FromGError(error, "Following a commit").Detail("ref", commit);
    }
  }
  return objects;
}

struct ObjectName {
  const char* checksum;  // owned by the table
  OstreeObjectType type;
};

ObjectName NameOf(gpointer key) {
  ObjectName name;
  ostree_object_name_deserialize(static_cast<GVariant*>(key), &name.checksum, &name.type);
  return name;
}

void AddValues(GHashTable* table, std::set<std::string>& commits) {
  GHashTableIter iter;
  gpointer value = nullptr;
  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, nullptr, &value)) {
    commits.insert(static_cast<const char*>(value));
  }
}

// What refs point to, those of remotes and collections too.
std::vector<std::string> CommitsOfRefs(OstreeRepo* repo, GCancellable* cancellable) {
  std::set<std::string> commits;
  GHashTablePtr refs, collection_refs;
  GError* error = nullptr;
  if (!ostree_repo_list_refs_ext(repo, nullptr, Out(refs), OSTREE_REPO_LIST_REFS_EXT_NONE,
                                 cancellable, &error) ||
      !ostree_repo_list_collection_refs(repo, nullptr, Out(collection_refs),
                                        OSTREE_REPO_LIST_REFS_EXT_NONE, cancellable, &error)) {
    throw FromGError(error, "Listing refs");
  }
  AddValues(refs.get(), commits);
  AddValues(collection_refs.get(), commits);
  return {commits.begin(), commits.end()};
}

// Pages through a finished set; the repository is not needed any more.
class ReachableListing {
 public:
  explicit ReachableListing(GHashTablePtr objects) : objects_(std::move(objects)) {
    g_hash_table_iter_init(&iter_, objects_.get());
    left_ = g_hash_table_size(objects_.get());
  }

  // Adds to each object the commits that it belongs to. Not ostree_repo_traverse_parents_*, which
  // climbs from each object on every way there is, and leaks in 2022.7.
  void FindCommits(OstreeRepo* repo, GCancellable* cancellable) {
    with_commits_ = true;
    std::vector<std::string> commits;
    GHashTableIter iter;
    gpointer key = nullptr;
    g_hash_table_iter_init(&iter, objects_.get());
    while (g_hash_table_iter_next(&iter, &key, nullptr)) {
      const ObjectName name = NameOf(key);
      if (name.type == OSTREE_OBJECT_TYPE_COMMIT) commits.emplace_back(name.checksum);
    }
    std::sort(commits.begin(), commits.end());
    for (const std::string& commit : commits) {
      const GHashTablePtr parts = ReachableFrom(repo, {commit}, 0, false, cancellable);
      g_hash_table_iter_init(&iter, parts.get());
      while (g_hash_table_iter_next(&iter, &key, nullptr)) {
        gpointer own = nullptr;
        // Keyed by the table of all, which owns its keys.
        if (g_hash_table_lookup_extended(objects_.get(), key, &own, nullptr)) {
          commits_of_[own].push_back(commit);
        }
      }
    }
  }

  ToJs Next(JobContext&, size_t limit) {
    std::string names, commits;
    size_t count = 0;
    gpointer key = nullptr;
    // An iterator must not be asked again after its end.
    for (; count < limit && left_ > 0; --left_) {
      g_hash_table_iter_next(&iter_, &key, nullptr);
      const ObjectName name = NameOf(key);
      if (count++ > 0) {
        names.push_back('\0');
        commits.push_back('\0');
      }
      names.append(name.checksum).append(".").append(ostree_object_type_to_string(name.type));
      const auto found = commits_of_.find(key);
      if (found == commits_of_.end()) continue;
      for (const std::string& commit : found->second) commits.append(commit).push_back(' ');
      commits.pop_back();
    }
    if (count == 0) return nullptr;
    return [names = std::move(names), commits = std::move(commits),
            with_commits = with_commits_](Napi::Env env) -> Napi::Value {
      Napi::Object batch = Napi::Object::New(env);
      batch.Set("names", names);
      if (with_commits) batch.Set("commits", commits);
      return batch;
    };
  }

 private:
  GHashTablePtr objects_;
  GHashTableIter iter_;
  guint left_ = 0;
  bool with_commits_ = false;
  std::unordered_map<gpointer, std::vector<std::string>> commits_of_;
};

}  // namespace

Napi::Value Repo::ListObjects(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = Arguments(info).Strings(0, "types");
  std::string prefix = CheckedString(info[1], "prefix");
  const bool parents = Arguments(info).Bool(2, "parents");
  std::set<std::string> types(names.begin(), names.end());
  return Start(info, [state = state(), types = std::move(types), prefix = std::move(prefix),
                      parents](JobContext&) {
    state->Use();
    auto listing = std::make_shared<ObjectListing>(state, types, prefix, parents);
    return Cursor::Opened(
        [listing](JobContext& job, size_t limit) { return listing->Next(job, limit); });
  });
}

Napi::Value Repo::ListReachable(const Napi::CallbackInfo& info) {
  // Absent: all refs.
  std::optional<std::vector<std::string>> revs;
  if (!info[0].IsUndefined()) {
    if (!info[0].IsArray()) {
      throw InvalidArgumentType(info.Env(), "revs", "an instance of Array", info[0]);
    }
    Napi::Array list = info[0].As<Napi::Array>();
    revs.emplace();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      revs->push_back(CheckedRev(list.Get(i), "revs[" + std::to_string(i) + "]"));
    }
  }
  const Options options = Arguments(info).Object(1, "options");
  const auto depth = static_cast<int>(options.Integer("depth", 0, -1, INT32_MAX));
  const bool commit_only = options.Bool("commitOnly", false);
  const bool commits = options.Bool("commits", false);
  return StartWaiting(info, [state = state(), revs = std::move(revs), depth, commit_only,
                             commits](JobContext& job) {
    auto repo = state->Use();
    std::vector<std::string> from;
    if (revs) {
      for (const std::string& rev : *revs) from.push_back(ResolveCommit(repo.get(), rev));
    } else {
      from = CommitsOfRefs(repo.get(), job.cancellable());
    }
    auto listing = std::make_shared<ReachableListing>(
        ReachableFrom(repo.get(), from, depth, commit_only, job.cancellable()));
    if (commits) listing->FindCommits(repo.get(), job.cancellable());
    return Cursor::Opened(
        [listing](JobContext& next, size_t limit) { return listing->Next(next, limit); });
  });
}

Napi::Value Repo::CompareObjects(const Napi::CallbackInfo& info) {
  std::string from = CheckedRev(info[0], "from");
  std::string to = CheckedRev(info[1], "to");
  return StartWaiting(
      info, [state = state(), from = std::move(from), to = std::move(to)](JobContext& job) {
        auto repo = state->Use();
        const auto objects_of = [&](const std::string& rev) {
          return ReachableFrom(repo.get(), {ResolveCommit(repo.get(), rev)}, 0, false,
                               job.cancellable());
        };
        const GHashTablePtr old_objects = objects_of(from);
        const GHashTablePtr new_objects = objects_of(to);
        guint common = 0;
        guint64 bytes = 0;
        GHashTableIter iter;
        gpointer key = nullptr;
        g_hash_table_iter_init(&iter, new_objects.get());
        while (g_hash_table_iter_next(&iter, &key, nullptr)) {
          if (g_hash_table_contains(old_objects.get(), key)) {
            ++common;
            continue;
          }
          const ObjectName name = NameOf(key);
          guint64 size = 0;
          GError* error = nullptr;
          if (!ostree_repo_query_object_storage_size(repo.get(), name.type, name.checksum, &size,
                                                     job.cancellable(), &error)) {
            throw FromGError(error, "Looking at an object").Detail("ref", name.checksum);
          }
          bytes += size;
        }
        const guint old_count = g_hash_table_size(old_objects.get());
        const guint new_count = g_hash_table_size(new_objects.get());
        return [=](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("from", old_count);
          object.Set("to", new_count);
          object.Set("common", common);
          object.Set("newBytes", static_cast<double>(bytes));
          return object;
        };
      });
}

}  // namespace apt_ostree
