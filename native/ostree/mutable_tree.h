// OstreeMutableTree: a tree being built. Directories of a commit are loaded when first touched.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <mutex>
#include <string>

#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

// The tree and the lock it needs: libostree's trees belong to one thread at a time.
class MutableTreeState {
 public:
  explicit MutableTreeState(GObjectPtr<OstreeMutableTree> tree) : tree_(std::move(tree)) {}

  // Holds the tree for one thread.
  class Locked {
   public:
    explicit Locked(MutableTreeState& state) : lock_(state.mutex_), tree_(state.tree_.get()) {}
    OstreeMutableTree* get() const { return tree_; }

   private:
    std::unique_lock<std::mutex> lock_;
    OstreeMutableTree* tree_;
  };
  Locked Lock() { return Locked(*this); }

 private:
  std::mutex mutex_;
  GObjectPtr<OstreeMutableTree> tree_;
};

class MutableTree : public Wrap<MutableTree, MutableTreeState> {
 public:
  static constexpr const char* kName = "MutableTree";
  static constexpr napi_type_tag kTag = {0x6f73747265650002, 0x4d75745472656500};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value CreateTree(const Napi::CallbackInfo& info);
  static Napi::Value FromCommit(const Napi::CallbackInfo& info);
  static Napi::Value FromChecksums(const Napi::CallbackInfo& info);
  Napi::Value Apply(const Napi::CallbackInfo& info);
  Napi::Value List(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
