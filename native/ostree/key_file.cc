#include "ostree/key_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/arguments.h"
#include "core/error.h"

namespace apt_ostree {

namespace {

constexpr auto kKeepAll =
    static_cast<GKeyFileFlags>(G_KEY_FILE_KEEP_COMMENTS | G_KEY_FILE_KEEP_TRANSLATIONS);

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// "de_DE.UTF-8@euro", of "name[de]".
bool IsLocale(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c >= 0x80 || std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '@';
  });
}

bool IsKeyName(const std::string& text) {
  if (HasControl(text)) return false;
  std::string base = text;
  if (const size_t bracket = text.find('['); bracket != std::string::npos) {
    if (text.back() != ']' || !IsLocale(text.substr(bracket + 1, text.size() - bracket - 2))) {
      return false;
    }
    base = text.substr(0, bracket);
  }
  // A line that starts with # would be read as a comment.
  return !base.empty() && base.front() != ' ' && base.front() != '#' && base.back() != ' ' &&
         base.find_first_of("=[]") == std::string::npos;
}

// GLib leaves the empty lines that stood before a group which is gone. Between groups it writes one
// where there is none.
void DropEmptyEnd(GKeyFile* file) {
  std::string text = KeyFileText(file);
  const size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos || text.size() - end <= 2) return;
  text.resize(end + 2);
  GError* error = nullptr;
  if (!g_key_file_load_from_data(file, text.data(), text.size(), kKeepAll, &error)) {
    throw FromGError(error, "Reading a key file");
  }
}

}  // namespace

std::string CheckedGroupName(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (text.empty() || HasControl(text) || text.find_first_of("[]") != std::string::npos) {
    throw InvalidArgumentValue(value.Env(), name, "is not a name that a group can have");
  }
  return text;
}

std::string CheckedKeyName(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (!IsKeyName(text)) {
    throw InvalidArgumentValue(value.Env(), name, "is not a name that a key can have");
  }
  return text;
}

KeyFileGroups CheckedKeyFile(Napi::Value value, const std::string& name) {
  KeyFileGroups groups;
  if (value.IsUndefined()) return groups;
  if (!value.IsObject()) {
    throw InvalidArgumentType(value.Env(), name, "of type object", value);
  }
  Napi::Object object = value.As<Napi::Object>();
  Napi::Array group_names = object.GetPropertyNames();
  for (uint32_t i = 0; i < group_names.Length(); ++i) {
    const std::string group = CheckedGroupName(group_names.Get(i), name);
    const std::string path = name + "." + group;
    Napi::Value members = object.Get(group);
    if (members.IsNull()) {
      groups.emplace_back(group, std::nullopt);
      continue;
    }
    if (!members.IsObject()) {
      throw InvalidArgumentType(value.Env(), path, "of type object or null", members);
    }
    KeyFileKeys keys;
    Napi::Object member_object = members.As<Napi::Object>();
    Napi::Array key_names = member_object.GetPropertyNames();
    for (uint32_t j = 0; j < key_names.Length(); ++j) {
      const std::string key = CheckedKeyName(key_names.Get(j), path);
      Napi::Value text = member_object.Get(key);
      if (text.IsNull()) {
        keys.emplace_back(key, std::nullopt);
      } else {
        keys.emplace_back(key, CheckedString(text, path + "." + key));
      }
    }
    groups.emplace_back(group, std::move(keys));
  }
  return groups;
}

KeyFileGroups ReadKeyFile(GKeyFile* file) {
  KeyFileGroups groups;
  if (file == nullptr) return groups;
  GStrvPtr names(g_key_file_get_groups(file, nullptr));
  for (char** group = names.get(); *group != nullptr; ++group) {
    KeyFileKeys keys;
    GStrvPtr key_names(g_key_file_get_keys(file, *group, nullptr, nullptr));
    for (char** key = key_names.get(); key != nullptr && *key != nullptr; ++key) {
      GStringPtr value(g_key_file_get_string(file, *group, *key, nullptr));
      // Not text by the rules of key files: as it stands.
      if (!value) value.reset(g_key_file_get_value(file, *group, *key, nullptr));
      keys.emplace_back(*key, value ? value.get() : "");
    }
    groups.emplace_back(*group, std::move(keys));
  }
  return groups;
}

void WriteInto(GKeyFile* file, const KeyFileGroups& groups) {
  bool removed = false;
  for (const auto& [group, keys] : groups) {
    if (!keys) {
      removed |= g_key_file_remove_group(file, group.c_str(), nullptr) != FALSE;
      continue;
    }
    for (const auto& [key, value] : *keys) {
      if (value) {
        g_key_file_set_string(file, group.c_str(), key.c_str(), value->c_str());
      } else {
        g_key_file_remove_key(file, group.c_str(), key.c_str(), nullptr);
      }
    }
  }
  if (removed) DropEmptyEnd(file);
}

Napi::Value KeyFileToJs(Napi::Env env, const KeyFileGroups& groups) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [group, keys] : groups) {
    if (!keys) continue;
    Napi::Object members = Napi::Object::New(env);
    for (const auto& [key, value] : *keys) members.Set(key, value.value_or(""));
    object.Set(group, members);
  }
  return object;
}

GKeyFilePtr LoadKeyFile(int directory, const std::string& path) {
  const UniqueFd file(openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw FromErrno(errno, "Reading", path);
  std::string text;
  char buffer[8192];
  for (ssize_t got; (got = read(file.get(), buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw FromErrno(errno, "Reading", path);
    text.append(buffer, static_cast<size_t>(got));
  }
  GKeyFilePtr key_file(g_key_file_new());
  GError* error = nullptr;
  // An empty text counts as an error to GLib.
  if (!text.empty() &&
      !g_key_file_load_from_data(key_file.get(), text.data(), text.size(), kKeepAll, &error)) {
    throw FromGError(error, "Reading a key file").Detail("path", path);
  }
  return key_file;
}

std::string KeyFileText(GKeyFile* file) {
  gsize length = 0;
  GStringPtr text(g_key_file_to_data(file, &length, nullptr));
  return std::string(text.get(), length);
}

}  // namespace apt_ostree
