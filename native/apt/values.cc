#include "apt/values.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

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

namespace {

Napi::Value TextToJs(Napi::Env env, const apt::Columns::TextColumn& column) {
  napi_value value = nullptr;
  const napi_status status =
      column.wide.empty()
          // ASCII, so the same in Latin-1: a plain copy, where UTF-8 would be decoded.
          ? napi_create_string_latin1(env, column.bytes.data(), column.bytes.size(), &value)
          : napi_create_string_utf16(env, column.wide.data(), column.wide.size(), &value);
  if (status != napi_ok) throw Napi::Error::New(env, "A batch is too large");
  return Napi::Value(env, value);
}

}  // namespace

Napi::Value ColumnsToJs(Napi::Env env, const apt::Columns& columns) {
  Napi::Object texts = Napi::Object::New(env);
  Napi::Object ends = Napi::Object::New(env);
  Napi::Object numbers = Napi::Object::New(env);
  for (const apt::Columns::TextColumn& column : columns.texts()) {
    texts.Set(column.name, TextToJs(env, column));
    Napi::Uint32Array places = Napi::Uint32Array::New(env, column.ends.size());
    std::copy(column.ends.begin(), column.ends.end(), places.Data());
    ends.Set(column.name, places);
  }
  for (const apt::Columns::NumberColumn& column : columns.numbers()) {
    Napi::Float64Array values = Napi::Float64Array::New(env, column.values.size());
    std::copy(column.values.begin(), column.values.end(), values.Data());
    numbers.Set(column.name, values);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("rows", static_cast<double>(columns.rows()));
  object.Set("next", static_cast<double>(columns.next));
  object.Set("texts", texts);
  object.Set("ends", ends);
  object.Set("numbers", numbers);
  return object;
}

Napi::Value TreeToJs(Napi::Env env, const apt::Tree& tree) {
  if (const bool* flag = std::get_if<bool>(&tree.value)) return Napi::Boolean::New(env, *flag);
  if (const double* number = std::get_if<double>(&tree.value)) {
    return Napi::Number::New(env, *number);
  }
  if (const std::string* text = std::get_if<std::string>(&tree.value)) {
    return Napi::String::New(env, *text);
  }
  if (const apt::TreeList* list = std::get_if<apt::TreeList>(&tree.value)) {
    Napi::Array array = Napi::Array::New(env, list->size());
    for (size_t i = 0; i < list->size(); ++i) {
      array.Set(static_cast<uint32_t>(i), TreeToJs(env, (*list)[i]));
    }
    return array;
  }
  if (const apt::TreeMembers* members = std::get_if<apt::TreeMembers>(&tree.value)) {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [name, member] : *members) {
      // Names may come from a file: `__proto__` must be a member like any other.
      object.DefineProperty(
          Napi::PropertyDescriptor::Value(name, TreeToJs(env, member), napi_default_jsproperty));
    }
    return object;
  }
  return env.Null();
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
