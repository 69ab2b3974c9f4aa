#include "apt/expression.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/clip.h"

namespace apt_ostree::apt {

namespace {

constexpr size_t kLongest = 4096;
constexpr size_t kMostGroups = 256;
// The length of an expression times all its repetitions: what it may grow to when it is compiled.
constexpr size_t kMostNodes = 8192;

// The larger bound of `{m,n}`, which begins after `start`; 1 for what is no repetition.
size_t Bound(const std::string& text, size_t start) {
  size_t largest = 1;
  size_t number = 0;
  for (size_t i = start + 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ',') {
      number = 0;
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      number = std::min(number * 10 + static_cast<size_t>(c - '0'), kMostNodes);
      largest = std::max(largest, number);
    } else {
      break;
    }
  }
  return largest;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

bool IsField(std::string_view line, std::string_view name) {
  std::string_view field = line.substr(0, line.find(':'));
  field = field.substr(0, field.find_last_not_of(" \t") + 1);
  return field.size() < line.size() &&
         std::equal(name.begin(), name.end(), field.begin(), field.end(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

}  // namespace

// One rule for every kind, and no parser: where groups and brackets begin and end depends on who
// reads a text, so every repetition counts as if it held all the others.
std::string ProblemOfExpression(const std::string& text) {
  if (text.size() > kLongest) return "it is longer than " + std::to_string(kLongest) + " bytes";
  size_t groups = 0;
  size_t nodes = std::max<size_t>(text.size(), 1);
  char before = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' && ++groups > kMostGroups) return "it has too many parentheses";
    if (before == '\\' && c >= '1' && c <= '9') return "it has a back reference";
    if (c == '{') nodes *= Bound(text, i);
    // `x+` stands for `xx*`, and `x` may be as much as a group.
    if (c == '+' && std::string_view(")+*?}").find(before) != std::string_view::npos) nodes *= 2;
    if (nodes > kMostNodes) return "its repetitions come to too much";
    before = c;
  }
  return "";
}

std::string ProblemOfValue(const std::string& text) {
  constexpr const char* kEnds = " \t\n\v\f\r,=\":";
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find_first_of(kEnds, start), text.size());
    if (text[start] == '/' && text.find_first_not_of('*', start + 1) >= end) {
      return "it has a slash alone";
    }
    start = end + 1;
  }
  return ProblemOfExpression(text);
}

Failure BadPattern(const std::string& text, const std::string& problem) {
  Failure failure("ERR_APT_PATTERN", "The pattern '" + Clip(text) + "' is wrong: " + problem);
  failure.Detail("pattern", text);
  return failure;
}

void CheckExpression(const std::string& text) {
  const std::string problem = ProblemOfExpression(text);
  if (!problem.empty()) throw BadPattern(text, problem);
}

void CheckPreferences(const std::string& text, const std::string& file, const std::string& code) {
  const auto check = [&](const std::string& part) {
    const std::string problem = ProblemOfValue(part);
    if (problem.empty()) return;
    Failure failure(code, file + ": '" + Clip(part) + "' cannot be used: " + problem);
    throw failure.Detail("path", file);
  };
  std::istringstream lines(text);
  std::string field;
  bool names = false;
  // A list of names may be long; what else a field has is one expression, or several that are
  // taken as one.
  const auto end_field = [&] {
    if (names) {
      std::istringstream words(field);
      for (std::string word; words >> word;) check(word);
    } else {
      check(field);
    }
    field.clear();
  };
  bool wanted = false;
  for (std::string line; std::getline(lines, line);) {
    // A comment may stand amid a field.
    if (line.rfind('#', 0) == 0) continue;
    const bool further = !line.empty() && std::isspace(static_cast<unsigned char>(line[0])) != 0;
    if (!further) {
      end_field();
      names = IsField(line, "package");
      wanted = names || IsField(line, "pin");
      if (wanted) line.erase(0, line.find(':') + 1);
    }
    if (wanted) field += line + "\n";
  }
  end_field();
}

void CheckPreferenceFiles(Configuration& configuration) {
  std::vector<std::string> files;
  const std::string directory = configuration.FindDir("Dir::Etc::PreferencesParts", "/dev/null");
  if (DirectoryExists(directory)) files = GetListOfFilesInDir(directory, "pref", true, true);
  // What is wrong with the directory is said by who reads it.
  _error->Discard();
  const std::string main = configuration.FindFile("Dir::Etc::Preferences");
  if (RealFileExists(main)) files.push_back(main);
  for (const std::string& file : files) {
    CheckPreferences(ReadAll(file), file, "ERR_APT_FAILED");
  }
}

}  // namespace apt_ostree::apt
