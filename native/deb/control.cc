#include "deb/control.h"

#include <algorithm>
#include <cctype>

#include "deb/source.h"

namespace apt_ostree {

namespace {

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

std::map<std::string, std::string> ParseControl(const std::string& text) {
  std::map<std::string, std::string> fields;
  std::string* value = nullptr;
  for (const std::string& line : LinesOf(text)) {
    if (Trimmed(line).empty()) {
      if (!fields.empty()) break;
      continue;
    }
    if (line[0] == '#') continue;
    if (line[0] == ' ' || line[0] == '\t') {
      if (value == nullptr) throw Damaged("the control file begins with a continued line");
      *value += '\n';
      *value += Trimmed(line);
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) {
      throw Damaged("a line of the control file has no field name");
    }
    std::string key = line.substr(0, colon);
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    value = &fields[key];
    *value = Trimmed(line.substr(colon + 1));
  }
  return fields;
}

std::vector<std::string> ParseConffiles(const std::string& text) {
  std::vector<std::string> paths;
  for (const std::string& line : LinesOf(text)) {
    const std::string entry = Trimmed(line);
    // "remove-on-upgrade /etc/x" names a file that the package no longer has.
    if (!entry.empty() && entry[0] == '/') paths.push_back(entry.substr(1));
  }
  return paths;
}

std::string EscapeRef(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z');
    // A leading dot could make "." or "..".
    if (alnum || byte == '-' || (byte == '.' && i > 0)) {
      escaped += text[i];
    } else {
      escaped += '_';
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    }
  }
  return escaped;
}

std::string PackageRef(const std::string& name, const std::string& version,
                       const std::string& architecture) {
  return "apt-ostree/pkg/" + EscapeRef(name) + "/" + EscapeRef(version) + "_" +
         EscapeRef(architecture);
}

}  // namespace apt_ostree
