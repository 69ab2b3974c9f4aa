// Searching the descriptions of a cache where they lie: in the index files. Nothing is kept but
// their places, and all processors take part.
#pragma once

#include <apt-pkg/cachefile.h>
#include <apt-pkg/pkgrecords.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace apt_ostree::apt {

// The description of the record that `parser` is at, as UTF-8.
std::string DescriptionText(pkgRecords::Parser& parser, const std::string& language);

class Descriptions {
 public:
  // Whether `text` (lower case, ending with a NUL byte) has the term `term`; called on several
  // threads at once.
  using Matches = std::function<bool(size_t term, const char* text)>;

  // Finds out where the descriptions are; for a session.
  void Locate(pkgCache& cache, pkgRecords& records);
  // For each of `terms` terms the packages, by number, one of whose descriptions has it. Needs no
  // session. Throws ABORT_ERR where `cancelled` says so.
  std::vector<std::vector<bool>> Find(size_t packages, size_t terms, const Matches& matches,
                                      const std::function<bool()>& cancelled);

 private:
  struct Entry {
    uint32_t file;
    uint64_t offset;
    const char* language;
    // Packages that share the text: from here to the next entry's.
    size_t packages;
  };
  struct Source {
    std::string path;
    // What is no plain text, once it was read: descriptions by their place in `kept`, or all of
    // a compressed file.
    bool plain = false;
    std::shared_ptr<const std::string> content;
  };
  class Scan;

  void ReadSources(pkgCache& cache, pkgRecords& records,
                   const std::vector<pkgCache::DescFile*>& first);

  bool ready_ = false;
  std::vector<Source> sources_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> packages_;
};

}  // namespace apt_ostree::apt
