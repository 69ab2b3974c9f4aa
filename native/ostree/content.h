// File content on its way into a repository, hashed by us (core/sha256.h) and not by libostree,
// whose hashing would be the slowest step of an import. Nothing big is held in memory.
#pragma once

#include <ostree.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/gobject.h"
#include "core/job.h"
#include "core/sha256.h"

namespace apt_ostree {

// Bytes in memory, and beyond some size in a nameless file of the repository's tmp directory.
class Spool {
 public:
  explicit Spool(OstreeRepo* repo) : repo_(repo) {}
  void Append(const void* data, size_t length);
  void Clear();
  uint64_t size() const { return size_; }
  // From the first byte on; valid until the next call of another member.
  GObjectPtr<GInputStream> Stream();

 private:
  void WriteOut(const char* data, size_t length);

  OstreeRepo* repo_;
  std::vector<char> memory_;
  UniqueFd file_;
  uint64_t size_ = 0;
};

struct FileAttributes {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0;           // with the file type
  GVariant* xattrs = nullptr;  // a(ayay) or null; borrowed
};

// `content` as libostree takes it, behind the header.
GObjectPtr<GInputStream> ObjectStream(const FileAttributes& attributes, GInputStream* content);
// What libostree hashes and stores before the content.
std::string ObjectHeader(const FileAttributes& attributes);

// One content object after the other, of one thread. The repository must be in a transaction.
class ContentWriter {
 public:
  ContentWriter(OstreeRepo* repo, const JobContext& job) : repo_(repo), job_(job), spool_(repo) {}
  void Begin(const FileAttributes& attributes);
  void Append(const void* data, size_t length);
  // Writes the object unless the repository has it; returns its checksum.
  std::string Finish();
  std::string Symlink(uint32_t uid, uint32_t gid, GVariant* xattrs, const std::string& target);
  // A directory's metadata object.
  std::string Directory(const FileAttributes& attributes);

 private:
  OstreeRepo* repo_;
  const JobContext& job_;
  Spool spool_;
  Sha256 hash_;
};

// 64 lower-case hex digits of a binary checksum.
std::string ChecksumText(const guchar* bytes);

}  // namespace apt_ostree
