// Repo: reading commits and files without a checkout.
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/objects.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

// As Node's fs.readFile.
constexpr uint64_t kLargestFile = 0x7fffffff;

std::vector<char> ReadAll(GInputStream* stream, uint64_t size, const JobContext& job,
                          const std::string& path) {
  std::vector<char> bytes(size);
  size_t done = 0;
  while (true) {
    // One byte past the end tells a file that is longer than its object says.
    if (done == bytes.size()) bytes.resize(bytes.size() + 1);
    GError* error = nullptr;
    const gssize count = g_input_stream_read(stream, bytes.data() + done, bytes.size() - done,
                                             job.cancellable(), &error);
    if (count < 0) throw FromGError(error, "Reading a file object").Detail("path", path);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

Napi::Value Repo::Stat(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  const bool xattrs = Arguments(info).Bool(2, "xattrs");
  return Start(info, [state = state(), rev = std::move(rev), path = std::move(path),
                      xattrs](JobContext& job) {
    auto repo = state->Use();
    const TreeChecksums root = RootOf(repo.get(), ResolveCommit(repo.get(), rev));
    TreeEntry entry = EntryReader(repo.get(), job.cancellable(), xattrs).Find(root, path, nullptr);
    return [entry = std::move(entry)](Napi::Env env) { return TreeEntryToJs(env, entry); };
  });
}

Napi::Value Repo::ReadFile(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  return Start(
      info, [state = state(), rev = std::move(rev), path = std::move(path)](JobContext& job) {
        auto repo = state->Use();
        const TreeEntry entry = FindFile(repo.get(), rev, path, job.cancellable());
        if (entry.size > kLargestFile) {
          throw NativeError("EFBIG", "Too large to be read in one piece: " + entry.path)
              .Detail("path", entry.path);
        }
        auto stream = LoadContent(repo.get(), entry, job.cancellable());
        auto bytes =
            std::make_shared<std::vector<char>>(ReadAll(stream.get(), entry.size, job, entry.path));
        return [bytes](Napi::Env env) -> Napi::Value {
          // Without a copy: the vector lives until the Buffer is collected.
          if (bytes->empty()) return Napi::Buffer<char>::New(env, 0);
          return Napi::Buffer<char>::NewOrCopy(env, bytes->data(), bytes->size(),
                                               [bytes](Napi::Env, char*) {});
        };
      });
}

Napi::Value Repo::LoadCommit(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  return Start(info, [state = state(), rev = std::move(rev)](JobContext&) {
    auto repo = state->Use();
    std::string checksum = ResolveCommit(repo.get(), rev);
    VariantPtr commit;
    OstreeRepoCommitState commit_state = OSTREE_REPO_COMMIT_STATE_NORMAL;
    GError* error = nullptr;
    if (!ostree_repo_load_commit(repo.get(), checksum.c_str(), commit.out(), &commit_state,
                                 &error)) {
      throw FromGError(error, "Reading a commit").Detail("ref", checksum);
    }
    const bool partial = (commit_state & OSTREE_REPO_COMMIT_STATE_PARTIAL) != 0;
    const bool by_fsck = (commit_state & OSTREE_REPO_COMMIT_STATE_FSCK_PARTIAL) != 0;
    ValidateObject(OSTREE_OBJECT_TYPE_COMMIT, commit.get());
    return
        [commit, checksum = std::move(checksum), partial, by_fsck](Napi::Env env) -> Napi::Value {
          Napi::Object object = CommitToJs(env, commit.get());
          object.Set("checksum", checksum);
          object.Set("partial", partial);
          if (partial) object.Set("partialReason", by_fsck ? "fsck" : "incomplete");
          return object;
        };
  });
}

}  // namespace apt_ostree
