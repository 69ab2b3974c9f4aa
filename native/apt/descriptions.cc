#include "apt/descriptions.h"

#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <tuple>

#include "apt/context.h"

namespace apt_ostree::apt {

namespace {

constexpr size_t kBlock = size_t{256} << 10;
constexpr size_t kMostThreads = 4;

bool IsText(const std::string& path) {
  // As the library decides: by the name.
  for (const char* ending : {".gz", ".bz2", ".xz", ".lzma", ".lz4", ".zst", ".deb"}) {
    const size_t length = std::strlen(ending);
    if (path.size() > length && path.compare(path.size() - length, length, ending) == 0) {
      return false;
    }
  }
  return true;
}

// Reads a file forward in blocks. A mapping would be no slower, but a file that is cut short
// under it ends the process.
class Reader {
 public:
  Reader(const std::string& path, std::shared_ptr<const std::string> content)
      : content_(std::move(content)),
        file_(content_ != nullptr ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

  // What lies at `offset`: `wanted` bytes, or fewer at the end of the file.
  std::string_view At(uint64_t offset, size_t wanted) {
    if (content_ != nullptr) {
      return offset < content_->size() ? std::string_view(*content_).substr(offset, wanted)
                                       : std::string_view();
    }
    if (offset < start_ || offset + wanted > start_ + size_) Fill(offset, wanted);
    if (offset >= start_ + size_) return {};
    return std::string_view(block_).substr(offset - start_,
                                           std::min<size_t>(wanted, start_ + size_ - offset));
  }

 private:
  void Fill(uint64_t offset, size_t wanted) {
    block_.resize(std::max(kBlock, wanted));
    start_ = offset;
    size_ = 0;
    while (file_.get() >= 0 && size_ < block_.size()) {
      const ssize_t count = pread(file_.get(), block_.data() + size_, block_.size() - size_,
                                  static_cast<off_t>(start_ + size_));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      size_ += static_cast<size_t>(count);
    }
  }

  const std::shared_ptr<const std::string> content_;
  const FileDescriptor file_;
  std::string block_;
  uint64_t start_ = 0;
  size_t size_ = 0;
};

// The value of the description field of the record at the start of `text`; false in `whole` where
// the text ends before the record does.
std::string_view Field(std::string_view text, std::string_view language, bool& whole) {
  constexpr std::string_view kName = "Description";
  std::string_view plain;
  size_t line = 0;
  const auto trimmed = [](std::string_view value) {
    const size_t start = value.find_first_not_of(" \t");
    return start == std::string_view::npos ? std::string_view() : value.substr(start);
  };
  const auto end_of = [&text](size_t from) {
    const void* feed = std::memchr(text.data() + from, '\n', text.size() - from);
    return feed == nullptr ? text.size() : static_cast<const char*>(feed) - text.data();
  };
  while (line < text.size() && text[line] != '\n') {
    size_t end = end_of(line);
    // A value goes on in lines that begin with a blank.
    while (end + 1 < text.size() && (text[end + 1] == ' ' || text[end + 1] == '\t')) {
      end = end_of(end + 1);
    }
    std::string_view field = text.substr(line, end - line);
    line = end + 1;
    if (field.size() <= kName.size() ||
        strncasecmp(field.data(), kName.data(), kName.size()) != 0) {
      continue;
    }
    field.remove_prefix(kName.size());
    if (field[0] == ':') {
      plain = field.substr(1);
    } else if (!language.empty() && field.size() > language.size() + 1 && field[0] == '-' &&
               field[language.size() + 1] == ':' &&
               field.compare(1, language.size(), language) == 0) {
      whole = line < text.size();
      return trimmed(field.substr(language.size() + 2));
    }
  }
  whole = line < text.size();
  return trimmed(plain);
}

bool IsTranslated(pkgCache::VerIterator version) {
  for (pkgCache::DescIterator one = version.DescriptionList(); !one.end(); ++one) {
    if (one.LanguageCode()[0] != '\0' && !one.FileList().end()) return true;
  }
  return false;
}

void Lower(std::string_view from, std::string& to) {
  to.resize(from.size());
  // Only ASCII: without a branch the compiler does many bytes at a time.
  std::transform(from.begin(), from.end(), to.begin(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    const bool upper = static_cast<unsigned char>(byte - 'A') < 26;
    return static_cast<char>(byte | (upper ? 0x20 : 0));
  });
}

}  // namespace

// A share of the entries, for one thread.
class Descriptions::Scan {
 public:
  Scan(const Descriptions& owner, size_t terms, const Matches& matches)
      : owner_(owner), matches_(matches), found(terms) {}

  void Run(size_t first, size_t last, const std::function<bool()>& stop) {
    std::unique_ptr<Reader> reader;
    std::string text;
    for (size_t i = first; i < last; ++i) {
      const Entry& entry = owner_.entries_[i];
      if (i == first || owner_.entries_[i - 1].file != entry.file) {
        const Source& source = owner_.sources_[entry.file];
        reader = std::make_unique<Reader>(source.path, source.content);
      }
      if (i % 64 == 0 && stop()) return;
      Lower(Value(*reader, entry), text);
      for (size_t term = 0; term < found.size(); ++term) {
        if (matches_(term, text.c_str())) found[term].push_back(static_cast<uint32_t>(i));
      }
    }
  }

 private:
  static std::string_view Value(Reader& reader, const Entry& entry) {
    bool whole = false;
    for (size_t wanted = 4096;; wanted *= 4) {
      const std::string_view text = reader.At(entry.offset, wanted);
      const std::string_view value = Field(text, entry.language, whole);
      if (whole || text.size() < wanted) return value;
    }
  }

  const Descriptions& owner_;
  const Matches& matches_;

 public:
  // For each term the entries that have it.
  std::vector<std::vector<uint32_t>> found;
};

void Descriptions::Locate(pkgCache& cache, pkgRecords& records) {
  if (ready_) return;
  struct Place {
    uint32_t file;
    uint64_t offset;
    uint32_t package;
    pkgCache::DescFile* description;
    const char* language;
  };
  std::vector<Place> places;
  places.reserve(cache.Head().VersionCount);
  for (pkgCache::PkgIterator package = cache.PkgBegin(); !package.end(); ++package) {
    for (pkgCache::VerIterator version = package.VersionList(); !version.end(); ++version) {
      const bool translated = IsTranslated(version);
      for (pkgCache::DescIterator one = version.DescriptionList(); !one.end(); ++one) {
        pkgCache::DescFileIterator file = one.FileList();
        // The index of packages has the first line of what the translations have whole.
        if (file.end() || (translated && one.LanguageCode()[0] == '\0')) continue;
        places.push_back({static_cast<uint32_t>(file.File()->ID), file->Offset,
                          static_cast<uint32_t>(package->ID), file, one.LanguageCode()});
      }
    }
  }
  // In the order of the files. Versions that share a text share its place.
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.file, a.offset, a.package) < std::tie(b.file, b.offset, b.package);
  });
  entries_.clear();
  packages_.clear();
  std::vector<pkgCache::DescFile*> descriptions;
  for (const Place& place : places) {
    const bool same = !entries_.empty() && entries_.back().file == place.file &&
                      entries_.back().offset == place.offset;
    if (!same) {
      entries_.push_back({place.file, place.offset, place.language, packages_.size()});
      descriptions.push_back(place.description);
    } else if (packages_.back() == place.package) {
      continue;
    }
    packages_.push_back(place.package);
  }
  ReadSources(cache, records, descriptions);
  ready_ = true;
}

void Descriptions::ReadSources(pkgCache& cache, pkgRecords& records,
                               const std::vector<pkgCache::DescFile*>& descriptions) {
  sources_.assign(cache.Head().PackageFileCount + 1, {});
  std::string* kept = nullptr;
  uint32_t current = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    Source& source = sources_[entry.file];
    const pkgCache::DescFileIterator place(cache, descriptions[i]);
    if (kept == nullptr || current != entry.file) {
      current = entry.file;
      source.path = place.File().FileName();
      source.plain = IsText(source.path);
      auto content = std::make_shared<std::string>();
      kept = content.get();
      if (!source.plain) source.content = content;
    }
    if (source.plain) continue;
    // Rewritten as records of their own, in the order in which the file has them.
    std::string text = DescriptionText(records.Lookup(place), entry.language);
    entry.offset = kept->size();
    entry.language = "";
    kept->append("Description: ").append(text).append("\n\n");
  }
}

std::vector<std::vector<bool>> Descriptions::Find(size_t packages, size_t terms,
                                                  const Matches& matches,
                                                  const std::function<bool()>& cancelled) {
  std::atomic<bool> stopped = false;
  const std::function<bool()> stop = [&] {
    if (!stopped && cancelled()) stopped = true;
    return stopped.load();
  };
  const size_t count = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMostThreads);
  std::vector<Scan> scans(count, Scan(*this, terms, matches));
  std::vector<std::thread> threads;
  const auto share = [&](size_t i) { return entries_.size() * i / count; };
  const auto run = [&](size_t i) { scans[i].Run(share(i), share(i + 1), stop); };
  size_t started = 0;
  try {
    for (; started + 1 < count; ++started) threads.emplace_back(run, started);
  } catch (const std::system_error&) {
    // Fewer threads than wished for: this one does the rest.
  }
  for (size_t i = started; i < count; ++i) run(i);
  for (std::thread& thread : threads) thread.join();
  if (stopped) throw AbortedFailure();
  std::vector<std::vector<bool>> found(terms, std::vector<bool>(packages, false));
  for (const Scan& scan : scans) {
    for (size_t term = 0; term < terms; ++term) {
      for (const uint32_t entry : scan.found[term]) {
        const size_t end =
            entry + 1 < entries_.size() ? entries_[entry + 1].packages : packages_.size();
        for (size_t i = entries_[entry].packages; i < end; ++i) found[term][packages_[i]] = true;
      }
    }
  }
  return found;
}

std::string DescriptionText(pkgRecords::Parser& parser, const std::string& language) {
  // LongDesc turns the text into the locale's character set: question marks, in a C locale.
  std::string text;
  if (!language.empty()) text = parser.RecordField(("Description-" + language).c_str());
  return text.empty() ? parser.RecordField("Description") : text;
}

}  // namespace apt_ostree::apt
