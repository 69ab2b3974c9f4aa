#include "ostree/deployment.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/values.h"
#include "ostree/features.h"
#include "ostree/names.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

using KernelArgsPtr = std::unique_ptr<OstreeKernelArgs, FreeWith<ostree_kernel_args_free>>;

std::string OrEmpty(const char* text) { return text != nullptr ? text : ""; }

bool IsOstreeArgument(const std::string& argument) { return argument.rfind("ostree=", 0) == 0; }

std::vector<std::string> KernelArguments(OstreeDeployment* deployment) {
  std::vector<std::string> result = BootArguments(deployment);
  // libostree's own, written anew with each boot list.
  result.erase(std::remove_if(result.begin(), result.end(), IsOstreeArgument), result.end());
  return result;
}

// What a function says that is newer than 2022.7.
std::optional<bool> Tell(const char* function, OstreeDeployment* deployment) {
  const auto call = FindOstree<gboolean (*)(OstreeDeployment*)>(function);
  if (call == nullptr) return std::nullopt;
  return call(deployment) != FALSE;
}

std::vector<std::string> OverlayInitrds(OstreeDeployment* deployment) {
  std::vector<std::string> result;
  OstreeBootconfigParser* boot = ostree_deployment_get_bootconfig(deployment);
  char** initrd = boot != nullptr ? ostree_bootconfig_parser_get_overlay_initrds(boot) : nullptr;
  for (; initrd != nullptr && *initrd != nullptr; ++initrd) result.emplace_back(*initrd);
  return result;
}

std::string Version(OstreeRepo* repo, const std::string& checksum) {
  VariantPtr commit;
  if (!ostree_repo_load_commit(repo, checksum.c_str(), commit.out(), nullptr, nullptr)) return "";
  commit = Untrusted(commit.get());
  VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
  const char* version = nullptr;
  return g_variant_lookup(metadata.get(), "version", "&s", &version) ? version : "";
}

}  // namespace

std::vector<std::string> BootArguments(OstreeDeployment* deployment) {
  std::vector<std::string> result;
  OstreeBootconfigParser* boot = ostree_deployment_get_bootconfig(deployment);
  const char* options = boot != nullptr ? ostree_bootconfig_parser_get(boot, "options") : nullptr;
  if (options == nullptr) return result;
  KernelArgsPtr arguments(ostree_kernel_args_from_string(options));
  GStrvPtr list(ostree_kernel_args_to_strv(arguments.get()));
  for (char** argument = list.get(); *argument != nullptr; ++argument) {
    // Two spaces in a row make an empty argument.
    if (**argument != '\0') result.emplace_back(*argument);
  }
  return result;
}

void KeepOstreeArgument(OstreeDeployment* deployment, std::vector<std::string>* list) {
  if (std::any_of(list->begin(), list->end(), IsOstreeArgument)) return;
  const std::vector<std::string> before = BootArguments(deployment);
  const auto found = std::find_if(before.begin(), before.end(), IsOstreeArgument);
  if (found == before.end()) return;
  const auto place =
      std::min<std::ptrdiff_t>(found - before.begin(), static_cast<std::ptrdiff_t>(list->size()));
  list->insert(list->begin() + place, *found);
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
    data.finalization_locked = Tell("ostree_deployment_is_finalization_locked", deployment);
    data.soft_reboot_target = Tell("ostree_deployment_is_soft_reboot_target", deployment);
    data.overlay_initrds = OverlayInitrds(deployment);
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
    if (data.finalization_locked) object.Set("finalizationLocked", *data.finalization_locked);
    if (data.soft_reboot_target) object.Set("softRebootTarget", *data.soft_reboot_target);
    object.Set("overlayInitrds", StringsToJs(env, data.overlay_initrds));
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

KeyFileGroups CheckedOrigin(Napi::Value value, const std::string& name) {
  KeyFileGroups groups = CheckedKeyFile(value, name);
  for (const auto& [group, keys] : groups) {
    if (group != "origin" || !keys) continue;
    for (const auto& [key, text] : *keys) {
      if (key != "refspec" || !text) continue;
      CheckedRefspec(Napi::String::New(value.Env(), *text), name + ".origin.refspec");
    }
  }
  return groups;
}

GKeyFilePtr LoadOrigin(OstreeSysroot* sysroot, OstreeDeployment* deployment) {
  GStringPtr path(ostree_sysroot_get_deployment_dirpath(sysroot, deployment));
  try {
    return LoadKeyFile(ostree_sysroot_get_fd(sysroot), std::string(path.get()) + ".origin");
  } catch (const NativeError& error) {
    if (error.code() != "ENOENT") throw;
    return GKeyFilePtr(g_key_file_new());
  }
}

}  // namespace apt_ostree
