// OstreeDeployment as plain data, and origin files.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"

namespace apt_ostree {

// A key file: group, key, value; an absent value deletes the key.
using KeyFileGroups = std::map<std::string, std::map<std::string, std::optional<std::string>>>;

// An object of objects of strings (or null). Throws a TypeError where a name could not be written.
KeyFileGroups CheckedKeyFile(Napi::Value value, const std::string& name);
KeyFileGroups ReadKeyFile(GKeyFile* file);
void WriteInto(GKeyFile* file, const KeyFileGroups& groups);
Napi::Value KeyFileToJs(Napi::Env env, const KeyFileGroups& groups);

struct DeploymentData {
  int index = 0;
  std::string stateroot;
  std::string checksum;
  int serial = 0;
  std::string boot_checksum;
  int boot_serial = 0;
  KeyFileGroups origin;
  std::vector<std::string> kernel_arguments;
  bool pinned = false;
  bool staged = false;
  bool booted = false;
  std::string unlocked;
  std::string path;
  std::string version;

  // "stateroot-checksum.serial", as the boot loader entries and `ostree admin` name it.
  std::string id() const { return stateroot + "-" + checksum + "." + std::to_string(serial); }
};

// Of a loaded sysroot, in boot order.
std::vector<DeploymentData> ReadDeployments(OstreeSysroot* sysroot);
Napi::Value DeploymentsToJs(Napi::Env env, const std::vector<DeploymentData>& deployments);

// The object with this id. Throws ENOENT.
GObjectPtr<OstreeDeployment> FindDeployment(OstreeSysroot* sysroot, const std::string& id);

}  // namespace apt_ostree
