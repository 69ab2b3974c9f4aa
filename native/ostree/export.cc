// Repo: a tree as a tar archive.
#include <archive.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/utf8_locale.h"
#include "ostree/fsck_objects.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

using GErrorPtr = std::unique_ptr<GError, FreeWith<g_error_free>>;
using ArchivePtr = std::unique_ptr<struct archive, FreeWith<archive_write_free>>;

// Writes to a descriptor, waiting for slow readers in a way that cancelling ends. libarchive never
// hears of a failure, because it leaks then: what follows one is swallowed, and libostree is told
// to stop.
class Sink {
 public:
  Sink(int fd, GCancellable* cancellable)
      : fd_(fd), parent_(cancellable), stop_(GObjectPtr<GCancellable>::Take(g_cancellable_new())) {
    struct stat info;
    if (fstat(fd, &info) != 0) throw FromErrno(errno, "Writing the archive", "");
    regular_ = S_ISREG(info.st_mode);
    has_poll_ = g_cancellable_make_pollfd(stop_.get(), &poll_) != FALSE;
    connection_ = g_cancellable_connect(parent_, G_CALLBACK(PassOn), stop_.get(), nullptr);
  }
  ~Sink() {
    g_cancellable_disconnect(parent_, connection_);
    if (has_poll_) g_cancellable_release_fd(stop_.get());
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  bool regular() const { return regular_; }
  // Cancelled with the job and by a failure.
  GCancellable* stop() const { return stop_.get(); }
  void ThrowIfFailed() const {
    if (failure_ != 0) throw FromErrno(failure_, "Writing the archive", "");
  }

  static la_ssize_t Write(struct archive*, void* data, const void* bytes, size_t size) {
    auto* sink = static_cast<Sink*>(data);
    while (!g_cancellable_is_cancelled(sink->stop())) {
      const ssize_t count = sink->WriteSome(bytes, size);
      if (count > 0) return count;
    }
    return static_cast<la_ssize_t>(size);
  }

 private:
  static void PassOn(GCancellable*, GCancellable* stop) { g_cancellable_cancel(stop); }

  // 0: try again, unless stopped.
  ssize_t WriteSome(const void* bytes, size_t size) {
    if (!regular_) {
      struct pollfd ready[2] = {{fd_, POLLOUT, 0}, {poll_.fd, POLLIN, 0}};
      poll(ready, has_poll_ ? 2 : 1, -1);
      if (g_cancellable_is_cancelled(stop())) return 0;
      // A pipe that is ready takes this much without blocking.
      size = std::min<size_t>(size, PIPE_BUF);
    }
    const ssize_t count = write(fd_, bytes, size);
    if (count >= 0) return count;
    if (errno != EINTR && errno != EAGAIN) {
      failure_ = errno;
      g_cancellable_cancel(stop());
    }
    return 0;
  }

  int fd_;
  GCancellable* parent_;
  GObjectPtr<GCancellable> stop_;
  gulong connection_ = 0;
  GPollFD poll_ = {};
  bool has_poll_ = false;
  bool regular_ = false;
  int failure_ = 0;
};

struct ExportOptions {
  TreePath subpath;
  std::string prefix;
  bool no_xattrs = false;
  bool pax = false;
};

void Require(int result, struct archive* archive) {
  if (result == ARCHIVE_OK) return;
  const char* text = archive_error_string(archive);
  throw NativeError("ERR_OSTREE_FAILED",
                    std::string("Writing the archive: ") + (text != nullptr ? text : "failed"));
}

// In an archive repository a file says itself how long it is. libarchive fills with zeros what the
// content lacks, so that a damaged length would fill the disk; deflate makes at most about a
// thousandth of zeros.
void RequirePossibleSizes(OstreeRepo* repo, const std::string& commit, const JobContext& job) {
  if (ostree_repo_get_mode(repo) != OSTREE_REPO_MODE_ARCHIVE) return;
  constexpr guint64 kRatio = 1032;
  constexpr guint64 kSmall = 65536;
  ObjectKeys objects;
  GatherObjects(repo, commit, job, &objects);
  for (const ObjectKey& key : objects) {
    if (key.type != OSTREE_OBJECT_TYPE_FILE) continue;
    job.ThrowIfCancelled();
    const std::string checksum = key.name().checksum;
    GObjectPtr<GFileInfo> info;
    guint64 stored = 0;
    GError* error = nullptr;
    if (!ostree_repo_load_file(repo, checksum.c_str(), nullptr, info.out(), nullptr,
                               job.cancellable(), &error) ||
        !ostree_repo_query_object_storage_size(repo, OSTREE_OBJECT_TYPE_FILE, checksum.c_str(),
                                               &stored, job.cancellable(), &error)) {
      throw FromGError(error, "Reading a file").Detail("ref", checksum);
    }
    const goffset size = g_file_info_get_size(info.get());
    if (size < 0 || static_cast<guint64>(size) > stored * kRatio + kSmall) {
      throw NativeError("ERR_OSTREE_FAILED",
                        "Reading a damaged object: " + checksum + " is shorter than it says")
          .Detail("ref", checksum);
    }
  }
}

void Export(OstreeRepo* repo, const std::string& rev, int fd, const ExportOptions& options,
            JobContext& job) {
  const std::string commit = ResolveCommit(repo, rev);
  const TreeEntry entry =
      EntryReader(repo, job.cancellable()).Find(RootOf(repo, commit), options.subpath, nullptr);
  if (entry.type != TreeEntry::Type::kDirectory) {
    throw NativeError("ENOTDIR", "Not a directory in the tree: " + entry.path)
        .Detail("path", entry.path);
  }
  SoundTrees(repo, job.cancellable()).Commit(commit);
  RequirePossibleSizes(repo, commit, job);
  const Utf8Locale locale;
  Sink sink(fd, job.cancellable());
  ArchivePtr archive(archive_write_new());
  if (!archive) throw NativeError("ENOMEM", "Out of memory");
  Require(options.pax ? archive_write_set_format_pax_restricted(archive.get())
                      : archive_write_set_format_gnutar(archive.get()),
          archive.get());
  // Files end with the archive; what may be a tape gets whole records.
  if (sink.regular()) archive_write_set_bytes_in_last_block(archive.get(), 1);
  Require(archive_write_open(archive.get(), &sink, nullptr, Sink::Write, nullptr), archive.get());
  GObjectPtr<GFile> root;
  GError* error = nullptr;
  if (!ostree_repo_read_commit(repo, commit.c_str(), root.out(), nullptr, job.cancellable(),
                               &error)) {
    throw FromGError(error, "Reading a commit").Detail("ref", rev);
  }
  if (!options.subpath.empty()) {
    root = GObjectPtr<GFile>::Take(
        g_file_resolve_relative_path(root.get(), TreePathText(options.subpath).c_str() + 1));
  }
  VariantPtr variant = LoadVariant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
  OstreeRepoExportArchiveOptions with = {};
  with.disable_xattrs = options.no_xattrs;
  with.timestamp_secs = ostree_commit_get_timestamp(variant.get());
  // Only read through the pointer.
  with.path_prefix = options.prefix.empty() ? nullptr : const_cast<char*>(options.prefix.c_str());
  // libostree resolves files when it comes to them, but takes its start as it is.
  const bool written = ostree_repo_file_ensure_resolved(OSTREE_REPO_FILE(root.get()), &error) &&
                       ostree_repo_export_tree_to_archive(repo, &with, OSTREE_REPO_FILE(root.get()),
                                                          archive.get(), sink.stop(), &error);
  const GErrorPtr failure(error);
  if (written) {
    Require(archive_write_close(archive.get()), archive.get());
  } else {
    // A part must not get the end mark of a whole archive.
    g_cancellable_cancel(sink.stop());
  }
  sink.ThrowIfFailed();
  job.ThrowIfCancelled();
  if (!written) {
    throw FromGError(failure ? g_error_copy(failure.get()) : nullptr, "Writing the archive")
        .Detail("ref", rev);
  }
}

}  // namespace

Napi::Value Repo::ExportArchive(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = CheckedRev(info[0], "rev");
  const auto fd = static_cast<int>(arguments.Integer(1, "fd", 0, INT32_MAX));
  const Options given = arguments.Object(2, "options");
  ExportOptions options;
  if (given.Has("subpath")) options.subpath = CheckedTreePath(given.Raw("subpath"), "subpath");
  options.prefix = given.OptionalString("prefix").value_or("");
  options.no_xattrs = given.Bool("noXattrs", false);
  options.pax = given.Bool("pax", false);
  // The caller may close its own before the job comes to it.
  auto target = std::make_shared<UniqueFd>(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  const int problem = errno;
  return StartWaiting(info, [state = state(), rev = std::move(rev), target, problem,
                             options = std::move(options)](JobContext& job) {
    if (!*target) throw FromErrno(problem, "Writing the archive", "");
    Export(state->Use().get(), rev, target->get(), options, job);
    return Undefined();
  });
}

}  // namespace apt_ostree
