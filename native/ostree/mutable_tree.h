// OstreeMutableTree: a tree being built. Directories of a commit are loaded when first touched.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

// The tree and the lock it needs: libostree's trees belong to one thread at a time.
class MutableTreeState {
 public:
  explicit MutableTreeState(GObjectPtr<OstreeMutableTree> tree) : tree_(std::move(tree)) {}

  // Holds the tree for one thread; ERR_CLOSED when there is none any more.
  class Locked {
   public:
    explicit Locked(MutableTreeState& state) : state_(state), lock_(state.mutex_) {
      if (state.closed_) throw NativeError("ERR_CLOSED", "The tree is closed");
    }
    ~Locked() {
      lock_.unlock();
      if (state_.closed_) state_.ReleaseIfIdle();
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    OstreeMutableTree* get() const { return state_.tree_.get(); }

   private:
    MutableTreeState& state_;
    std::unique_lock<std::mutex> lock_;
  };
  Locked Lock() { return Locked(*this); }

  // Never waits: a running job gives the tree up when it ends.
  void Close() {
    closed_ = true;
    ReleaseIfIdle();
  }

 private:
  void ReleaseIfIdle() {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) tree_.reset();
  }

  std::mutex mutex_;
  std::atomic<bool> closed_ = false;
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
  Napi::Value Close(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
