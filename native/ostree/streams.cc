// Repo: the content of files and objects as streams.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/cursor.h"
#include "core/error.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

constexpr int64_t kLastOffset = 9007199254740991;  // Number.MAX_SAFE_INTEGER

// What a stream gives, from its first byte on.
struct Range {
  uint64_t start = 0;
  // One past the last byte.
  uint64_t end = UINT64_MAX;
};

Range CheckedRange(const Options& options) {
  Range range;
  range.start = static_cast<uint64_t>(options.Integer("start", 0, 0, kLastOffset));
  // As Node's fs has it, the byte at `end` is the last one.
  if (options.Has("end")) {
    range.end = static_cast<uint64_t>(options.Integer("end", 0, 0, kLastOffset)) + 1;
  }
  return range;
}

class ByteStream {
 public:
  ByteStream(GObjectPtr<GInputStream> stream, Range range, std::string name)
      : stream_(std::move(stream)),
        left_(range.end > range.start ? range.end - range.start : 0),
        name_(std::move(name)) {}

  void Skip(uint64_t count, GCancellable* cancellable) {
    GError* error = nullptr;
    if (count > 0 && G_IS_SEEKABLE(stream_.get()) &&
        g_seekable_can_seek(G_SEEKABLE(stream_.get()))) {
      if (!g_seekable_seek(G_SEEKABLE(stream_.get()), static_cast<goffset>(count), G_SEEK_SET,
                           cancellable, &error)) {
        throw FromGError(error, "Reading an object").Detail("path", name_);
      }
      return;
    }
    // Not g_input_stream_skip: that of a decompressor skips compressed bytes.
    std::vector<char> dropped(static_cast<size_t>(std::min<uint64_t>(count, 1 << 18)));
    while (count > 0 && left_ > 0) {
      gsize done = 0;
      const auto wanted = static_cast<gsize>(std::min<uint64_t>(count, dropped.size()));
      if (!g_input_stream_read_all(stream_.get(), dropped.data(), wanted, &done, cancellable,
                                   &error)) {
        throw FromGError(error, "Reading an object").Detail("path", name_);
      }
      if (done < wanted) left_ = 0;
      count -= done;
    }
  }

  ToJs Next(JobContext& job, size_t limit) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(limit, left_));
    if (wanted == 0) return nullptr;
    auto bytes = std::make_shared<std::vector<char>>(wanted);
    gsize count = 0;
    GError* error = nullptr;
    if (!g_input_stream_read_all(stream_.get(), bytes->data(), wanted, &count, job.cancellable(),
                                 &error)) {
      throw FromGError(error, "Reading an object").Detail("path", name_);
    }
    left_ = count < wanted ? 0 : left_ - count;
    if (count == 0) return nullptr;
    return [bytes, count](Napi::Env env) -> Napi::Value {
      return Napi::Buffer<char>::NewOrCopy(env, bytes->data(), count, [bytes](Napi::Env, char*) {});
    };
  }

 private:
  GObjectPtr<GInputStream> stream_;
  uint64_t left_;
  std::string name_;
};

ToJs OpenedStream(GObjectPtr<GInputStream> input, Range range, std::string name,
                  GCancellable* cancellable) {
  auto stream = std::make_shared<ByteStream>(std::move(input), range, std::move(name));
  stream->Skip(range.start, cancellable);
  return Cursor::Opened(
      [stream](JobContext& job, size_t limit) { return stream->Next(job, limit); });
}

}  // namespace

Napi::Value Repo::OpenFile(const Napi::CallbackInfo& info) {
  std::string rev = CheckedRev(info[0], "rev");
  TreePath path = CheckedTreePath(info[1], "path");
  const Range range = CheckedRange(Arguments(info).Object(2, "options"));
  return Start(info, [state = state(), rev = std::move(rev), path = std::move(path),
                      range](JobContext& job) {
    auto repo = state->Use();
    const TreeEntry entry = FindFile(repo.get(), rev, path, job.cancellable());
    return OpenedStream(LoadContent(repo.get(), entry, job.cancellable()), range, entry.path,
                        job.cancellable());
  });
}

Napi::Value Repo::OpenObject(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedContentType(info[0], "type");
  std::string checksum = CheckedChecksum(info[1], "checksum");
  return Start(info, [state = state(), type, checksum = std::move(checksum)](JobContext& job) {
    auto repo = state->Use();
    RequireObject(repo.get(), type, checksum);
    GObjectPtr<GInputStream> input;
    guint64 size = 0;
    GError* error = nullptr;
    if (!ostree_repo_load_object_stream(repo.get(), type, checksum.c_str(), input.out(), &size,
                                        job.cancellable(), &error)) {
      throw FromGError(error, "Reading an object").Detail("ref", checksum);
    }
    return OpenedStream(std::move(input), Range(), checksum, job.cancellable());
  });
}

}  // namespace apt_ostree
