#include "apt/columns.h"

#include <algorithm>
#include <utility>

namespace apt_ostree::apt {

namespace {

constexpr char32_t kReplacement = 0xFFFD;

// One character of `bytes` at `place`, which moves past it; kReplacement for a wrong byte.
char32_t Decode(std::string_view bytes, size_t& place) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const unsigned char first = byte(place++);
  if (first < 0x80) return first;
  const int more = first >= 0xC2 && first <= 0xDF   ? 1
                   : first >= 0xE0 && first <= 0xEF ? 2
                   : first >= 0xF0 && first <= 0xF4 ? 3
                                                    : 0;
  if (more == 0) return kReplacement;
  char32_t character = first & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if (place + i >= bytes.size() || (byte(place + i) & 0xC0) != 0x80) return kReplacement;
    character = (character << 6) | (byte(place + i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
  if (character < kSmallest[more] || character > 0x10FFFF || surrogate) return kReplacement;
  place += more;
  return character;
}

bool IsAscii(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::u16string ToUtf16(std::string_view bytes) {
  std::u16string text;
  text.reserve(bytes.size());
  for (size_t place = 0; place < bytes.size();) {
    char32_t character = Decode(bytes, place);
    if (character < 0x10000) {
      text += static_cast<char16_t>(character);
      continue;
    }
    character -= 0x10000;
    text += static_cast<char16_t>(0xD800 + (character >> 10));
    text += static_cast<char16_t>(0xDC00 + (character & 0x3FF));
  }
  return text;
}

Columns::Columns(std::vector<const char*> texts, std::vector<const char*> numbers) {
  for (const char* name : texts) texts_.push_back({name, {}, {}, {}});
  for (const char* name : numbers) numbers_.push_back({name, {}});
}

void Columns::Text(size_t column, std::string_view text) {
  TextColumn& target = texts_[column];
  target.bytes.append(text);
  target.ends.push_back(static_cast<uint32_t>(target.bytes.size()));
}

void Columns::Finish() {
  for (TextColumn& column : texts_) {
    if (IsAscii(column.bytes)) continue;
    size_t start = 0;
    for (uint32_t& end : column.ends) {
      const size_t next = end;
      column.wide += ToUtf16(std::string_view(column.bytes).substr(start, next - start));
      end = static_cast<uint32_t>(column.wide.size());
      start = next;
    }
    column.bytes.clear();
  }
}

}  // namespace apt_ostree::apt
