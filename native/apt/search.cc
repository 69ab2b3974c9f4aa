#include "apt/search.h"

#include <apt-pkg/cachefilter.h>
#include <apt-pkg/error.h>
#include <fnmatch.h>
#include <regex.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "apt/expression.h"
#include "apt/inspect.h"

namespace apt_ostree::apt {

namespace {

using PkgIterator = pkgCache::PkgIterator;
using VerIterator = pkgCache::VerIterator;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Term {
 public:
  Term(std::string text, TermKind kind) : text_(Lower(std::move(text))), kind_(kind) {
    if (kind_ != TermKind::kText) CheckExpression(text_);
    if (kind_ != TermKind::kRegex) return;
    const int problem = regcomp(&regex_, text_.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB);
    if (problem == 0) {
      compiled_ = true;
      return;
    }
    char reason[256];
    regerror(problem, &regex_, reason, sizeof reason);
    throw BadPattern(text_, reason);
  }
  ~Term() {
    if (compiled_) regfree(&regex_);
  }
  Term(const Term&) = delete;
  Term& operator=(const Term&) = delete;

  // `text` in lower case. A glob must match a whole name, but only a part of a description.
  bool Matches(const char* text, bool whole) const {
    switch (kind_) {
      case TermKind::kText:
        return std::strstr(text, text_.c_str()) != nullptr;
      case TermKind::kGlob:
        return fnmatch(whole ? text_.c_str() : ("*" + text_ + "*").c_str(), text, 0) == 0;
      default:
        return regexec(&regex_, text, 0, nullptr, 0) == 0;
    }
  }

 private:
  const std::string text_;
  const TermKind kind_;
  regex_t regex_ = {};
  bool compiled_ = false;
};

VerIterator Shown(CacheFile& file, PkgIterator const& package) {
  VerIterator version = file.Candidate(package);
  return version.end() ? package.VersionList() : version;
}

// "input:3-5: error: text" as the library words it.
Failure PatternFailure(const std::string& pattern, std::vector<Message> messages) {
  std::string problem = "it cannot be parsed";
  size_t start = 0;
  size_t end = pattern.size();
  for (const Message& message : messages) {
    if (message.severity != "error") continue;
    problem = message.text;
    size_t from = 0;
    size_t to = 0;
    int length = 0;
    if (std::sscanf(problem.c_str(), "input:%zu-%zu: error: %n", &from, &to, &length) == 2) {
      start = std::min(from, pattern.size());
      end = std::min(to, pattern.size());
      problem.erase(0, static_cast<size_t>(length));
    }
    break;
  }
  Failure failure = BadPattern(pattern, problem);
  failure.Messages(std::move(messages));
  failure.Detail("start", std::to_string(start)).Detail("end", std::to_string(end));
  return failure;
}

}  // namespace

// Matching takes no part of the library, so nobody waits for it but who asked.
std::vector<uint32_t> SearchPackages(Cache& cache, const Search& search,
                                     const std::function<bool()>& cancelled) {
  std::vector<std::unique_ptr<const Term>> terms;
  for (const std::string& text : search.terms) {
    terms.push_back(std::make_unique<const Term>(text, search.kind));
  }
  CacheFile* file = nullptr;
  size_t count = 0;
  std::vector<std::string> names;
  {
    Session session(cache.context().configuration());
    file = &cache.Use();
    pkgCache& packages = *file;
    count = packages.Head().PackageCount;
    if (search.descriptions) file->descriptions().Locate(packages, file->records());
    if (search.names) {
      for (pkgCache::GrpIterator group = packages.GrpBegin(); !group.end(); ++group) {
        names.push_back(Lower(group.Name()));
      }
    }
  }
  std::vector<std::vector<bool>> found(terms.size(), std::vector<bool>(count, false));
  if (search.descriptions) {
    const auto matches = [&terms](size_t term, const char* text) {
      return terms[term]->Matches(text, false);
    };
    found = file->descriptions().Find(count, terms.size(), matches, cancelled);
  }
  std::vector<std::vector<bool>> named(terms.size(), std::vector<bool>(names.size(), false));
  for (size_t i = 0; i < names.size(); ++i) {
    if (cancelled()) throw AbortedFailure();
    for (size_t term = 0; term < terms.size(); ++term) {
      named[term][i] = terms[term]->Matches(names[i].c_str(), true);
    }
  }
  if (cancelled()) throw AbortedFailure();
  Session session(cache.context().configuration());
  pkgCache& packages = cache.Use();
  pkgCache::GrpIterator group = packages.GrpBegin();
  for (size_t i = 0; i < names.size(); ++i, ++group) {
    for (size_t term = 0; term < terms.size(); ++term) {
      if (!named[term][i]) continue;
      for (PkgIterator package = group.PackageList(); !package.end();
           package = group.NextPkg(package)) {
        found[term][package->ID] = true;
      }
    }
  }
  std::vector<uint32_t> ids;
  for (size_t id = 0; id < count; ++id) {
    if (!std::all_of(found.begin(), found.end(), [id](const auto& term) { return term[id]; })) {
      continue;
    }
    PkgIterator package = file->PackageById(id);
    if (package.end() || package->VersionList == 0) continue;
    ids.push_back(Shown(*file, package)->ID);
  }
  return ids;
}

std::vector<uint32_t> MatchPattern(Cache& cache, const std::string& pattern, bool all_versions,
                                   const std::function<bool()>& cancelled) {
  CheckExpression(pattern);
  Session session(cache.context().configuration());
  CacheFile& file = cache.Use();
  // Some patterns look at marks, and would make the library build some of its own.
  if (!file.Reset(cache.context().options().recommends)) {
    throw session.MakeFailure("ERR_APT_FAILED", "Reading the packages");
  }
  std::unique_ptr<APT::CacheFilter::Matcher> matcher =
      APT::CacheFilter::ParsePattern(APT::StringView(pattern.data(), pattern.size()), &file);
  if (matcher == nullptr || _error->PendingError()) {
    throw PatternFailure(pattern, session.TakeMessages());
  }
  pkgCache& packages = file;
  std::vector<uint32_t> ids;
  for (PkgIterator package = packages.PkgBegin(); !package.end(); ++package) {
    if (cancelled()) throw AbortedFailure();
    if (package->VersionList == 0) continue;
    if (!all_versions) {
      if ((*matcher)(package)) ids.push_back(Shown(file, package)->ID);
      continue;
    }
    for (VerIterator version = package.VersionList(); !version.end(); ++version) {
      if ((*matcher)(version)) ids.push_back(version->ID);
    }
  }
  return ids;
}

}  // namespace apt_ostree::apt
