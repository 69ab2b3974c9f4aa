#include "ostree/content.h"

#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace apt_ostree {

namespace {

constexpr size_t kInMemory = 4 * 1024 * 1024;

// Some file systems know no nameless files: there a name for a moment.
UniqueFd TemporaryFile(int directory) {
  UniqueFd fd(openat(directory, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  static std::atomic<unsigned> counter{0};
  const std::string name =
      "tmp/apt-ostree-" + std::to_string(getpid()) + "-" + std::to_string(++counter);
  fd = UniqueFd(openat(directory, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) throw FromErrno(errno, "Making a temporary file in the repository", "");
  unlinkat(directory, name.c_str(), 0);
  return fd;
}

}  // namespace

void Spool::WriteOut(const char* data, size_t length) {
  while (length > 0) {
    const ssize_t count = write(file_.get(), data, length);
    if (count < 0) {
      if (errno == EINTR) continue;
      throw FromErrno(errno, "Writing a temporary file in the repository", "");
    }
    data += count;
    length -= static_cast<size_t>(count);
  }
}

void Spool::Append(const void* data, size_t length) {
  const char* bytes = static_cast<const char*>(data);
  if (!file_ && memory_.size() + length > kInMemory) {
    file_ = TemporaryFile(ostree_repo_get_dfd(repo_));
    WriteOut(memory_.data(), memory_.size());
    memory_.clear();
  }
  if (file_) {
    WriteOut(bytes, length);
  } else {
    memory_.insert(memory_.end(), bytes, bytes + length);
  }
  size_ += length;
}

void Spool::Clear() {
  memory_.clear();
  file_ = UniqueFd();
  size_ = 0;
}

GObjectPtr<GInputStream> Spool::Stream() {
  if (!file_) {
    return GObjectPtr<GInputStream>::Take(g_memory_input_stream_new_from_data(
        memory_.data(), static_cast<gssize>(memory_.size()), nullptr));
  }
  if (lseek(file_.get(), 0, SEEK_SET) != 0) {
    throw FromErrno(errno, "Reading a temporary file in the repository", "");
  }
  return GObjectPtr<GInputStream>::Take(g_unix_input_stream_new(file_.get(), FALSE));
}

namespace {

GObjectPtr<GFileInfo> InfoOf(const FileAttributes& attributes) {
  auto info = GObjectPtr<GFileInfo>::Take(g_file_info_new());
  g_file_info_set_file_type(info.get(),
                            S_ISDIR(attributes.mode) ? G_FILE_TYPE_DIRECTORY : G_FILE_TYPE_REGULAR);
  g_file_info_set_size(info.get(), 0);
  g_file_info_set_attribute_uint32(info.get(), "unix::uid", attributes.uid);
  g_file_info_set_attribute_uint32(info.get(), "unix::gid", attributes.gid);
  g_file_info_set_attribute_uint32(info.get(), "unix::mode", attributes.mode);
  return info;
}

}  // namespace

GObjectPtr<GInputStream> ObjectStream(const FileAttributes& attributes, GInputStream* content) {
  GObjectPtr<GInputStream> stream;
  guint64 length = 0;
  GError* error = nullptr;
  if (!ostree_raw_file_to_content_stream(content, InfoOf(attributes).get(), attributes.xattrs,
                                         stream.out(), &length, nullptr, &error)) {
    throw FromGError(error, "Making an object's header");
  }
  return stream;
}

std::string ObjectHeader(const FileAttributes& attributes) {
  auto empty = GObjectPtr<GInputStream>::Take(g_memory_input_stream_new());
  auto stream = ObjectStream(attributes, empty.get());
  std::string header;
  char buffer[1024];
  while (true) {
    GError* error = nullptr;
    const gssize count = g_input_stream_read(stream.get(), buffer, sizeof buffer, nullptr, &error);
    if (count < 0) throw FromGError(error, "Making an object's header");
    if (count == 0) return header;
    header.append(buffer, static_cast<size_t>(count));
  }
}

void ContentWriter::Begin(const FileAttributes& attributes) {
  const std::string header = ObjectHeader(attributes);
  spool_.Clear();
  hash_ = Sha256();
  Append(header.data(), header.size());
}

void ContentWriter::Append(const void* data, size_t length) {
  hash_.Update(data, length);
  spool_.Append(data, length);
}

std::string ContentWriter::Finish() {
  std::string checksum = hash_.Hex();
  gboolean present = FALSE;
  GError* error = nullptr;
  if (!ostree_repo_has_object(repo_, OSTREE_OBJECT_TYPE_FILE, checksum.c_str(), &present,
                              job_.cancellable(), &error)) {
    throw FromGError(error, "Looking for an object");
  }
  if (!present) {
    auto stream = spool_.Stream();
    if (!ostree_repo_write_content_trusted(repo_, checksum.c_str(), stream.get(), spool_.size(),
                                           job_.cancellable(), &error)) {
      throw FromGError(error, "Writing an object");
    }
  }
  spool_.Clear();
  return checksum;
}

std::string ContentWriter::Symlink(uint32_t uid, uint32_t gid, GVariant* xattrs,
                                   const std::string& target) {
  GError* error = nullptr;
  GStringPtr checksum(ostree_repo_write_symlink(repo_, nullptr, uid, gid, xattrs, target.c_str(),
                                                job_.cancellable(), &error));
  if (!checksum) throw FromGError(error, "Writing a symbolic link");
  return checksum.get();
}

std::string ContentWriter::Directory(const FileAttributes& attributes) {
  auto metadata = VariantPtr::Take(
      ostree_create_directory_metadata(InfoOf(attributes).get(), attributes.xattrs));
  GError* error = nullptr;
  std::unique_ptr<guchar, FreeWith<g_free>> bytes;
  if (!ostree_repo_write_metadata(repo_, OSTREE_OBJECT_TYPE_DIR_META, nullptr, metadata.get(),
                                  Out(bytes), job_.cancellable(), &error)) {
    throw FromGError(error, "Writing a directory's metadata");
  }
  return ChecksumText(bytes.get());
}

std::string ChecksumText(const guchar* bytes) {
  GStringPtr text(ostree_checksum_from_bytes(bytes));
  return text.get();
}

}  // namespace apt_ostree
