// The descriptions of a cache, read once in the order of the files and kept for the next search.
#pragma once

#include <apt-pkg/cachefile.h>
#include <apt-pkg/pkgrecords.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace apt_ostree::apt {

// The description of the record that `parser` is at, as UTF-8.
std::string DescriptionText(pkgRecords::Parser& parser, const std::string& language);

class Descriptions {
 public:
  // False where `cancelled` says so; what is read so far is dropped.
  bool Read(pkgCache& cache, pkgRecords& records, const std::function<bool()>& cancelled);
  bool ready() const { return ready_; }
  // Calls `found` with the number of each package whose description is one that `matches`.
  // Texts are in lower case and end with a NUL byte.
  void Find(const std::function<bool(const char* text, size_t size)>& matches,
            const std::function<void(uint32_t package)>& found) const;
  // The same for a text in lower case, in one pass.
  void FindText(std::string_view text, const std::function<void(uint32_t package)>& found) const;

 private:
  struct Entry {
    size_t end;
    // Packages that share the text: from here to the next entry's.
    size_t packages;
  };
  size_t Start(size_t entry) const { return entry == 0 ? 0 : entries_[entry - 1].end; }
  void Report(size_t entry, const std::function<void(uint32_t package)>& found) const;

  bool ready_ = false;
  std::string text_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> packages_;
};

}  // namespace apt_ostree::apt
