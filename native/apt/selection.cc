#include "apt/selection.h"

#include <apt-pkg/aptconfiguration.h>
#include <apt-pkg/cachefilter.h>
#include <apt-pkg/cacheset.h>
#include <apt-pkg/error.h>
#include <apt-pkg/pkgrecords.h>
#include <regex.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <optional>

#include "apt/expression.h"

namespace apt_ostree::apt {

namespace {

using GrpIterator = pkgCache::GrpIterator;
using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

Failure UnknownPackage(const std::string& request, const std::string& problem) {
  Failure failure("ERR_APT_UNKNOWN_PACKAGE", problem);
  failure.Detail("package", request);
  return failure;
}

bool IsPattern(const std::string& text) { return text[0] == '?' || text[0] == '~'; }

// The library takes texts apart and asks this about whatever it does not find, as it asks
// apt-get. What is wrong is written down: nothing may be thrown through the library.
class Reader : public APT::CacheSetHelper {
 public:
  Reader(CacheFile& file, const std::string& request, Chosen& chosen,
         const std::function<bool()>& cancelled)
      : file_(file), cache_(file), request_(request), chosen_(chosen), cancelled_(cancelled) {}

  bool PackageFrom(PkgSelector select, APT::PackageContainerInterface* packages, pkgCacheFile& file,
                   const std::string& text) override;
  void canNotFindPackage(PkgSelector select, APT::PackageContainerInterface* packages,
                         pkgCacheFile& file, const std::string& text) override;
  PkgIterator canNotFindPkgName(pkgCacheFile& file, const std::string& name) override;
  void canNotFindVersion(VerSelector select, APT::VersionContainerInterface* versions,
                         pkgCacheFile& file, const PkgIterator& package) override;
  VerIterator canNotGetVersion(VerSelector select, pkgCacheFile& file,
                               const PkgIterator& package) override;
  void showVersionSelection(const PkgIterator& package, const VerIterator& version,
                            VerSelector select, const std::string& text) override;

  void ThrowProblem() const {
    if (stopped_) throw AbortedFailure();
    if (problem_.has_value()) throw Failure(*problem_);
  }

 private:
  void Note(Failure problem) {
    if (ShowError && !problem_.has_value()) problem_ = std::move(problem);
  }
  // Whether to look at one more package.
  bool GoesOn() {
    stopped_ = stopped_ || cancelled_();
    return !stopped_;
  }
  bool AddPattern(APT::PackageContainerInterface& packages, const std::string& text);
  bool AddTask(APT::PackageContainerInterface& packages, const std::string& text);
  template <typename Matches>
  bool AddNamed(PkgSelector kind, APT::PackageContainerInterface& packages, std::string text,
                const char* signs);
  VerIterator OnlyProvider(PkgIterator package, VerSelector select);
  Failure NoCandidate(PkgIterator package);
  void NotRemoved(PkgIterator package);

  CacheFile& file_;
  pkgCache& cache_;
  const std::string& request_;
  Chosen& chosen_;
  const std::function<bool()>& cancelled_;
  bool stopped_ = false;
  std::optional<Failure> bad_pattern_;
  std::optional<Failure> problem_;
};

bool Reader::PackageFrom(PkgSelector select, APT::PackageContainerInterface* packages,
                         pkgCacheFile& file, const std::string& text) {
  // What tries an expression on all packages is ours: the library's own loops cannot be stopped.
  switch (select) {
    case PATTERN:
      return AddPattern(*packages, text);
    case TASK:
      return AddTask(*packages, text);
    case FNMATCH:
      return AddNamed<APT::CacheFilter::PackageNameMatchesFnmatch>(select, *packages, text,
                                                                   ".?*[]!");
    case REGEX:
      return AddNamed<APT::CacheFilter::PackageNameMatchesRegEx>(select, *packages, text,
                                                                 ".?+*|[^$");
    default:
      return APT::CacheSetHelper::PackageFrom(select, packages, file, text);
  }
}

bool Reader::AddPattern(APT::PackageContainerInterface& packages, const std::string& text) {
  if (text.empty() || !IsPattern(text)) return false;
  const auto matches =
      APT::CacheFilter::ParsePattern(APT::StringView(text.data(), text.size()), &file_);
  if (matches == nullptr) {
    std::string reason;
    _error->PopMessage(reason);
    bad_pattern_ = BadPattern(text, reason);
    // It may still be a glob.
    return false;
  }
  for (PkgIterator package = cache_.PkgBegin(); !package.end() && GoesOn(); ++package) {
    if ((*matches)(package)) packages.insert(package);
  }
  return true;
}

// Texts without any of the `signs` are no expression of this kind. What comes after the last
// colon is an architecture, if it has no sign itself; without a colon, any will do.
template <typename Matches>
bool Reader::AddNamed(PkgSelector kind, APT::PackageContainerInterface& packages, std::string text,
                      const char* signs) {
  if (text.find_first_of(signs) == std::string::npos) return false;
  std::string architecture = "native";
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos && text.find_first_of(signs, colon) == std::string::npos) {
    architecture = text.substr(colon + 1);
    text.erase(colon);
  }
  Matches matches(text);
  bool found = false;
  for (GrpIterator group = cache_.GrpBegin(); !group.end() && GoesOn(); ++group) {
    if (!matches(group)) continue;
    PkgIterator package = group.FindPkg(architecture);
    if (package.end() && colon == std::string::npos) package = group.FindPreferredPkg(true);
    if (package.end()) continue;
    packages.insert(package);
    found = true;
  }
  packages.setConstructor(found ? kind : UNKNOWN);
  return found;
}

// The library's own puts a record on the stack, however large it is.
bool Reader::AddTask(APT::PackageContainerInterface& packages, const std::string& text) {
  const size_t colon = text.find_last_of(':');
  const std::string name = text.substr(0, colon);
  const std::string arch = colon == std::string::npos ? "native" : text.substr(colon + 1);
  if (name.size() < 2 || name.back() != '^') return false;
  regex_t regex;
  const std::string task = "^Task:.*[, ]" + name.substr(0, name.size() - 1) + "([, ]|$)";
  if (regcomp(&regex, task.c_str(), REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0) return false;
  bool found = false;
  for (GrpIterator group = cache_.GrpBegin(); !group.end() && GoesOn(); ++group) {
    PkgIterator package = group.FindPkg(arch);
    if (package.end() || package->VersionList == 0) continue;
    VerIterator version = file_[package].CandidateVerIter(cache_);
    if (version.end() || version.FileList().end()) continue;
    const std::string field = file_.records().Lookup(version.FileList()).RecordField("Task");
    if (field.empty()) continue;
    if (regexec(&regex, ("Task: " + field).c_str(), 0, nullptr, 0) != 0) continue;
    packages.insert(package);
    found = true;
  }
  regfree(&regex);
  packages.setConstructor(found ? TASK : UNKNOWN);
  return found;
}

void Reader::canNotFindPackage(PkgSelector select, APT::PackageContainerInterface*, pkgCacheFile&,
                               const std::string&) {
  // Said once all ways to read it have failed.
  if (select != PACKAGENAME) return;
  if (bad_pattern_.has_value()) Note(*bad_pattern_);
  Note(UnknownPackage(request_, "Unable to locate package " + request_));
}

// A name that only dependencies use: the cache has `name:arch` as one of the architecture "any".
PkgIterator Reader::canNotFindPkgName(pkgCacheFile&, const std::string& text) {
  const size_t colon = text.find_last_of(':');
  const std::string name = text.substr(0, colon);
  std::vector<std::string> architectures = APT::Configuration::getArchitectures();
  if (colon != std::string::npos) {
    std::string wanted = text.substr(colon + 1);
    if (wanted == "all" || wanted == "native") wanted = _config->Find("APT::Architecture");
    APT::CacheFilter::PackageArchitectureMatchesSpecification matches(wanted);
    const auto other = [&matches](const std::string& one) { return !matches(one.c_str()); };
    architectures.erase(std::remove_if(architectures.begin(), architectures.end(), other),
                        architectures.end());
    architectures.insert(architectures.begin(), wanted);
  }
  PkgIterator found(cache_, nullptr);
  for (const std::string& architecture : architectures) {
    PkgIterator package = cache_.FindPkg(name + ":" + architecture, "any");
    if (package.end()) continue;
    if (found.end()) found = package;
    if (colon == std::string::npos && package->ProvidesList != 0) return package;
  }
  return found;
}

// The version behind a virtual package, where there is no choice between several.
VerIterator Reader::OnlyProvider(PkgIterator package, VerSelector select) {
  const std::string wanted = getLastVersionMatcher();
  std::vector<VerIterator> providers;
  for (pkgCache::PrvIterator provides = package.ProvidesList(); !provides.end(); ++provides) {
    VerIterator version = provides.OwnerVer();
    bool matches = false;
    if (select == VERSIONNUMBER) {
      matches = provides->ProvideVersion != 0 && wanted == provides.ProvideVersion();
    } else if (select == RELEASE) {
      for (pkgCache::VerFileIterator files = version.FileList(); !files.end(); ++files) {
        matches = matches || wanted == Text(files.File().Archive()) ||
                  wanted == Text(files.File().Codename());
      }
    } else {
      matches = file_[version.ParentPkg()].CandidateVerIter(cache_) == version;
    }
    if (matches) providers.push_back(version);
  }
  if (select == VERSIONNUMBER || select == RELEASE) {
    std::map<map_id_t, size_t> versions;
    for (VerIterator version : providers) ++versions[version.ParentPkg()->ID];
    for (VerIterator version : providers) {
      if (versions[version.ParentPkg()->ID] == 1) file_.depcache().SetCandidateVersion(version);
    }
  }
  const std::vector<std::string> order = APT::Configuration::getArchitectures();
  const auto rank = [&order](PkgIterator one) {
    return std::find(order.begin(), order.end(), one.Arch()) - order.begin();
  };
  VerIterator chosen(cache_);
  for (const VerIterator& version : providers) {
    if (chosen.end()) {
      chosen = version;
      continue;
    }
    PkgIterator first = chosen.ParentPkg();
    PkgIterator other = version.ParentPkg();
    if (first->Group != other->Group) return VerIterator(cache_);
    if (std::strcmp(package.Arch(), first.Arch()) != 0 && rank(other) < rank(first)) {
      chosen = version;
    }
  }
  return chosen;
}

Failure Reader::NoCandidate(PkgIterator package) {
  std::vector<Message> messages;
  for (pkgCache::PrvIterator provides = package.ProvidesList(); !provides.end(); ++provides) {
    PkgIterator owner = provides.OwnerPkg();
    if (file_[owner].CandidateVerIter(cache_) != provides.OwnerVer()) continue;
    messages.push_back({"notice", "It is provided by " + owner.FullName(true) + " " +
                                      provides.OwnerVer().VerStr()});
  }
  Failure failure = UnknownPackage(
      request_, "Package '" + package.FullName(true) + "' has no installation candidate");
  failure.Messages(std::move(messages));
  return failure;
}

void Reader::NotRemoved(PkgIterator package) {
  if (package->ProvidesList != 0 && !ShowError) return;
  chosen_.warnings.push_back(
      {"notice", "Package '" + package.FullName(true) + "' is not installed, so not removed"});
}

// Of a removal: where all that is known of a package is its name.
void Reader::canNotFindVersion(VerSelector, APT::VersionContainerInterface*, pkgCacheFile&,
                               const PkgIterator& package) {
  NotRemoved(package);
}

VerIterator Reader::canNotGetVersion(VerSelector select, pkgCacheFile&,
                                     const PkgIterator& package) {
  VerIterator version(cache_);
  if (select != INSTALLED) version = OnlyProvider(package, select);
  if (!version.end()) return version;
  const std::string name = package.FullName(true);
  switch (select) {
    case NEWEST:
      NotRemoved(package);
      break;
    case INSTALLED:
      Note(UnknownPackage(request_, "Package '" + name + "' is not installed"));
      break;
    case VERSIONNUMBER:
    case RELEASE:
      Note(UnknownPackage(request_, std::string(select == RELEASE ? "Release" : "Version") + " '" +
                                        getLastVersionMatcher() + "' for '" + name +
                                        "' was not found"));
      break;
    default:
      Note(NoCandidate(package));
  }
  return version;
}

void Reader::showVersionSelection(const PkgIterator&, const VerIterator& version,
                                  VerSelector select, const std::string& text) {
  // A pattern for a version switches what it needs too, like a release.
  if (select == VERSIONNUMBER && text == version.VerStr()) return;
  chosen_.releases.emplace_back(version, text);
}

}  // namespace

void Selector::AddFile(const std::string& path, Chosen& chosen) {
  pkgCache& cache = file_;
  for (pkgCache::PkgFileIterator index = cache.FileBegin(); !index.end(); ++index) {
    if (index.FileName() == nullptr || path != index.FileName()) continue;
    for (PkgIterator package = cache.PkgBegin(); !package.end(); ++package) {
      for (VerIterator version = package.VersionList(); !version.end(); ++version) {
        for (pkgCache::VerFileIterator place = version.FileList(); !place.end(); ++place) {
          if (place.File() == index) chosen.installs.push_back({package, version});
        }
      }
    }
  }
  if (chosen.installs.empty()) {
    throw UnknownPackage(path, path + " is no package file that the cache was opened with");
  }
}

Chosen Selector::Choose(const std::string& text, bool remove) {
  using Modifier = APT::VersionVector::Modifier;
  constexpr unsigned short kRemove = 1;
  constexpr unsigned short kInstall = 2;
  Chosen chosen;
  if (text.empty()) throw UnknownPackage(text, "A request has an empty name");
  if (text.find('\0') != std::string::npos) {
    throw UnknownPackage(text, "A name has a null character");
  }
  if (text[0] == '/' && !remove) {
    AddFile(text, chosen);
    return chosen;
  }
  CheckExpression(text);
  const std::list<Modifier> modifiers = {
      {kInstall, "+", Modifier::POSTFIX, APT::CacheSetHelper::CANDIDATE},
      {kRemove, "-", Modifier::POSTFIX, APT::CacheSetHelper::NEWEST}};
  Reader reader(file_, text, chosen, cancelled_);
  const char* texts[] = {text.c_str(), nullptr};
  _error->PushToStack();
  auto versions = APT::VersionVector::GroupedFromCommandLine(file_, texts, modifiers,
                                                             remove ? kRemove : kInstall, reader);
  // The reader has what matters of it.
  _error->RevertToStack();
  reader.ThrowProblem();
  for (VerIterator version : versions[kInstall]) {
    chosen.installs.push_back({version.ParentPkg(), version});
  }
  for (VerIterator version : versions[kRemove]) chosen.removals.push_back(version.ParentPkg());
  return chosen;
}

}  // namespace apt_ostree::apt
