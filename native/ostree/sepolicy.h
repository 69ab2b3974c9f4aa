// OstreeSePolicy: which SELinux labels the paths of a system have.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

class SePolicyState {
 public:
  // Both throw ERR_OSTREE_NOT_SUPPORTED where there is no policy, or libostree knows none.
  static std::shared_ptr<SePolicyState> OfDirectory(const std::string& root,
                                                    GCancellable* cancellable);
  static std::shared_ptr<SePolicyState> OfCommit(OstreeRepo* repo, const std::string& rev,
                                                 GCancellable* cancellable);
  SePolicyState(UniqueFd directory, GObjectPtr<OstreeSePolicy> policy)
      : directory_(std::move(directory)), policy_(std::move(policy)) {}

  OstreeSePolicy* get() const { return policy_.get(); }
  // None where the policy has none for the path. `mode` with the file type.
  std::optional<std::string> Label(const std::string& path, uint32_t mode,
                                   GCancellable* cancellable);
  // The label that `target` got, a path on disk that is `path` to the policy; none where it was
  // left as it is.
  std::optional<std::string> Restorecon(const std::string& path, const std::string& target,
                                        OstreeSePolicyRestoreconFlags flags,
                                        GCancellable* cancellable);

 private:
  UniqueFd directory_;  // libostree borrows it
  GObjectPtr<OstreeSePolicy> policy_;
  std::mutex mutex_;
};

class SePolicy : public Wrap<SePolicy, SePolicyState> {
 public:
  static constexpr const char* kName = "SePolicy";
  static constexpr napi_type_tag kTag = {0x6f73747265650009, 0x5365506f6c696379};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);
  // Null for undefined.
  static std::shared_ptr<SePolicyState> Optional(Napi::Env env, Napi::Value value) {
    return value.IsUndefined() ? nullptr : StateOf(env, value, "policy");
  }

 private:
  static Napi::Value FromDirectory(const Napi::CallbackInfo& info);
  static Napi::Value FromCommit(const Napi::CallbackInfo& info);
  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value Checksum(const Napi::CallbackInfo& info);
  Napi::Value Label(const Napi::CallbackInfo& info);
  Napi::Value Restorecon(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
