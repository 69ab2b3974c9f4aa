#include "apt/source_packages.h"

#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/srcrecords.h>

#include <utility>

#include "apt/inspect.h"
#include "apt/relations.h"
#include "apt/source_records.h"

namespace apt_ostree::apt {

// Kept with the cache between two pages.
struct SourceCursor {
  explicit SourceCursor(pkgSourceList& list) : records(list) {}
  pkgSrcRecords records;
  uint64_t position = 0;
};

namespace {

using Parser = pkgSrcRecords::Parser;

TreeList FilesOf(Parser& parser) {
  std::vector<pkgSrcRecords::File> files;
  TreeList list;
  if (!parser.Files(files)) return list;
  for (const pkgSrcRecords::File& file : files) {
    TreeMembers hashes;
    for (const HashString& hash : file.Hashes) {
      if (hash.HashType() != "Checksum-FileSize") {
        hashes.emplace_back(hash.HashType(), hash.HashValue());
      }
    }
    list.emplace_back(TreeMembers{{"path", file.Path},
                                  {"type", file.Type},
                                  {"size", static_cast<double>(file.FileSize)},
                                  {"hashes", std::move(hashes)},
                                  {"uri", parser.Index().ArchiveURI(file.Path)}});
  }
  return list;
}

// The groups of alternatives, for the context's architecture and build profiles.
TreeList BuildDependencies(Parser& parser) {
  std::vector<Parser::BuildDepRec> flat;
  TreeList groups;
  if (!ReadBuildDependencies(parser, false, flat)) return groups;
  TreeList alternatives;
  for (const Parser::BuildDepRec& one : flat) {
    TreeMembers alternative{{"name", one.Package}};
    if (!one.Version.empty()) {
      alternative.emplace_back("comparison", pkgCache::CompTypeDeb(one.Op & 0x0F));
      alternative.emplace_back("version", one.Version);
    }
    alternatives.emplace_back(std::move(alternative));
    if ((one.Op & pkgCache::Dep::Or) != 0) continue;
    groups.emplace_back(TreeMembers{{"type", Parser::BuildDepType(one.Type)},
                                    {"alternatives", std::exchange(alternatives, {})}});
  }
  return groups;
}

Tree Describe(Parser& parser) {
  TreeList binaries;
  // The library's array ends with a null.
  if (const char** names = parser.Binaries(); names != nullptr) {
    for (; *names != nullptr; ++names) binaries.emplace_back(std::string(*names));
  }
  return TreeMembers{{"name", parser.Package()},
                     {"version", parser.Version()},
                     {"maintainer", parser.Maintainer()},
                     {"section", parser.Section()},
                     {"trusted", parser.Index().IsTrusted()},
                     {"index", parser.Index().Describe(true)},
                     {"binaries", std::move(binaries)},
                     {"files", FilesOf(parser)},
                     {"buildDepends", BuildDependencies(parser)},
                     {"fields", RecordFields(parser.AsStr())}};
}

}  // namespace

Tree SourceOf(Cache& cache, const std::string& wanted) {
  Session session(cache.context().configuration());
  const FoundSource found = FindSource(cache.Use(), session, wanted);
  Tree answer = Describe(*found.parser);
  session.ThrowPending("ERR_APT_FAILED", "Reading the source records");
  return answer;
}

Tree SourceVersions(Cache& cache, const std::string& name) {
  Session session(cache.context().configuration());
  pkgSrcRecords records(*cache.Use().GetSourceList());
  TreeList list;
  while (Parser* parser = records.Find(name.c_str(), true)) list.emplace_back(Describe(*parser));
  session.ThrowPending("ERR_APT_FAILED", "Reading the source records");
  return list;
}

Tree ListSources(Cache& cache, uint64_t after, size_t limit) {
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  std::shared_ptr<SourceCursor> cursor = std::exchange(cache.source_cursor, nullptr);
  if (cursor == nullptr || after == 0 || cursor->position != after) {
    cursor = std::make_shared<SourceCursor>(*file.GetSourceList());
  }
  session.ThrowPending("ERR_APT_FAILED", "Reading the source records");
  TreeList sources;
  uint64_t next = 0;
  while (true) {
    // The records own it, and let it be read on.
    auto* parser = const_cast<Parser*>(cursor->records.Step());
    if (parser == nullptr) break;
    if (++cursor->position <= after) continue;
    sources.emplace_back(Describe(*parser));
    if (sources.size() < limit) continue;
    next = cursor->position;
    cache.source_cursor = std::move(cursor);
    break;
  }
  session.ThrowPending("ERR_APT_FAILED", "Reading the source records");
  return TreeMembers{{"sources", std::move(sources)}, {"next", static_cast<double>(next)}};
}

}  // namespace apt_ostree::apt
