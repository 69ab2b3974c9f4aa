#include "apt/selection.h"

#include <apt-pkg/aptconfiguration.h>
#include <apt-pkg/cachefilter.h>
#include <apt-pkg/error.h>
#include <apt-pkg/pkgrecords.h>
#include <apt-pkg/strutl.h>
#include <apt-pkg/versionmatch.h>
#include <fnmatch.h>
#include <regex.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "apt/expression.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

Failure UnknownPackage(const std::string& request, const std::string& problem) {
  Failure failure("ERR_APT_UNKNOWN_PACKAGE", problem);
  failure.Detail("package", request);
  return failure;
}

}  // namespace

PkgIterator Selector::Find(const std::string& name) {
  const size_t colon = name.find_last_of(':');
  if (colon != std::string::npos) {
    return cache_.FindPkg(name.substr(0, colon), name.substr(colon + 1));
  }
  pkgCache::GrpIterator group = cache_.FindGrp(name);
  return group.end() ? PkgIterator() : group.FindPreferredPkg();
}

PkgIterator Selector::FindPackage(const std::string& request, const std::string& name) {
  PkgIterator package = Find(name);
  if (package.end()) throw UnknownPackage(request, "Unable to locate package " + request);
  return package;
}

VerIterator Selector::OnlyProvider(PkgIterator package, Match match, const std::string& wanted) {
  std::vector<VerIterator> providers;
  for (pkgCache::PrvIterator provides = package.ProvidesList(); !provides.end(); ++provides) {
    VerIterator version = provides.OwnerVer();
    if (match == Match::kCandidate) {
      if (file_[version.ParentPkg()].CandidateVerIter(cache_) == version) {
        providers.push_back(version);
      }
    } else if (match == Match::kVersion) {
      if (provides->ProvideVersion != 0 && wanted == provides.ProvideVersion()) {
        providers.push_back(version);
      }
    } else {
      for (pkgCache::VerFileIterator files = version.FileList(); !files.end(); ++files) {
        if (wanted == Text(files.File().Archive()) || wanted == Text(files.File().Codename())) {
          providers.push_back(version);
          break;
        }
      }
    }
  }
  const std::vector<std::string> order = APT::Configuration::getArchitectures();
  const auto rank = [&order](PkgIterator pkg) {
    return std::find(order.begin(), order.end(), pkg.Arch()) - order.begin();
  };
  VerIterator chosen;
  for (const VerIterator& version : providers) {
    if (chosen.end()) {
      chosen = version;
      continue;
    }
    PkgIterator first = chosen.ParentPkg();
    PkgIterator other = version.ParentPkg();
    if (first->Group != other->Group) return VerIterator();
    if (std::strcmp(package.Arch(), first.Arch()) != 0 && rank(other) < rank(first)) {
      chosen = version;
    }
  }
  return chosen;
}

Failure Selector::NoCandidate(const std::string& request, PkgIterator package) {
  std::vector<Message> messages;
  for (pkgCache::PrvIterator provides = package.ProvidesList(); !provides.end(); ++provides) {
    PkgIterator owner = provides.OwnerPkg();
    if (file_[owner].CandidateVerIter(cache_) != provides.OwnerVer()) continue;
    messages.push_back({"notice", "It is provided by " + owner.FullName(true) + " " +
                                      provides.OwnerVer().VerStr()});
  }
  Failure failure = UnknownPackage(
      request, "Package '" + package.FullName(true) + "' has no installation candidate");
  failure.Messages(std::move(messages));
  return failure;
}

Selection Selector::SelectInstall(const std::string& request) {
  const size_t mark = request.find_first_of("=/");
  PkgIterator package = FindPackage(request, request.substr(0, mark));
  if (mark == std::string::npos) {
    VerIterator version = file_[package].CandidateVerIter(cache_);
    if (version.end()) version = OnlyProvider(package, Match::kCandidate, "");
    if (version.end()) throw NoCandidate(request, package);
    return {version.ParentPkg(), version, ""};
  }
  const bool release = request[mark] == '/';
  const std::string wanted = request.substr(mark + 1);
  VerIterator version;
  if (package->VersionList == 0) {
    version = OnlyProvider(package, release ? Match::kRelease : Match::kVersion, wanted);
  } else {
    pkgVersionMatch match(wanted, release ? pkgVersionMatch::Release : pkgVersionMatch::Version);
    version = match.Find(package);
  }
  if (version.end()) {
    throw UnknownPackage(request, std::string(release ? "Release" : "Version") + " '" + wanted +
                                      "' for '" + package.FullName(true) + "' was not found");
  }
  // A pattern for a version switches what it needs too, like a release.
  const bool exact = !release && wanted == version.VerStr();
  return {version.ParentPkg(), version, exact ? "" : wanted};
}

void Selector::SelectRemove(const std::string& request, Chosen& chosen) {
  PkgIterator package = FindPackage(request, request.substr(0, request.find_first_of("=/")));
  if (package->VersionList != 0) {
    chosen.removals.push_back(package);
    return;
  }
  VerIterator version = OnlyProvider(package, Match::kCandidate, "");
  if (!version.end()) {
    chosen.removals.push_back(version.ParentPkg());
    return;
  }
  chosen.warnings.push_back(
      {"notice", "Package '" + package.FullName(true) + "' is not installed, so not removed"});
}

void Selector::AddNamed(const std::string& text, bool remove, Chosen& chosen) {
  if (remove) {
    SelectRemove(text, chosen);
  } else {
    chosen.installs.push_back(SelectInstall(text));
  }
}

void Selector::AddFile(const std::string& path, Chosen& chosen) {
  for (pkgCache::PkgFileIterator index = cache_.FileBegin(); !index.end(); ++index) {
    if (index.FileName() == nullptr || path != index.FileName()) continue;
    for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
      for (VerIterator version = package.VersionList(); !version.end(); ++version) {
        for (pkgCache::VerFileIterator place = version.FileList(); !place.end(); ++place) {
          if (place.File() == index) chosen.installs.push_back({package, version, ""});
        }
      }
    }
  }
  if (chosen.installs.empty()) {
    throw UnknownPackage(path, path + " is no package file that the cache was opened with");
  }
}

void Selector::AddPattern(const std::string& text, bool remove, Chosen& chosen) {
  std::unique_ptr<APT::CacheFilter::Matcher> matcher =
      APT::CacheFilter::ParsePattern(APT::StringView(text.data(), text.size()), &file_);
  if (matcher == nullptr || _error->PendingError()) {
    std::string reason;
    _error->PopMessage(reason);
    _error->Discard();
    throw BadPattern(text, reason);
  }
  for (PkgIterator package = cache_.PkgBegin(); !package.end(); ++package) {
    if (package->VersionList == 0 || !(*matcher)(package)) continue;
    if (remove) {
      chosen.removals.push_back(package);
      continue;
    }
    // A pattern about versions may mean another one than the candidate.
    VerIterator version = file_[package].CandidateVerIter(cache_);
    if (version.end() || !(*matcher)(version)) {
      for (version = package.VersionList(); !version.end() && !(*matcher)(version);) ++version;
    }
    if (!version.end()) chosen.installs.push_back({package, version, ""});
  }
}

std::vector<PkgIterator> Selector::OfTask(const std::string& task) {
  std::vector<PkgIterator> packages;
  for (pkgCache::GrpIterator group = cache_.GrpBegin(); !group.end(); ++group) {
    PkgIterator package = group.FindPreferredPkg();
    if (package.end() || package->VersionList == 0) continue;
    VerIterator version = file_[package].CandidateVerIter(cache_);
    if (version.end() || version.FileList().end()) continue;
    const std::string tasks = file_.records().Lookup(version.FileList()).RecordField("Task");
    for (const std::string& one : VectorizeString(tasks, ',')) {
      if (APT::String::Strip(one) == task) packages.push_back(package);
    }
  }
  return packages;
}

std::vector<PkgIterator> Selector::OfName(const std::string& text) {
  const bool glob = text.find_first_of("*?[") != std::string::npos;
  regex_t regex;
  const bool compiled = text.find_first_of(".?+*|[^$") != std::string::npos &&
                        regcomp(&regex, text.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB) == 0;
  std::vector<PkgIterator> by_glob;
  std::vector<PkgIterator> by_regex;
  for (pkgCache::GrpIterator group = cache_.GrpBegin(); !group.end(); ++group) {
    PkgIterator package = group.FindPreferredPkg();
    if (package.end()) continue;
    if (glob && fnmatch(text.c_str(), group.Name(), FNM_CASEFOLD) == 0) by_glob.push_back(package);
    if (compiled && regexec(&regex, group.Name(), 0, nullptr, 0) == 0) by_regex.push_back(package);
  }
  if (compiled) regfree(&regex);
  return by_glob.empty() ? by_regex : by_glob;
}

void Selector::AddMatching(const std::string& text, bool remove, Chosen& chosen) {
  const bool pattern = text[0] == '?' || text[0] == '~';
  if (pattern) {
    AddPattern(text, remove, chosen);
    return;
  }
  const std::vector<PkgIterator> packages =
      text.back() == '^' ? OfTask(text.substr(0, text.size() - 1)) : OfName(text);
  for (PkgIterator package : packages) {
    if (remove) {
      if (package->VersionList != 0) chosen.removals.push_back(package);
      continue;
    }
    VerIterator version = file_[package].CandidateVerIter(cache_);
    if (version.end()) version = OnlyProvider(package, Match::kCandidate, "");
    // Of packages that nobody named, one that cannot be installed is no error.
    if (!version.end()) chosen.installs.push_back({version.ParentPkg(), version, ""});
  }
  if (packages.empty()) {
    throw UnknownPackage(text, "Unable to locate package " + text);
  }
}

Chosen Selector::Choose(const std::string& text, bool remove) {
  Chosen chosen;
  if (text.empty()) throw UnknownPackage(text, "A request has an empty name");
  if (text[0] == '/' && !remove) {
    AddFile(text, chosen);
    return chosen;
  }
  CheckExpression(text);
  const auto known = [this](const std::string& name) {
    return !Find(name.substr(0, name.find_first_of("=/"))).end();
  };
  const bool pattern = text[0] == '?' || text[0] == '~';
  if (!pattern && !Find(text).end()) {
    AddNamed(text, remove, chosen);
    return chosen;
  }
  // What is no name as it stands: `g++` is one, `name-` a removal.
  std::string name = text;
  const char last = text.back();
  if (text.size() > 1 && (last == '-' || (last == '+' && !pattern))) {
    name.pop_back();
    remove = last == '-';
  }
  if (!pattern && known(name)) {
    AddNamed(name, remove, chosen);
  } else {
    AddMatching(name, remove, chosen);
  }
  return chosen;
}

}  // namespace apt_ostree::apt
