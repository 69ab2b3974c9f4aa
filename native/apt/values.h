// Results of native/apt as JavaScript values.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "apt/columns.h"
#include "apt/failure.h"
#include "apt/tree.h"

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

Napi::Value ColumnsToJs(Napi::Env env, const apt::Columns& columns);
// Members in their order; for small answers.
Napi::Value TreeToJs(Napi::Env env, const apt::Tree& tree);

Napi::Value MessagesToJs(Napi::Env env, const std::vector<apt::Message>& messages);

}  // namespace apt_ostree
