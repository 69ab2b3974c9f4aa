#include "deb/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "core/open.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;

}  // namespace

NativeError Damaged(const std::string& text) {
  return NativeError("ERR_DEB_DAMAGED", "Damaged package: " + text);
}

NativeError Unsupported(const std::string& text) {
  return NativeError("ERR_DEB_UNSUPPORTED", "Unsupported package: " + text);
}

bool ByteSource::ReadExactly(char* buffer, size_t size, const char* what) {
  size_t have = 0;
  while (have < size) {
    const size_t got = Read(buffer + have, size - have);
    if (got == 0) {
      if (have == 0) return false;
      throw Damaged(std::string("truncated in ") + what);
    }
    have += got;
  }
  return true;
}

void ByteSource::Drain() {
  // Most of the time nothing is left, and there may be many small files to drain.
  char first[4096];
  if (Read(first, sizeof first) == 0) return;
  auto buffer = std::make_unique_for_overwrite<char[]>(kChunk);
  while (Read(buffer.get(), kChunk) > 0) {
  }
}

FileSource::FileSource(const std::string& path, JobContext& job)
    : job_(job), path_(path), buffer_(std::make_unique<char[]>(kChunk)) {
  fd_ = OpenToRead(path, "Opening");
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) throw FromErrno(errno, "Reading", path);
  if (!S_ISREG(info.st_mode)) throw Damaged("not a regular file");
  size_ = static_cast<uint64_t>(info.st_size);
  posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

size_t FileSource::Read(char* buffer, size_t size) {
  if (begin_ == end_) {
    job_.ThrowIfCancelled();
    ssize_t got;
    do {
      got = read(fd_.get(), buffer_.get(), kChunk);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw FromErrno(errno, "Reading", path_);
    hash_.Update(buffer_.get(), static_cast<size_t>(got));
    begin_ = 0;
    end_ = static_cast<size_t>(got);
  }
  const size_t count = std::min(size, end_ - begin_);
  std::memcpy(buffer, buffer_.get() + begin_, count);
  begin_ += count;
  return count;
}

namespace {

constexpr char kArMagic[] = "!<arch>\n";

// The fixed header of a member: text fields padded with spaces.
struct ArHeader {
  char name[16];
  char date[12];
  char uid[6];
  char gid[6];
  char mode[8];
  char size[10];
  char end[2];
};
static_assert(sizeof(ArHeader) == 60);

}  // namespace

ArReader::ArReader(ByteSource& file) : file_(file) {
  char magic[sizeof kArMagic - 1];
  if (!file_.ReadExactly(magic, sizeof magic, "the archive's first line") ||
      std::memcmp(magic, kArMagic, sizeof magic) != 0) {
    throw Damaged("not a Debian archive");
  }
}

bool ArReader::Next() {
  Drain();
  // Members start at even offsets.
  if (size_ % 2 != 0) {
    char padding;
    file_.Read(&padding, 1);
  }
  size_ = 0;
  ArHeader header;
  if (!file_.ReadExactly(reinterpret_cast<char*>(&header), sizeof header, "a member's header")) {
    return false;
  }
  if (std::memcmp(header.end, "`\n", 2) != 0) throw Damaged("a member's header is not one");
  name_.assign(header.name, sizeof header.name);
  name_.erase(name_.find_last_not_of(" /") + 1);
  uint64_t size = 0;
  size_t digits = 0;
  for (; digits < sizeof header.size && header.size[digits] != ' '; ++digits) {
    const char digit = header.size[digits];
    if (digit < '0' || digit > '9') throw Damaged("a member's size is not a number");
    size = size * 10 + static_cast<uint64_t>(digit - '0');
  }
  if (digits == 0) throw Damaged("a member has no size");
  size_ = left_ = size;
  return true;
}

size_t ArReader::Read(char* buffer, size_t size) {
  if (left_ == 0) return 0;
  const size_t got = file_.Read(buffer, static_cast<size_t>(std::min<uint64_t>(left_, size)));
  if (got == 0) throw Damaged("truncated in member " + name_);
  left_ -= got;
  return got;
}

namespace {

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(ByteSource& member) : member_(member) {}
  size_t Read(char* buffer, size_t size) override { return member_.Read(buffer, size); }

 private:
  ByteSource& member_;
};

// gzip by zlib, because libarchive does not look at gzip's check sums.
class GzipSource : public ByteSource {
 public:
  explicit GzipSource(ByteSource& member)
      : member_(member),
        zlib_(GObjectPtr<GZlibDecompressor>::Take(
            g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP))),
        input_(std::make_unique<char[]>(kChunk)) {}

  size_t Read(char* buffer, size_t size) override {
    while (true) {
      if (begin_ == end_ && !at_end_) {
        begin_ = 0;
        end_ = member_.Read(input_.get(), kChunk);
        at_end_ = end_ == 0;
      }
      // Between two streams, which may follow each other.
      if (finished_) {
        if (at_end_) return 0;
        g_converter_reset(G_CONVERTER(zlib_.get()));
        finished_ = false;
      }
      gsize read = 0;
      gsize written = 0;
      GError* error = nullptr;
      const GConverterResult result = g_converter_convert(
          G_CONVERTER(zlib_.get()), input_.get() + begin_, end_ - begin_, buffer, size,
          at_end_ ? G_CONVERTER_INPUT_AT_END : G_CONVERTER_NO_FLAGS, &read, &written, &error);
      if (result == G_CONVERTER_ERROR) {
        const bool wants_more =
            !at_end_ && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT);
        const std::string text = error->message;
        g_clear_error(&error);
        // Only an empty input buffer is possible here: zlib takes all that it gets.
        if (wants_more) continue;
        throw Damaged("gzip: " + text);
      }
      begin_ += read;
      if (result == G_CONVERTER_FINISHED) finished_ = true;
      if (written > 0) return written;
    }
  }

 private:
  ByteSource& member_;
  GObjectPtr<GZlibDecompressor> zlib_;
  std::unique_ptr<char[]> input_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool at_end_ = false;
  bool finished_ = false;
};

// xz, zstd, bzip2 and lzma by libarchive's filters over a raw stream.
class FilterSource : public ByteSource {
 public:
  FilterSource(ByteSource& member, int (*support)(struct archive*), const std::string& name)
      : member_(member), input_(std::make_unique<char[]>(kChunk)), archive_(archive_read_new()) {
    struct archive* reader = archive_.get();
    Check(support(reader));
    archive_read_support_format_raw(reader);
    Check(archive_read_open(reader, this, nullptr, &FilterSource::Feed, nullptr));
    struct archive_entry* entry;
    Check(archive_read_next_header(reader, &entry));
    // Without the filter's own magic libarchive would pass the bytes through as they are.
    if (archive_filter_count(reader) != 2) throw Damaged("not " + name + " data");
  }

  size_t Read(char* buffer, size_t size) override {
    const la_ssize_t got = archive_read_data(archive_.get(), buffer, size);
    if (got < 0) Check(static_cast<int>(got));
    return static_cast<size_t>(got);
  }

 private:
  struct Free {
    void operator()(struct archive* reader) const { archive_read_free(reader); }
  };

  static la_ssize_t Feed(struct archive* reader, void* data, const void** buffer) {
    auto* self = static_cast<FilterSource*>(data);
    // No exception may cross libarchive's frames: it is kept and thrown by Check.
    try {
      *buffer = self->input_.get();
      return static_cast<la_ssize_t>(self->member_.Read(self->input_.get(), kChunk));
    } catch (...) {
      self->failure_ = std::current_exception();
      archive_set_error(reader, EIO, "input failed");
      return ARCHIVE_FATAL;
    }
  }

  void Check(int result) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (result >= ARCHIVE_WARN) return;
    const char* text = archive_error_string(archive_.get());
    throw Damaged(text != nullptr ? text : "cannot be decompressed");
  }

  ByteSource& member_;
  std::unique_ptr<char[]> input_;
  std::exception_ptr failure_;
  std::unique_ptr<struct archive, Free> archive_;
};

}  // namespace

std::unique_ptr<ByteSource> Decompressed(ByteSource& member, const std::string& suffix) {
  if (suffix.empty()) return std::make_unique<PlainSource>(member);
  if (suffix == ".gz") return std::make_unique<GzipSource>(member);
  if (suffix == ".xz") {
    return std::make_unique<FilterSource>(member, archive_read_support_filter_xz, "xz");
  }
  if (suffix == ".zst") {
    return std::make_unique<FilterSource>(member, archive_read_support_filter_zstd, "zstd");
  }
  if (suffix == ".bz2") {
    return std::make_unique<FilterSource>(member, archive_read_support_filter_bzip2, "bzip2");
  }
  if (suffix == ".lzma") {
    return std::make_unique<FilterSource>(member, archive_read_support_filter_lzma, "lzma");
  }
  throw Unsupported("unknown compression " + suffix);
}

}  // namespace apt_ostree
