#include "deb/hollow.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/gobject.h"
#include "deb/tar.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;

// The file of a package being written; gone again unless Finish was reached.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path), temporary_(path + ".tmp") {
    fd_ = UniqueFd(
        open(temporary_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd_) throw FromErrno(errno, "Writing", temporary_);
  }
  ~Output() {
    if (fd_) unlink(temporary_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void Write(const char* data, size_t length) {
    while (length > 0) {
      const ssize_t count = write(fd_.get(), data, length);
      if (count < 0) {
        if (errno == EINTR) continue;
        throw FromErrno(errno, "Writing", temporary_);
      }
      data += count;
      length -= static_cast<size_t>(count);
    }
  }
  void Write(const std::string& text) { Write(text.data(), text.size()); }

  // The header of a member of the archive around the package.
  void Member(const char* name, uint64_t size) {
    char header[61];
    std::snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0,
                  "100644", static_cast<unsigned long long>(size));
    Write(header, 60);
  }

  void Finish() {
    if (rename(temporary_.c_str(), path_.c_str()) != 0) throw FromErrno(errno, "Writing", path_);
    fd_ = UniqueFd();
  }

 private:
  std::string path_;
  std::string temporary_;
  UniqueFd fd_;
};

class CommitReader {
 public:
  CommitReader(OstreeRepo* repo, const std::string& commit, JobContext& job)
      : repo_(repo), commit_(commit), job_(job) {
    SoundTrees(repo, job.cancellable()).Commit(commit);
    GError* error = nullptr;
    if (!ostree_repo_read_commit(repo, commit.c_str(), root_.out(), nullptr, job.cancellable(),
                                 &error)) {
      throw FromGError(error, "Reading a package's commit").Detail("ref", commit);
    }
  }

  GObjectPtr<GFile> At(const char* path) const {
    auto file = GObjectPtr<GFile>::Take(g_file_resolve_relative_path(root_.get(), path));
    GError* error = nullptr;
    if (!ostree_repo_file_ensure_resolved(OSTREE_REPO_FILE(file.get()), &error)) {
      g_clear_error(&error);
      throw NativeError("ERR_INVALID_ARG_VALUE", "Not the commit of a package: " + commit_)
          .Detail("ref", commit_);
    }
    return file;
  }

  struct Content {
    GObjectPtr<GInputStream> stream;
    uint64_t size = 0;
    uint32_t mode = 0;
  };
  Content Open(GFile* file) const {
    Content content;
    GObjectPtr<GFileInfo> info;
    GError* error = nullptr;
    if (!ostree_repo_load_file(repo_, ostree_repo_file_get_checksum(OSTREE_REPO_FILE(file)),
                               content.stream.out(), info.out(), nullptr, job_.cancellable(),
                               &error)) {
      throw FromGError(error, "Reading a package's commit").Detail("ref", commit_);
    }
    if (!content.stream) {
      throw NativeError("ERR_INVALID_ARG_VALUE", "Not the commit of a package: " + commit_)
          .Detail("ref", commit_);
    }
    content.size = static_cast<uint64_t>(g_file_info_get_size(info.get()));
    content.mode = g_file_info_get_attribute_uint32(info.get(), "unix::mode");
    return content;
  }

  // Calls `use` with each piece.
  template <typename Use>
  void Copy(const Content& content, const Use& use) const {
    auto buffer = std::make_unique<char[]>(kChunk);
    while (true) {
      GError* error = nullptr;
      const gssize count = g_input_stream_read(content.stream.get(), buffer.get(), kChunk,
                                               job_.cancellable(), &error);
      if (count < 0) throw FromGError(error, "Reading a package's commit").Detail("ref", commit_);
      if (count == 0) return;
      use(buffer.get(), static_cast<size_t>(count));
    }
  }

 private:
  OstreeRepo* repo_;
  std::string commit_;
  JobContext& job_;
  GObjectPtr<GFile> root_;
};

std::string ControlArchive(const CommitReader& commit, bool with_preinst, JobContext& job) {
  auto directory = commit.At("deb/control");
  GError* error = nullptr;
  auto members = GObjectPtr<GFileEnumerator>::Take(
      g_file_enumerate_children(directory.get(), "standard::name",
                                G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, job.cancellable(), &error));
  if (!members) throw FromGError(error, "Reading a package's commit");
  std::string archive = TarHeader("./", 0755, 0);
  while (true) {
    // Both are borrowed from the enumerator.
    GFileInfo* info = nullptr;
    GFile* file = nullptr;
    if (!g_file_enumerator_iterate(members.get(), &info, &file, job.cancellable(), &error)) {
      throw FromGError(error, "Reading a package's commit");
    }
    if (file == nullptr) break;
    const std::string name = g_file_info_get_name(info);
    if (name == "preinst" && !with_preinst) continue;
    const auto content = commit.Open(file);
    archive += TarHeader("./" + name, content.mode & 07777, content.size);
    commit.Copy(content,
                [&archive](const char* data, size_t length) { archive.append(data, length); });
    archive += TarPadding(content.size);
  }
  archive.append(2 * kTarBlock, '\0');
  return archive;
}

void WriteHollowDeb(OstreeRepo* repo, const HollowRequest& request, bool with_preinst,
                    JobContext& job) {
  const CommitReader commit(repo, request.commit, job);
  const std::string control = ControlArchive(commit, with_preinst, job);
  const auto data = commit.Open(commit.At("deb/hollow.tar").get());
  Output output(request.destination);
  output.Write("!<arch>\n");
  output.Member("debian-binary", 4);
  output.Write("2.0\n");
  // Whole blocks, so never an odd size.
  output.Member("control.tar", control.size());
  output.Write(control);
  output.Member("data.tar", data.size);
  commit.Copy(data, [&output](const char* bytes, size_t length) { output.Write(bytes, length); });
  output.Finish();
}

}  // namespace

std::string StubOf(const std::string& checksum) {
  std::string stub(kStubMagic);
  stub += checksum;
  stub += '\n';
  return stub;
}

std::string ChecksumOfStub(const char* bytes) {
  if (std::memcmp(bytes, kStubMagic.data(), kStubMagic.size()) != 0) return "";
  if (bytes[kStubSize - 1] != '\n') return "";
  std::string checksum(bytes + kStubMagic.size(), 64);
  if (checksum.find_first_not_of("0123456789abcdef") != std::string::npos) return "";
  return checksum;
}

void WriteHollowDebs(OstreeRepo* repo, const std::vector<HollowRequest>& requests,
                     bool with_preinst, JobContext& job) {
  for (const HollowRequest& request : requests) {
    job.ThrowIfCancelled();
    WriteHollowDeb(repo, request, with_preinst, job);
  }
}

}  // namespace apt_ostree
