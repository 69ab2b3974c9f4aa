#include "apt/values.h"

#include <cstdint>

namespace apt_ostree {

void Table::Row(const std::vector<std::string>& values) {
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (rows_ != 0) texts_[i] += '\n';
    // Fields of one line each, whatever a hostile index says.
    for (const char c : values[i]) texts_[i] += c == '\n' ? ' ' : c;
  }
  ++rows_;
}

Napi::Value Table::ToJs(Napi::Env env) const {
  Napi::Object columns = Napi::Object::New(env);
  for (size_t i = 0; i < columns_.size(); ++i) columns.Set(columns_[i], texts_[i]);
  Napi::Object table = Napi::Object::New(env);
  table.Set("rows", static_cast<double>(rows_));
  table.Set("columns", columns);
  return table;
}

Napi::Value MessagesToJs(Napi::Env env, const std::vector<apt::Message>& messages) {
  Napi::Array list = Napi::Array::New(env, messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("severity", messages[i].severity);
    entry.Set("text", messages[i].text);
    list.Set(static_cast<uint32_t>(i), entry);
  }
  return list;
}

}  // namespace apt_ostree
