// tar as dpkg reads and writes it: v7, ustar and GNU headers with long names. Not libarchive's
// reader, because a hollow package must repeat every header byte for byte.
#pragma once

#include <cstdint>
#include <string>

#include "deb/source.h"

namespace apt_ostree {

constexpr size_t kTarBlock = 512;

struct TarEntry {
  enum class Type { kFile, kHardLink, kSymlink, kDirectory, kCharacter, kBlock, kPipe };
  Type type = Type::kFile;
  std::string name;  // as in the archive
  std::string link;
  uint64_t size = 0;
  uint32_t mode = 0;  // permission bits only
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string user;
  std::string group;
  int64_t modified = 0;  // seconds
  uint32_t major = 0;    // of devices
  uint32_t minor = 0;
  // The header blocks as they were, those of long names included.
  std::string raw;
};

class TarReader : public ByteSource {
 public:
  explicit TarReader(ByteSource& source) : source_(source) {}
  // What is left of the last entry is skipped. False at the end of the archive.
  bool Next(TarEntry& entry);
  // Content of the entry.
  size_t Read(char* buffer, size_t size) override;

 private:
  std::string LongName(uint64_t size, TarEntry& entry);

  ByteSource& source_;
  uint64_t left_ = 0;
  size_t padding_ = 0;
};

// The same header with another size; `raw` as in TarEntry.
std::string TarHeaderWithSize(std::string raw, uint64_t size);
// A header for a regular file or (name ending in '/') a directory of root, time 0.
std::string TarHeader(const std::string& name, uint32_t mode, uint64_t size);
// Zeros that fill `size` bytes up to whole blocks.
std::string TarPadding(uint64_t size);

}  // namespace apt_ostree
