#include "apt/relations.h"

#include <apt-pkg/deblistparser.h>
#include <apt-pkg/error.h>
#include <apt-pkg/tagfile.h>

#include <array>
#include <string_view>
#include <utility>

namespace apt_ostree::apt {

namespace {

using Parser = pkgSrcRecords::Parser;

constexpr std::string_view kSpace = " \t\n\v\f\r";

// libapt takes two spaces in a list of architectures for a text of negative length.
std::string WithSingleSpaces(const std::string& text) {
  std::string single;
  single.reserve(text.size());
  for (const char c : text) {
    const bool space = kSpace.find(c) != std::string_view::npos;
    if (!space) {
      single += c;
    } else if (!single.empty() && single.back() != ' ') {
      single += ' ';
    }
  }
  if (!single.empty() && single.back() == ' ') single.pop_back();
  return single;
}

// libapt looks for the end of an open bracket beyond the end of the text.
bool IsEachBracketClosed(const std::string& text) {
  size_t place = 0;
  while ((place = text.find_first_of("([<", place)) != std::string::npos) {
    const char closing = text[place] == '(' ? ')' : text[place] == '[' ? ']' : '>';
    place = text.find(closing, place + 1);
    if (place == std::string::npos) return false;
  }
  return true;
}

bool IsOrGroupOpen(const std::vector<BuildDependency>& dependencies) {
  return !dependencies.empty() && (dependencies.back().Op & pkgCache::Dep::Or) == pkgCache::Dep::Or;
}

}  // namespace

bool ReadRelations(const std::string& text, Parser::BuildDep type, const std::string& architecture,
                   Commas commas, std::vector<BuildDependency>& dependencies) {
  const std::string relations = WithSingleSpaces(text);
  if (!IsEachBracketClosed(relations)) return false;
  const char* place = relations.c_str();
  const char* const end = place + relations.size();
  while (true) {
    while (commas == Commas::kAny && place != end && (*place == ',' || *place == ' ')) ++place;
    if (commas == Commas::kAny && place == end) return true;
    BuildDependency one;
    place = debListParser::ParseDepends(place, end, one.Package, one.Version, one.Op, true, false,
                                        true, architecture);
    if (place == nullptr) return false;
    one.Type = type;
    if (!one.Package.empty()) {
      dependencies.push_back(std::move(one));
    } else if (IsOrGroupOpen(dependencies)) {
      // Left out for its architecture or profile: what came before is the last of its group.
      dependencies.back().Op &= ~static_cast<unsigned>(pkgCache::Dep::Or);
      dependencies.back().Op |= one.Op & pkgCache::Dep::Or;
    }
    if (place == end) return true;
  }
}

bool ReadBuildDependencies(Parser& source, bool only_arch,
                           std::vector<BuildDependency>& dependencies) {
  struct Field {
    const char* name;
    Parser::BuildDep type;
    bool indep;
  };
  // In the library's order.
  constexpr std::array<Field, 6> kFields = {{
      {"Build-Depends", Parser::BuildDepend, false},
      {"Build-Depends-Indep", Parser::BuildDependIndep, true},
      {"Build-Conflicts", Parser::BuildConflict, false},
      {"Build-Conflicts-Indep", Parser::BuildConflictIndep, true},
      {"Build-Depends-Arch", Parser::BuildDependArch, false},
      {"Build-Conflicts-Arch", Parser::BuildConflictArch, false},
  }};
  // A record ends with an empty line, which the library's text of it may lack.
  const std::string record = source.AsStr() + "\n\n";
  pkgTagSection section;
  if (!section.Scan(record.data(), record.size())) {
    return _error->Error("The record of %s cannot be read", source.Package().c_str());
  }
  for (const Field& field : kFields) {
    if (only_arch && field.indep) continue;
    const std::string text = section.FindS(field.name);
    if (!ReadRelations(text, field.type, "", Commas::kAny, dependencies)) {
      return _error->Error("Problem parsing dependency: %s", field.name);
    }
  }
  return true;
}

}  // namespace apt_ostree::apt
