// Results of native/apt as JavaScript values.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "apt/failure.h"

namespace apt_ostree {

// Many like objects as one string per member, values separated by line feeds: a thousand
// strings at the price of one. lib/apt/table.ts makes objects of it.
class Table {
 public:
  explicit Table(std::vector<const char*> columns) : columns_(std::move(columns)) {
    texts_.resize(columns_.size());
  }
  // In the order of the columns.
  void Row(const std::vector<std::string>& values);
  Napi::Value ToJs(Napi::Env env) const;

 private:
  std::vector<const char*> columns_;
  std::vector<std::string> texts_;
  size_t rows_ = 0;
};

Napi::Value MessagesToJs(Napi::Env env, const std::vector<apt::Message>& messages);

}  // namespace apt_ostree
