// Bytes of a .deb on their way: the file, a member of it, a member decompressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/gobject.h"
#include "core/job.h"
#include "core/sha256.h"

namespace apt_ostree {

// The package is not what dpkg would accept.
NativeError Damaged(const std::string& text);
// The package is sound, but has something that a tree cannot hold.
NativeError Unsupported(const std::string& text);

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes; 0 at the end.
  virtual size_t Read(char* buffer, size_t size) = 0;
  // False at a clean end; throws ERR_DEB_DAMAGED naming `what` when the end comes in between.
  bool ReadExactly(char* buffer, size_t size, const char* what);
  // Reads to the end, so that check sums behind the last byte are looked at too.
  void Drain();
};

// The file itself, hashed as it is read.
class FileSource : public ByteSource {
 public:
  FileSource(const std::string& path, JobContext& job);
  size_t Read(char* buffer, size_t size) override;
  uint64_t size() const { return size_; }
  std::string Sha256Hex() { return hash_.Hex(); }

 private:
  JobContext& job_;
  std::string path_;
  UniqueFd fd_;
  uint64_t size_ = 0;
  Sha256 hash_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// The `ar` archive around a package. One member is open at a time.
class ArReader : public ByteSource {
 public:
  explicit ArReader(ByteSource& file);
  // Opens the next member (what is left of the last one is skipped); false at the end.
  bool Next();
  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  size_t Read(char* buffer, size_t size) override;

 private:
  ByteSource& file_;
  std::string name_;
  uint64_t size_ = 0;
  uint64_t left_ = 0;
};

// `member` decompressed; `suffix` is what follows ".tar" in its name ("", ".gz", ".xz", ...).
std::unique_ptr<ByteSource> Decompressed(ByteSource& member, const std::string& suffix);

}  // namespace apt_ostree
