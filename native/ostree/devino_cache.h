// OstreeRepoDevInoCache: remembers which file of a checkout is which object, so that committing
// the directory again need not read it.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <memory>
#include <mutex>

#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

struct DevinoCacheState {
  // A plain hash table inside: one checkout or import at a time.
  std::mutex mutex;
  std::unique_ptr<OstreeRepoDevInoCache, FreeWith<ostree_repo_devino_cache_unref>> cache{
      ostree_repo_devino_cache_new()};
};

class DevinoCache : public Wrap<DevinoCache, DevinoCacheState> {
 public:
  static constexpr const char* kName = "DevinoCache";
  static constexpr napi_type_tag kTag = {0x6f73747265650004, 0x446576696e6f0000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports) {
    Define(env, exports, {StaticMethod<&DevinoCache::CreateCache>("create")});
  }
  // Null for undefined.
  static std::shared_ptr<DevinoCacheState> Optional(Napi::Env env, Napi::Value value) {
    return value.IsUndefined() ? nullptr : StateOf(env, value, "devinoCache");
  }

 private:
  static Napi::Value CreateCache(const Napi::CallbackInfo& info) {
    return Create(info.Env(), std::make_shared<DevinoCacheState>());
  }
};

}  // namespace apt_ostree
