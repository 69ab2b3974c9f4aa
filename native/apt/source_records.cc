#include "apt/source_records.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/debversion.h>
#include <apt-pkg/error.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/sourcelist.h>

#include <cstring>
#include <utility>

#include "apt/expression.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

// What a text asks for.
struct Wanted {
  std::string name;
  std::string architecture;
  std::string version;
  std::string release;
};

std::string CutOff(std::string& text, char mark) {
  const size_t place = text.find_last_of(mark);
  if (place == std::string::npos) return "";
  std::string rest = text.substr(place + 1);
  text.erase(place);
  return rest;
}

Failure Unknown(const std::string& wanted) {
  Failure failure("ERR_APT_UNKNOWN_PACKAGE", "Unable to find a source package for " + wanted);
  failure.Detail("package", wanted);
  return failure;
}

bool InRelease(VerIterator version, const Wanted& wanted) {
  PkgIterator package = version.ParentPkg();
  for (pkgCache::VerFileIterator place = version.FileList(); !place.end(); ++place) {
    const bool status = (place.File()->Flags & pkgCache::Flag::NotSource) != 0;
    if (status && package.CurrentVer() != version) continue;
    if (!wanted.version.empty() || wanted.release == Text(place.File().Archive()) ||
        wanted.release == Text(place.File().Codename())) {
      return true;
    }
  }
  return false;
}

// The version of a binary package that is meant, if one is: exactly named ones go first, then
// those whose version begins as wanted.
VerIterator MeantVersion(PkgIterator package, Wanted wanted) {
  for (const bool exact : {true, false}) {
    for (VerIterator version = package.VersionList(); !version.end(); ++version) {
      if (!wanted.architecture.empty() && wanted.architecture != version.Arch()) continue;
      if (!wanted.architecture.empty() && wanted.version.empty() && wanted.release.empty()) {
        wanted.version = version.VerStr();
      }
      const bool same = exact ? debVS.CmpVersion(wanted.version, version.VerStr()) == 0
                              : std::strncmp(wanted.version.c_str(), version.VerStr(),
                                             wanted.version.size()) == 0;
      if (!wanted.version.empty() && !same) continue;
      if (InRelease(version, wanted)) return version;
    }
  }
  return VerIterator();
}

// Whether the source that `parser` is at comes from a release of that name.
bool FromRelease(pkgSourceList& sources, const pkgSrcRecords::Parser& parser,
                 const std::string& release) {
  for (auto source = sources.begin(); source != sources.end(); ++source) {
    for (pkgIndexFile* index : *(*source)->GetIndexFiles()) {
      if (index != &parser.Index()) continue;
      return (*source)->GetSuite() == release || (*source)->GetCodename() == release;
    }
  }
  return false;
}

}  // namespace

FoundSource FindSource(CacheFile& file, Session& session, const std::string& text) {
  CheckExpression(text);
  pkgCache& cache = file;
  Wanted wanted;
  wanted.name = text;
  const std::string release = CutOff(wanted.name, '/');
  wanted.release = release.empty() ? _config->Find("APT::Default-Release") : release;
  wanted.version = CutOff(wanted.name, '=');
  const bool any_version = wanted.version.empty();
  wanted.architecture = CutOff(wanted.name, ':');
  FoundSource found;
  found.release = release;

  std::string source;
  std::string version = wanted.version;
  PkgIterator package = wanted.architecture.empty()
                            ? cache.FindPkg(wanted.name)
                            : cache.FindPkg(wanted.name, wanted.architecture);
  if (package.end() && !wanted.architecture.empty()) throw Unknown(text);
  if (!package.end()) {
    const bool picky = !any_version || !wanted.release.empty() || !wanted.architecture.empty();
    VerIterator meant = picky ? MeantVersion(package, wanted) : VerIterator();
    if (!meant.end()) {
      source = meant.SourcePkgName();
      version = meant.SourceVerStr();
    } else if (!wanted.architecture.empty()) {
      throw Unknown(text);
    } else {
      VerIterator candidate = file.Candidate(package);
      if (!candidate.end()) {
        if (std::strcmp(candidate.SourcePkgName(), package.Name()) != 0) {
          source = candidate.SourcePkgName();
        }
        if (any_version && std::strcmp(candidate.SourceVerStr(), candidate.VerStr()) != 0) {
          version = candidate.SourceVerStr();
        }
      }
    }
  }
  // A name that is known to be a source's is not looked for among the binaries.
  const bool only_sources = !source.empty();
  found.name = only_sources ? source : wanted.name;

  pkgSourceList& sources = *file.GetSourceList();
  found.records = std::make_shared<pkgSrcRecords>(sources);
  session.ThrowPending("ERR_APT_FAILED", "Reading the source records");
  std::string best;
  unsigned long offset = 0;
  while (pkgSrcRecords::Parser* parser = found.records->Find(found.name.c_str(), only_sources)) {
    const std::string has = parser->Version();
    if (!wanted.release.empty() && any_version && !FromRelease(sources, *parser, wanted.release)) {
      continue;
    }
    if (!version.empty() && debVS.CmpVersion(version, has) != 0) continue;
    if (found.parser != nullptr && debVS.CmpVersion(best, has) >= 0) continue;
    found.parser = parser;
    offset = parser->Offset();
    best = has;
  }
  if (found.parser == nullptr || !found.parser->Jump(offset)) throw Unknown(text);
  return found;
}

}  // namespace apt_ostree::apt
