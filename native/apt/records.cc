// Records of versions: every field as the index file has it, and the descriptions.
#include <apt-pkg/error.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/tagfile.h>

#include <cstring>
#include <utility>

#include "apt/inspect.h"

namespace apt_ostree::apt {

namespace {

TreeMembers Fields(pkgRecords::Parser& parser) {
  const char* start = nullptr;
  const char* stop = nullptr;
  parser.GetRec(start, stop);
  return start == nullptr ? TreeMembers() : RecordFields(std::string(start, stop));
}

}  // namespace

TreeMembers RecordFields(const std::string& record) {
  // The section's end is an empty line, which the record need not contain.
  const std::string text = record + "\n\n";
  TreeMembers fields;
  pkgTagSection section;
  if (!section.Scan(text.data(), text.size())) return fields;
  for (unsigned i = 0; i < section.Count(); ++i) {
    const char* from = nullptr;
    const char* to = nullptr;
    section.Get(from, to, i);
    std::string field(from, to);
    const size_t colon = field.find(':');
    if (colon == std::string::npos) continue;
    std::string value = field.substr(colon + 1);
    const size_t first = value.find_first_not_of(" \t");
    value.erase(0, first == std::string::npos ? value.size() : first);
    value.erase(value.find_last_not_of(" \t\r\n") + 1);
    fields.emplace_back(field.substr(0, colon), std::move(value));
  }
  return fields;
}

Tree Record(Cache& cache, uint32_t id) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  pkgCache::VerIterator version = file.VersionById(id);
  if (version.end()) {
    throw Failure("ERR_APT_UNKNOWN_PACKAGE", "The package cache has no such version");
  }
  // A source's record says more than the status file's.
  pkgCache::VerFileIterator place = version.FileList();
  for (pkgCache::VerFileIterator one = place; !one.end(); ++one) {
    if ((one.File()->Flags & pkgCache::Flag::NotSource) == 0) {
      place = one;
      break;
    }
  }
  TreeMembers answer;
  if (!place.end()) answer.emplace_back("fields", Fields(file.records().Lookup(place)));
  TreeList descriptions;
  for (pkgCache::DescIterator one = version.DescriptionList(); !one.end(); ++one) {
    if (one->FileList == 0) continue;
    pkgRecords::Parser& parser = file.records().Lookup(one.FileList());
    const std::string language = one.LanguageCode();
    std::string text = DescriptionText(parser, language);
    descriptions.emplace_back(
        TreeMembers{{"language", language}, {"md5", one.md5()}, {"text", std::move(text)}});
  }
  answer.emplace_back("descriptions", std::move(descriptions));
  session.ThrowPending("ERR_APT_FAILED", "Reading the record");
  return answer;
}

}  // namespace apt_ostree::apt
