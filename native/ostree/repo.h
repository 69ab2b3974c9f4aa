// OstreeRepo: objects, refs, transactions, checkouts.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <memory>
#include <mutex>
#include <string>

#include "core/executor.h"
#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

// An opened repository, shared by its JavaScript object and the jobs on it.
class RepoState {
 public:
  explicit RepoState(GObjectPtr<OstreeRepo> repo);

  // A reference for the length of a job. Throws ERR_CLOSED after Close.
  GObjectPtr<OstreeRepo> Use() const;
  void Close();
  bool closed() const;

  // What libostree does not allow in parallel on one handle (transactions, pull, prune).
  const std::shared_ptr<Lane>& writes() const { return writes_; }
  const std::string& path() const { return path_; }

 private:
  mutable std::mutex mutex_;
  GObjectPtr<OstreeRepo> repo_;
  std::shared_ptr<Lane> writes_ = std::make_shared<Lane>();
  std::string path_;
};

class Repo : public Wrap<Repo, RepoState> {
 public:
  static constexpr const char* kName = "Repo";
  static constexpr napi_type_tag kTag = {0x6f73747265650001, 0x5265706f00000000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value CreateRepo(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value ResolveRev(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
