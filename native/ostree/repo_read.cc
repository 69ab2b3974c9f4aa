// Repo: reading commits and files without a checkout.
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/variant.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

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

std::string Child(GVariant* variant, gsize index) {
  VariantPtr child = VariantPtr::Take(g_variant_get_child_value(variant, index));
  return g_variant_get_string(child.get(), nullptr);
}

}  // namespace

Napi::Value Repo::List(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(arguments.Raw(0), "rev");
  TreePath path = CheckedTreePath(arguments.Raw(1), "path");
  const bool recursive = arguments.Bool(2, "recursive");
  return Start(
      info,
      [state = state(), rev = std::move(rev), path = std::move(path), recursive](JobContext& job) {
        auto repo = state->Use();
        EntryReader reader(repo.get(), job.cancellable());
        EntryBatches batches(job);
        TreeChecksums directory;
        const TreeChecksums root = RootOf(repo.get(), ResolveCommit(repo.get(), rev));
        const TreeEntry top = reader.Find(root, path, &directory);
        if (top.type == TreeEntry::Type::kDirectory) {
          reader.Walk(top.path, directory.contents, recursive,
                      [&batches](const TreeEntry& entry) { batches.Add(entry); });
        } else {
          batches.Add(top);
        }
        batches.Flush();
        return Undefined();
      },
      info[3]);
}

Napi::Value Repo::Stat(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  return Start(
      info, [state = state(), rev = std::move(rev), path = std::move(path)](JobContext& job) {
        auto repo = state->Use();
        const TreeChecksums root = RootOf(repo.get(), ResolveCommit(repo.get(), rev));
        TreeEntry entry = EntryReader(repo.get(), job.cancellable()).Find(root, path, nullptr);
        return [entry = std::move(entry)](Napi::Env env) { return TreeEntryToJs(env, entry); };
      });
}

Napi::Value Repo::ReadFile(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  return Start(info, [state = state(), rev = std::move(rev),
                      path = std::move(path)](JobContext& job) {
    auto repo = state->Use();
    const TreeChecksums root = RootOf(repo.get(), ResolveCommit(repo.get(), rev));
    const TreeEntry entry = EntryReader(repo.get(), job.cancellable()).Find(root, path, nullptr);
    if (entry.type != TreeEntry::Type::kFile) {
      const bool directory = entry.type == TreeEntry::Type::kDirectory;
      throw NativeError(directory ? "EISDIR" : "ELOOP",
                        (directory ? "Is a directory: " : "Is a symbolic link: ") + entry.path)
          .Detail("path", entry.path);
    }
    GObjectPtr<GInputStream> stream;
    GError* error = nullptr;
    if (!ostree_repo_load_file(repo.get(), entry.checksum.c_str(), stream.out(), nullptr, nullptr,
                               job.cancellable(), &error)) {
      throw FromGError(error, "Reading a file object").Detail("path", entry.path);
    }
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
    const TreeChecksums root = RootOf(repo.get(), checksum);
    const bool partial = (commit_state & OSTREE_REPO_COMMIT_STATE_PARTIAL) != 0;
    return [commit, checksum = std::move(checksum), root, partial](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("checksum", checksum);
      GStringPtr parent(ostree_commit_get_parent(commit.get()));
      if (parent) object.Set("parent", parent.get());
      object.Set("subject", Child(commit.get(), 3));
      object.Set("body", Child(commit.get(), 4));
      object.Set("timestamp", static_cast<double>(ostree_commit_get_timestamp(commit.get())));
      VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
      object.Set("metadata", VariantToJs(env, metadata.get()));
      object.Set("contents", root.contents);
      object.Set("metadataChecksum", root.metadata);
      object.Set("partial", partial);
      return object;
    };
  });
}

}  // namespace apt_ostree
