#include "ostree/deployment.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"

namespace apt_ostree {

namespace {

using KernelArgsPtr = std::unique_ptr<OstreeKernelArgs, FreeWith<ostree_kernel_args_free>>;

std::string OrEmpty(const char* text) { return text != nullptr ? text : ""; }

// g_key_file_set_string only logs a critical for names that a key file cannot hold.
void CheckKeyFileName(Napi::Env env, const std::string& text, const std::string& name,
                      const char* refused) {
  const bool bad =
      text.empty() || text.front() == ' ' || text.back() == ' ' ||
      text.find_first_of(refused) != std::string::npos ||
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (bad) throw InvalidArgumentValue(env, name, "has a name that a key file cannot hold");
}

std::vector<std::string> KernelArguments(OstreeDeployment* deployment) {
  std::vector<std::string> result;
  OstreeBootconfigParser* boot = ostree_deployment_get_bootconfig(deployment);
  const char* options = boot != nullptr ? ostree_bootconfig_parser_get(boot, "options") : nullptr;
  if (options == nullptr) return result;
  KernelArgsPtr arguments(ostree_kernel_args_from_string(options));
  GStrvPtr list(ostree_kernel_args_to_strv(arguments.get()));
  for (char** argument = list.get(); *argument != nullptr; ++argument) {
    // libostree's own, written anew with each boot list.
    if (!g_str_has_prefix(*argument, "ostree=")) result.emplace_back(*argument);
  }
  return result;
}

std::string Version(OstreeRepo* repo, const std::string& checksum) {
  VariantPtr commit;
  if (!ostree_repo_load_commit(repo, checksum.c_str(), commit.out(), nullptr, nullptr)) return "";
  VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
  const char* version = nullptr;
  return g_variant_lookup(metadata.get(), "version", "&s", &version) ? version : "";
}

}  // namespace

KeyFileGroups CheckedKeyFile(Napi::Value value, const std::string& name) {
  KeyFileGroups groups;
  if (value.IsUndefined()) return groups;
  if (!value.IsObject()) {
    throw InvalidArgumentType(value.Env(), name, "of type object", value);
  }
  Napi::Object object = value.As<Napi::Object>();
  Napi::Array group_names = object.GetPropertyNames();
  for (uint32_t i = 0; i < group_names.Length(); ++i) {
    const std::string group = CheckedString(group_names.Get(i), name);
    CheckKeyFileName(value.Env(), group, name, "[]");
    Napi::Value members = object.Get(group);
    if (!members.IsObject()) {
      throw InvalidArgumentType(value.Env(), name + "." + group, "of type object", members);
    }
    auto& keys = groups[group];
    Napi::Object member_object = members.As<Napi::Object>();
    Napi::Array key_names = member_object.GetPropertyNames();
    for (uint32_t j = 0; j < key_names.Length(); ++j) {
      const std::string key = CheckedString(key_names.Get(j), name + "." + group);
      CheckKeyFileName(value.Env(), key, name + "." + group, "=[]# ");
      Napi::Value text = member_object.Get(key);
      if (text.IsNull()) {
        keys[key] = std::nullopt;
      } else {
        keys[key] = CheckedString(text, name + "." + group + "." + key);
      }
    }
  }
  return groups;
}

KeyFileGroups ReadKeyFile(GKeyFile* file) {
  KeyFileGroups groups;
  if (file == nullptr) return groups;
  GStrvPtr names(g_key_file_get_groups(file, nullptr));
  for (char** group = names.get(); *group != nullptr; ++group) {
    auto& keys = groups[*group];
    GStrvPtr key_names(g_key_file_get_keys(file, *group, nullptr, nullptr));
    for (char** key = key_names.get(); key != nullptr && *key != nullptr; ++key) {
      GStringPtr value(g_key_file_get_string(file, *group, *key, nullptr));
      // Not text by the rules of key files: as it stands.
      if (!value) value.reset(g_key_file_get_value(file, *group, *key, nullptr));
      keys[*key] = OrEmpty(value.get());
    }
  }
  return groups;
}

void WriteInto(GKeyFile* file, const KeyFileGroups& groups) {
  for (const auto& [group, keys] : groups) {
    for (const auto& [key, value] : keys) {
      if (value) {
        g_key_file_set_string(file, group.c_str(), key.c_str(), value->c_str());
      } else {
        g_key_file_remove_key(file, group.c_str(), key.c_str(), nullptr);
      }
    }
  }
}

Napi::Value KeyFileToJs(Napi::Env env, const KeyFileGroups& groups) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [group, keys] : groups) {
    Napi::Object members = Napi::Object::New(env);
    for (const auto& [key, value] : keys) members.Set(key, value.value_or(""));
    object.Set(group, members);
  }
  return object;
}

std::vector<DeploymentData> ReadDeployments(OstreeSysroot* sysroot) {
  std::vector<DeploymentData> result;
  GPtrArrayPtr list(ostree_sysroot_get_deployments(sysroot));
  OstreeDeployment* booted = ostree_sysroot_get_booted_deployment(sysroot);
  auto root = GObjectPtr<GFile>::Share(ostree_sysroot_get_path(sysroot));
  GStringPtr root_path(g_file_get_path(root.get()));
  const std::string prefix = std::string(root_path.get()) == "/" ? "" : root_path.get();
  for (guint i = 0; i < list->len; ++i) {
    auto* deployment = static_cast<OstreeDeployment*>(list->pdata[i]);
    DeploymentData data;
    data.index = ostree_deployment_get_index(deployment);
    data.stateroot = ostree_deployment_get_osname(deployment);
    data.checksum = ostree_deployment_get_csum(deployment);
    data.serial = ostree_deployment_get_deployserial(deployment);
    data.boot_checksum = OrEmpty(ostree_deployment_get_bootcsum(deployment));
    data.boot_serial = ostree_deployment_get_bootserial(deployment);
    data.origin = ReadKeyFile(ostree_deployment_get_origin(deployment));
    data.kernel_arguments = KernelArguments(deployment);
    data.pinned = ostree_deployment_is_pinned(deployment) != FALSE;
    data.staged = ostree_deployment_is_staged(deployment) != FALSE;
    data.booted = booted != nullptr && ostree_deployment_equal(deployment, booted);
    data.unlocked =
        ostree_deployment_unlocked_state_to_string(ostree_deployment_get_unlocked(deployment));
    GStringPtr relative(ostree_sysroot_get_deployment_dirpath(sysroot, deployment));
    data.path = prefix + "/" + relative.get();
    data.version = Version(ostree_sysroot_repo(sysroot), data.checksum);
    result.push_back(std::move(data));
  }
  return result;
}

Napi::Value DeploymentsToJs(Napi::Env env, const std::vector<DeploymentData>& deployments) {
  Napi::Array list = Napi::Array::New(env, deployments.size());
  for (size_t i = 0; i < deployments.size(); ++i) {
    const DeploymentData& data = deployments[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("index", data.index);
    object.Set("id", data.id());
    object.Set("stateroot", data.stateroot);
    object.Set("checksum", data.checksum);
    object.Set("serial", data.serial);
    object.Set("bootChecksum", data.boot_checksum);
    object.Set("bootSerial", data.boot_serial);
    object.Set("origin", KeyFileToJs(env, data.origin));
    Napi::Array arguments = Napi::Array::New(env, data.kernel_arguments.size());
    for (size_t j = 0; j < data.kernel_arguments.size(); ++j) {
      arguments.Set(static_cast<uint32_t>(j), data.kernel_arguments[j]);
    }
    object.Set("kernelArguments", arguments);
    object.Set("pinned", data.pinned);
    object.Set("staged", data.staged);
    object.Set("booted", data.booted);
    object.Set("unlocked", data.unlocked);
    object.Set("path", data.path);
    if (!data.version.empty()) object.Set("version", data.version);
    list.Set(static_cast<uint32_t>(i), object);
  }
  return list;
}

GObjectPtr<OstreeDeployment> FindDeployment(OstreeSysroot* sysroot, const std::string& id) {
  GPtrArrayPtr list(ostree_sysroot_get_deployments(sysroot));
  for (guint i = 0; i < list->len; ++i) {
    auto* deployment = static_cast<OstreeDeployment*>(list->pdata[i]);
    DeploymentData data;
    data.stateroot = ostree_deployment_get_osname(deployment);
    data.checksum = ostree_deployment_get_csum(deployment);
    data.serial = ostree_deployment_get_deployserial(deployment);
    if (data.id() == id) return GObjectPtr<OstreeDeployment>::Share(deployment);
  }
  throw NativeError("ENOENT", "No such deployment: " + id).Detail("ref", id);
}

}  // namespace apt_ostree
