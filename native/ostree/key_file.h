// Key files - the configuration of a repository, origins - between JavaScript and GLib. GLib only
// logs a complaint about names that a key file cannot hold, so they are checked here.
#pragma once

#include <gio/gio.h>
#include <napi.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

// In the order of the file. An absent value deletes the key, absent keys delete the group.
using KeyFileKeys = std::vector<std::pair<std::string, std::optional<std::string>>>;
using KeyFileGroups = std::vector<std::pair<std::string, std::optional<KeyFileKeys>>>;

std::string CheckedGroupName(Napi::Value value, const std::string& name);
std::string CheckedKeyName(Napi::Value value, const std::string& name);

// An object of objects of strings; null where something is to be deleted. Throws a TypeError.
KeyFileGroups CheckedKeyFile(Napi::Value value, const std::string& name);
KeyFileGroups ReadKeyFile(GKeyFile* file);
void WriteInto(GKeyFile* file, const KeyFileGroups& groups);
Napi::Value KeyFileToJs(Napi::Env env, const KeyFileGroups& groups);

// A file as it stands, with its comments, order and translations. Throws; ENOENT too.
GKeyFilePtr LoadKeyFile(int directory, const std::string& path);
std::string KeyFileText(GKeyFile* file);

}  // namespace apt_ostree
