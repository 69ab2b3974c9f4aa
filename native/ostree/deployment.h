// OstreeDeployment as plain data.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <optional>
#include <string>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"
#include "ostree/key_file.h"

namespace apt_ostree {

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
  // Absent where this libostree cannot tell.
  std::optional<bool> finalization_locked;
  std::optional<bool> soft_reboot_target;
  std::vector<std::string> overlay_initrds;
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

// Of the boot loader entry, with libostree's own `ostree=`; empty where there is no entry.
std::vector<std::string> BootArguments(OstreeDeployment* deployment);
// Puts `ostree=` where it was before, in a list without it.
void KeepOstreeArgument(OstreeDeployment* deployment, std::vector<std::string>* list);

// What is to be changed in an origin file: a key file whose `refspec` is one.
KeyFileGroups CheckedOrigin(Napi::Value value, const std::string& name);
// The origin file as it stands, with its comments; empty where there is none.
GKeyFilePtr LoadOrigin(OstreeSysroot* sysroot, OstreeDeployment* deployment);

}  // namespace apt_ostree
