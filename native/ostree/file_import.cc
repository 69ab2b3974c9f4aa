#include "ostree/file_import.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/directory.h"
#include "core/error.h"
#include "core/sha256.h"
#include "ostree/content.h"
#include "ostree/names.h"

namespace apt_ostree {

namespace {

// Smaller files are read straight into memory; others go through the writer's spool.
constexpr size_t kInMemory = 1024 * 1024;
constexpr size_t kHeaderSpace = 128 * 1024;
constexpr size_t kChunk = 256 * 1024;
constexpr size_t kLinkTarget = 256;  // most are shorter

constexpr size_t kDirectoryName = 2;
constexpr size_t kObjectName = OSTREE_SHA256_STRING_LEN - kDirectoryName;

}  // namespace

ObjectLinks::ObjectLinks(OstreeRepo* repo, const JobContext& job) {
  const std::string path = "objects";
  const UniqueFd objects(
      openat(ostree_repo_get_dfd(repo), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info;
  if (!objects || fstat(objects.get(), &info) != 0) throw FromErrno(errno, "Reading", path);
  device_ = info.st_dev;
  for (const DirectoryEntry& directory : ReadDirectory(objects.get(), path)) {
    if (directory.name.size() != kDirectoryName || directory.type != DT_DIR) continue;
    job.ThrowIfCancelled();
    const UniqueFd child(openat(objects.get(), directory.name.c_str(),
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child) throw FromErrno(errno, "Reading", path + "/" + directory.name);
    for (const DirectoryEntry& object : ReadDirectory(child.get(), path + "/" + directory.name)) {
      if (object.name.size() != kObjectName + std::strlen(".file") ||
          object.name.compare(kObjectName, std::string::npos, ".file") != 0) {
        continue;
      }
      std::string checksum = directory.name + object.name.substr(0, kObjectName);
      if (IsChecksum(checksum)) objects_.emplace(object.inode, std::move(checksum));
    }
  }
}

const std::string* ObjectLinks::Find(const struct stat& info) const {
  if (info.st_dev != device_ || info.st_nlink < 2) return nullptr;
  const auto found = objects_.find(info.st_ino);
  return found == objects_.end() ? nullptr : &found->second;
}

std::string FileHeader(uint32_t uid, uint32_t gid, uint32_t mode, GVariant* xattrs) {
  const VariantPtr none =
      xattrs != nullptr
          ? VariantPtr()
          : VariantPtr::Sink(g_variant_new_array(G_VARIANT_TYPE("(ayay)"), nullptr, 0));
  const VariantPtr header = VariantPtr::Sink(
      g_variant_new("(uuuus@a(ayay))", GUINT32_TO_BE(uid), GUINT32_TO_BE(gid), GUINT32_TO_BE(mode),
                    0, "", xattrs != nullptr ? xattrs : none.get()));
  const gsize size = g_variant_get_size(header.get());
  // Its length, big endian, and padding to eight bytes.
  std::string bytes(8, '\0');
  const uint32_t length = GUINT32_TO_BE(static_cast<uint32_t>(size));
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes.append(static_cast<const char*>(g_variant_get_data(header.get())), size);
  return bytes;
}

FileImporter::FileImporter(OstreeRepo* repo, const JobContext& job, bool skip_xattrs,
                           const XattrRules& rules)
    : repo_(repo), job_(job), skip_xattrs_(skip_xattrs), rules_(rules), writer_(repo, job) {}

void FileImporter::Import(int directory, FileItem& item) {
  if (S_ISLNK(item.entry.mode)) {
    Link(directory, item);
  } else {
    Regular(directory, item);
  }
}

void FileImporter::Regular(int directory, FileItem& item) {
  const UniqueFd fd(openat(directory, item.name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) throw FromErrno(errno, "Opening", item.entry.path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw FromErrno(errno, "Reading", item.entry.path);
  // It may have been replaced since the directory was read.
  if (!S_ISREG(info.st_mode)) {
    throw NativeError("ERR_OSTREE_FAILED", "Not a regular file any more: " + item.entry.path)
        .Detail("path", item.entry.path);
  }
  VariantPtr xattrs;
  if (!skip_xattrs_) xattrs = item.source_xattrs;
  if (!skip_xattrs_ && !xattrs) {
    GError* error = nullptr;
    xattrs = VariantPtr::Take(ostree_fs_get_all_xattrs(fd.get(), job_.cancellable(), &error));
    if (!xattrs) {
      throw FromGError(error, "Reading extended attributes").Detail("path", item.entry.path);
    }
  }
  const std::vector<uint32_t>& rules = item.entry.xattr_rules;
  if (!rules.empty()) xattrs = rules_.Apply(rules, xattrs.get());
  if (static_cast<uint64_t>(info.st_size) < kInMemory) {
    Small(fd.get(), item, xattrs.get());
  } else {
    Large(fd.get(), item, xattrs.get());
  }
  item.read = true;
}

size_t FileImporter::Read(int fd, char* buffer, size_t length, const std::string& path) {
  while (true) {
    const ssize_t count = read(fd, buffer, length);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) throw FromErrno(errno, "Reading", path);
  }
}

// Reads the file once, behind its header, and hands libostree both from memory.
void FileImporter::Small(int fd, FileItem& item, GVariant* xattrs) {
  const ImportEntry& entry = item.entry;
  const std::string header = FileHeader(entry.uid, entry.gid, entry.mode, xattrs);
  if (header.size() > kHeaderSpace) {
    Large(fd, item, xattrs);
    return;
  }
  if (buffer_.size() < kHeaderSpace + kInMemory) buffer_.resize(kHeaderSpace + kInMemory);
  std::copy(header.begin(), header.end(), buffer_.begin());
  size_t length = header.size();
  while (true) {
    const size_t space = header.size() + kInMemory - length;
    if (space == 0) {
      // It has grown meanwhile.
      if (lseek(fd, 0, SEEK_SET) != 0) throw FromErrno(errno, "Reading", entry.path);
      Large(fd, item, xattrs);
      return;
    }
    const size_t count = Read(fd, buffer_.data() + length, space, entry.path);
    if (count == 0) break;
    length += count;
  }
  item.entry.size = length - header.size();
  Sha256 hash;
  hash.Update(buffer_.data(), length);
  item.checksum = hash.Hex();
  const auto object = GObjectPtr<GInputStream>::Take(
      g_memory_input_stream_new_from_data(buffer_.data(), static_cast<gssize>(length), nullptr));
  Write(item, object.get(), length);
}

// A copy is what gets hashed and written: a file that changes meanwhile must not become an object
// under the checksum of its former content.
void FileImporter::Large(int fd, FileItem& item, GVariant* xattrs) {
  const ImportEntry& entry = item.entry;
  if (buffer_.size() < kChunk) buffer_.resize(kChunk);
  writer_.Begin({entry.uid, entry.gid, entry.mode, xattrs});
  uint64_t size = 0;
  while (true) {
    job_.ThrowIfCancelled();
    const size_t count = Read(fd, buffer_.data(), kChunk, entry.path);
    if (count == 0) break;
    writer_.Append(buffer_.data(), count);
    size += count;
  }
  item.entry.size = size;
  item.checksum = writer_.Finish();
}

void FileImporter::Write(FileItem& item, GInputStream* object, uint64_t length) {
  GError* error = nullptr;
  if (!ostree_repo_write_content_trusted(repo_, item.checksum.c_str(), object, length,
                                         job_.cancellable(), &error)) {
    throw FromGError(error, "Writing an object").Detail("path", item.entry.path);
  }
}

void FileImporter::Link(int directory, FileItem& item) {
  const ImportEntry& entry = item.entry;
  std::string target(kLinkTarget, '\0');
  while (true) {
    const ssize_t length = readlinkat(directory, item.name.c_str(), target.data(), target.size());
    if (length < 0) throw FromErrno(errno, "Reading", entry.path);
    if (static_cast<size_t>(length) < target.size()) {
      target.resize(static_cast<size_t>(length));
      break;
    }
    target.resize(target.size() * 2);
  }
  if (!g_utf8_validate(target.data(), static_cast<gssize>(target.size()), nullptr)) {
    throw NativeError("ERR_OSTREE_FAILED",
                      "OSTree cannot hold a link target that is not UTF-8: " + entry.path)
        .Detail("path", entry.path);
  }
  GError* error = nullptr;
  VariantPtr xattrs;
  if (!skip_xattrs_) {
    xattrs = VariantPtr::Take(
        ostree_fs_get_all_xattrs_at(directory, item.name.c_str(), job_.cancellable(), &error));
    if (!xattrs) {
      throw FromGError(error, "Reading extended attributes").Detail("path", entry.path);
    }
  }
  if (!entry.xattr_rules.empty()) xattrs = rules_.Apply(entry.xattr_rules, xattrs.get());
  GStringPtr checksum(ostree_repo_write_symlink(repo_, nullptr, entry.uid, entry.gid, xattrs.get(),
                                                target.c_str(), job_.cancellable(), &error));
  if (!checksum) throw FromGError(error, "Writing a symbolic link").Detail("path", entry.path);
  item.checksum = checksum.get();
}

}  // namespace apt_ostree
