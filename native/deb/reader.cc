#include "deb/reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "deb/tree_builder.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;
// Held in memory, all together; Debian's largest are far below this.
constexpr uint64_t kLargestControl = 64 * 1024 * 1024;

// "data.tar.xz" -> ".xz" for stem "data.tar"; absent for other members.
std::optional<std::string> SuffixAfter(const std::string& name, const std::string& stem) {
  if (name.compare(0, stem.size(), stem) != 0) return std::nullopt;
  const std::string suffix = name.substr(stem.size());
  if (!suffix.empty() && suffix[0] != '.') return std::nullopt;
  return suffix;
}

}  // namespace

DebReader::Input::Input(const DebSource& source) : source_(source) {
  if (source_.bytes != nullptr) {
    size_ = g_bytes_get_size(source_.bytes.get());
    return;
  }
  // A pipe without a writer must not hold the thread up.
  fd_ = UniqueFd(open(source_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd_) throw FromErrno(errno, "Opening", source_.path);
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) throw FromErrno(errno, "Reading", source_.path);
  if (!S_ISREG(info.st_mode)) throw Damaged("not a regular file");
  size_ = static_cast<uint64_t>(info.st_size);
  buffer_ = std::make_unique<char[]>(kChunk);
}

size_t DebReader::Input::Read(char* buffer, size_t size) {
  job_->ThrowIfCancelled();
  if (source_.bytes != nullptr) {
    const auto* data = static_cast<const char*>(g_bytes_get_data(source_.bytes.get(), nullptr));
    const size_t count = static_cast<size_t>(std::min<uint64_t>(size, size_ - position_));
    if (count > 0) std::memcpy(buffer, data + position_, count);
    position_ += count;
    return count;
  }
  if (begin_ == end_) {
    ssize_t got;
    do {
      got = read(fd_.get(), buffer_.get(), kChunk);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw FromErrno(errno, "Reading", source_.path);
    begin_ = 0;
    end_ = static_cast<size_t>(got);
  }
  const size_t count = std::min(size, end_ - begin_);
  if (count > 0) std::memcpy(buffer, buffer_.get() + begin_, count);
  begin_ += count;
  return count;
}

DebReader::Input& DebReader::Using(Input& input, JobContext& job) {
  input.Use(job);
  return input;
}

DebReader::DebReader(const DebSource& source, JobContext& job)
    : input_(source), ar_(Using(input_, job)) {
  ReadFormat();
  bool have_control = false;
  while (data_ == nullptr) {
    if (!ar_.Next()) throw Damaged(have_control ? "no data archive" : "no control archive");
    if (const auto control = SuffixAfter(ar_.name(), "control.tar"); control && !have_control) {
      ReadControl(*control);
      have_control = true;
    } else if (const auto data = SuffixAfter(ar_.name(), "data.tar"); data && have_control) {
      data_compression_ = *data;
      data_ = Decompressed(ar_, *data);
    } else if (ar_.name().empty() || ar_.name()[0] != '_') {
      throw Damaged("unexpected member " + ar_.name());
    }
  }
}

void DebReader::ReadFormat() {
  if (!ar_.Next() || ar_.name() != "debian-binary") throw Damaged("no debian-binary member");
  char version[4] = {};
  if (!ar_.ReadExactly(version, 3, "debian-binary") || version[0] < '0' || version[0] > '9') {
    throw Damaged("debian-binary has no version");
  }
  if (version[0] != '2' || version[1] != '.') throw Unsupported("its format is not 2.x");
}

void DebReader::ReadControl(const std::string& suffix) {
  control_compression_ = suffix;
  auto source = Decompressed(ar_, suffix);
  TarReader tar(*source);
  TarEntry entry;
  uint64_t total = 0;
  while (tar.Next(entry)) {
    std::string name = CleanPath(entry.name);
    if (entry.type == TarEntry::Type::kDirectory && name.empty()) continue;
    if (entry.type != TarEntry::Type::kFile || name.find('/') != std::string::npos) {
      throw Unsupported("the control archive has more than plain files: " + entry.name);
    }
    total += entry.size;
    if (entry.size > kLargestControl || total > kLargestControl) {
      throw Unsupported("its control archive is too large");
    }
    ControlMember member{std::move(name), entry.mode, std::string(entry.size, '\0')};
    if (entry.size > 0) tar.ReadExactly(member.content.data(), entry.size, member.name.c_str());
    control_.push_back(std::move(member));
  }
  source->Drain();
  ar_.Drain();
}

bool DebReader::Next(TarEntry& entry, JobContext& job) {
  input_.Use(job);
  if (finished_) return false;
  if (tar_ == nullptr) tar_ = std::make_unique<TarReader>(*data_);
  if (tar_->Next(entry)) return true;
  Finish();
  return false;
}

size_t DebReader::Read(char* buffer, size_t size, JobContext& job) {
  input_.Use(job);
  return finished_ || tar_ == nullptr ? 0 : tar_->Read(buffer, size);
}

size_t DebReader::ReadArchive(char* buffer, size_t size, JobContext& job) {
  input_.Use(job);
  if (finished_) return 0;
  const size_t got = data_->Read(buffer, size);
  if (got == 0) Finish();
  return got;
}

void DebReader::Finish() {
  data_->Drain();
  ar_.Drain();
  while (ar_.Next()) {
    if (ar_.name().empty() || ar_.name()[0] != '_')
      throw Damaged("unexpected member " + ar_.name());
  }
  finished_ = true;
}

}  // namespace apt_ostree
