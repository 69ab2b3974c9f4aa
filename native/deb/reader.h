// A .deb from begin to end: its control archive at once, then its data archive entry by entry.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/job.h"
#include "core/values.h"
#include "deb/source.h"
#include "deb/tar.h"

namespace apt_ostree {

// Where a package is: in a file, or in memory.
struct DebSource {
  std::string path;   // for messages, and where `bytes` is null
  SharedBytes bytes;  // may be null
};

struct ControlMember {
  std::string name;
  uint32_t mode = 0;
  std::string content;
};

// Used by one job after the other, on whichever threads they run.
class DebReader {
 public:
  // Reads as far as the begin of the data archive.
  DebReader(const DebSource& source, JobContext& job);
  DebReader(const DebReader&) = delete;
  DebReader& operator=(const DebReader&) = delete;

  const std::vector<ControlMember>& control() const { return control_; }
  // "", ".gz", ".xz", ...
  const std::string& control_compression() const { return control_compression_; }
  const std::string& data_compression() const { return data_compression_; }
  uint64_t size() const { return input_.size(); }

  // The next entry of the data archive; what is left of the last one is skipped. False at the
  // end, when all of the file has been read and found sound.
  bool Next(TarEntry& entry, JobContext& job);
  // Content of the entry; 0 at its end.
  size_t Read(char* buffer, size_t size, JobContext& job);
  // The data archive itself, instead of Next and Read.
  size_t ReadArchive(char* buffer, size_t size, JobContext& job);

 private:
  class Input : public ByteSource {
   public:
    explicit Input(const DebSource& source);
    size_t Read(char* buffer, size_t size) override;
    uint64_t size() const { return size_; }
    // Whose wish to stop counts.
    void Use(JobContext& job) { job_ = &job; }

   private:
    const DebSource source_;
    JobContext* job_ = nullptr;
    UniqueFd fd_;
    uint64_t size_ = 0;
    uint64_t position_ = 0;
    std::unique_ptr<char[]> buffer_;
    size_t begin_ = 0;
    size_t end_ = 0;
  };
  // Sets the job before any member that reads is made.
  static Input& Using(Input& input, JobContext& job);
  void ReadFormat();
  void ReadControl(const std::string& suffix);
  void Finish();

  Input input_;
  ArReader ar_;
  std::string control_compression_;
  std::string data_compression_;
  std::vector<ControlMember> control_;
  std::unique_ptr<ByteSource> data_;
  std::unique_ptr<TarReader> tar_;
  bool finished_ = false;
};

// Makes an exception about a package tell of which file it is.
template <typename Call>
auto NamingPath(const std::string& path, Call call) {
  try {
    return call();
  } catch (NativeError& error) {
    if (error.code().rfind("ERR_DEB_", 0) == 0 && !path.empty()) error.Detail("path", path);
    throw;
  }
}

}  // namespace apt_ostree
