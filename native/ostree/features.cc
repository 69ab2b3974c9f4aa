#include "ostree/features.h"

#include <ostree.h>

#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/values.h"
#include "ostree/sign_engine.h"

namespace apt_ostree {

namespace {

// All that 2022.7 lacks and that is used here. Of the rest, what they do is done without them:
// blob readers and read_pk/read_sk read keys from files, write_config_and_reload is two calls in
// one, and sepolicy_set_null_log is for programs that print.
constexpr const char* kNewer[] = {
    "ostree_bootconfig_parser_get_tries_done",
    "ostree_bootconfig_parser_get_tries_left",
    "ostree_deployment_is_finalization_locked",
    "ostree_deployment_is_soft_reboot_target",
    "ostree_repo_checkout_composefs",
    "ostree_repo_commit_add_composefs_metadata",
    "ostree_repo_regenerate_metadata",
    "ostree_repo_verify_local_summary",
    "ostree_sysroot_change_finalization",
    "ostree_sysroot_clear_soft_reboot",
    "ostree_sysroot_deployment_can_soft_reboot",
    "ostree_sysroot_deployment_kexec_load",
    "ostree_sysroot_deployment_set_soft_reboot",
    "ostree_sysroot_update_post_copy",
};

}  // namespace

void ThrowMissing(const char* function) {
  throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                    "This libostree (" + OstreeVersion() + ") has no " + function);
}

std::string OstreeVersion() {
  // It answers only whether it is new enough.
  guint year = OSTREE_YEAR_VERSION;
  while (ostree_check_version(year + 1, 0)) ++year;
  guint release = year == OSTREE_YEAR_VERSION ? OSTREE_RELEASE_VERSION : 0;
  while (ostree_check_version(year, release + 1)) ++release;
  return std::to_string(year) + "." + std::to_string(release);
}

void InitFeatures(Napi::Env env, Napi::Object exports) {
  exports.Set("ostreeFeatures", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                Napi::Object object = Napi::Object::New(info.Env());
                object.Set("version", OstreeVersion());
                object.Set("compiled", OSTREE_VERSION_S);
                std::vector<std::string> built;
                std::istringstream words(OSTREE_BUILT_FEATURES);
                for (std::string word; words >> word;) built.push_back(word);
                object.Set("built", StringsToJs(info.Env(), built));
                Napi::Object functions = Napi::Object::New(info.Env());
                for (const char* name : kNewer) {
                  const bool found = FindOstree<void (*)()>(name) != nullptr;
                  functions.Set(name, Napi::Boolean::New(info.Env(), found));
                }
                object.Set("functions", functions);
                object.Set("signEngines", StringsToJs(info.Env(), SignEngines()));
                return object;
              }));
}

}  // namespace apt_ostree
