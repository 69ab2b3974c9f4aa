// Many like rows for JavaScript at the price of a few values: one string with the ends of its
// parts per text column, one array per number column. lib/apt/batch.ts reads them lazily.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace apt_ostree::apt {

class Columns {
 public:
  Columns(std::vector<const char*> texts, std::vector<const char*> numbers);

  void Text(size_t column, std::string_view text);
  void Number(size_t column, double number) { numbers_[column].values.push_back(number); }
  void EndRow() { ++rows_; }
  size_t rows() const { return rows_; }
  // Where the next page starts; 0 after the last one.
  uint64_t next = 0;

  // To be called once, off the JavaScript thread: plain ASCII becomes a string at the price of a
  // copy, and anything else is brought into JavaScript's own encoding here.
  void Finish();

  struct TextColumn {
    const char* name;
    std::string bytes;
    std::u16string wide;  // used where `bytes` is not ASCII
    std::vector<uint32_t> ends;
  };
  struct NumberColumn {
    const char* name;
    std::vector<double> values;
  };
  const std::vector<TextColumn>& texts() const { return texts_; }
  const std::vector<NumberColumn>& numbers() const { return numbers_; }

 private:
  std::vector<TextColumn> texts_;
  std::vector<NumberColumn> numbers_;
  size_t rows_ = 0;
};

// UTF-8 as UTF-16; bytes that are no UTF-8 become U+FFFD.
std::u16string ToUtf16(std::string_view bytes);

}  // namespace apt_ostree::apt
