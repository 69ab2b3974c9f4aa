#include "apt/descriptions.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <tuple>

namespace apt_ostree::apt {

namespace {

struct Place {
  uint32_t file;
  uint64_t offset;
  uint32_t package;
  pkgCache::DescFile* description;
  const char* language;
};

}  // namespace

bool Descriptions::Read(pkgCache& cache, pkgRecords& records,
                        const std::function<bool()>& cancelled) {
  std::vector<Place> places;
  for (pkgCache::PkgIterator package = cache.PkgBegin(); !package.end(); ++package) {
    for (pkgCache::VerIterator version = package.VersionList(); !version.end(); ++version) {
      for (pkgCache::DescIterator one = version.DescriptionList(); !one.end(); ++one) {
        pkgCache::DescFileIterator file = one.FileList();
        if (file.end()) continue;
        places.push_back({static_cast<uint32_t>(file.File()->ID), file->Offset,
                          static_cast<uint32_t>(package->ID), file, one.LanguageCode()});
      }
    }
  }
  // In the order of the files: each is read once from its beginning to its end, which is all
  // that matters for compressed ones. Versions that share a text share its place.
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.file, a.offset, a.package) < std::tie(b.file, b.offset, b.package);
  });
  text_.clear();
  entries_.clear();
  packages_.clear();
  const Place* last = nullptr;
  for (const Place& place : places) {
    if (last == nullptr || last->file != place.file || last->offset != place.offset) {
      if (entries_.size() % 1024 == 0 && cancelled()) return false;
      pkgRecords::Parser& parser =
          records.Lookup(pkgCache::DescFileIterator(cache, place.description));
      std::string text = DescriptionText(parser, place.language);
      std::transform(text.begin(), text.end(), text.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      text_.append(text.c_str()).push_back('\0');
      entries_.push_back({text_.size(), packages_.size()});
    } else if (packages_.back() == place.package) {
      continue;
    }
    packages_.push_back(place.package);
    last = &place;
  }
  ready_ = true;
  return true;
}

void Descriptions::Report(size_t entry, const std::function<void(uint32_t package)>& found) const {
  const size_t end = entry + 1 < entries_.size() ? entries_[entry + 1].packages : packages_.size();
  for (size_t i = entries_[entry].packages; i < end; ++i) found(packages_[i]);
}

void Descriptions::Find(const std::function<bool(const char* text, size_t size)>& matches,
                        const std::function<void(uint32_t package)>& found) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const size_t start = Start(i);
    if (matches(text_.data() + start, entries_[i].end - start - 1)) Report(i, found);
  }
}

void Descriptions::FindText(std::string_view text,
                            const std::function<void(uint32_t package)>& found) const {
  for (size_t place = 0; place < text_.size();) {
    const void* hit = memmem(text_.data() + place, text_.size() - place, text.data(), text.size());
    if (hit == nullptr) return;
    const size_t at = static_cast<const char*>(hit) - text_.data();
    const auto entry = std::upper_bound(entries_.begin(), entries_.end(), at,
                                        [](size_t value, const Entry& e) { return value < e.end; });
    if (entry == entries_.end()) return;
    Report(entry - entries_.begin(), found);
    place = entry->end;
  }
}

}  // namespace apt_ostree::apt
