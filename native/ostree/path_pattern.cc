#include "ostree/path_pattern.h"

#include "core/error.h"

namespace apt_ostree {

namespace {

bool IsSpecial(char c) { return std::string("\\^$.|?*+()[]{}-#").find(c) != std::string::npos; }

void AppendLiteral(std::string& regex, char c) {
  if (IsSpecial(c)) regex += '\\';
  regex += c;
}

// The set that begins at `start`; returns where it ends, or `start` where it has no end.
size_t AppendSet(std::string& regex, const std::string& text, size_t start) {
  size_t i = start + 1;
  const bool negated = i < text.size() && (text[i] == '!' || text[i] == '^');
  if (negated) ++i;
  const size_t end = text.find(']', i + 1);
  if (end == std::string::npos) return start;
  regex += negated ? "[^/" : "[";
  for (; i < end; ++i) {
    if (text[i] != '-') {
      AppendLiteral(regex, text[i]);
    } else {
      regex += '-';
    }
  }
  regex += ']';
  return end;
}

std::string ToRegex(const std::string& text) {
  std::string regex = text.compare(0, 1, "/") == 0 ? "\\A" : "\\A.*/";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '*' && i + 1 < text.size() && text[i + 1] == '*') {
      const bool whole_names = i == 0 || text[i - 1] == '/';
      ++i;
      if (whole_names && i + 1 < text.size() && text[i + 1] == '/') {
        ++i;
        regex += "(?:.*/)?";
      } else {
        regex += ".*";
      }
    } else if (c == '*') {
      regex += "[^/]*";
    } else if (c == '?') {
      // One character of UTF-8.
      regex += "[^/\\x80-\\xbf][\\x80-\\xbf]*";
    } else if (c == '[') {
      const size_t end = AppendSet(regex, text, i);
      if (end == i) AppendLiteral(regex, c);
      i = end;
    } else {
      AppendLiteral(regex, c);
    }
  }
  return regex + "\\z";
}

}  // namespace

PathPattern::PathPattern(const std::string& text) {
  GError* error = nullptr;
  regex_.reset(g_regex_new(ToRegex(text).c_str(),
                           static_cast<GRegexCompileFlags>(G_REGEX_DOTALL | G_REGEX_RAW),
                           static_cast<GRegexMatchFlags>(0), &error));
  if (!regex_) throw FromGError(error, "Reading a pattern").Detail("pattern", text);
}

bool PathPattern::Matches(const std::string& path) const {
  return g_regex_match(regex_.get(), path.c_str(), static_cast<GRegexMatchFlags>(0), nullptr) !=
         FALSE;
}

}  // namespace apt_ostree
