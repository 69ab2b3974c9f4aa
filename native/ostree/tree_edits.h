// A list of edits that comes from JavaScript in parts: to read all of a long one at once would hold
// up the event loop.
#pragma once

#include <napi.h>

#include <deque>
#include <memory>

#include "core/wrap.h"
#include "ostree/tree_edit.h"

namespace apt_ostree {

// Filled on the JavaScript thread, before a job takes it. No vector: that moves all when it grows.
using TreeEditList = std::deque<TreeEdit>;

class TreeEdits : public Wrap<TreeEdits, TreeEditList> {
 public:
  static constexpr const char* kName = "TreeEdits";
  static constexpr napi_type_tag kTag = {0x6f73747265650011, 0x5472656545646974};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports) {
    Define(env, exports,
           {
               StaticMethod<&TreeEdits::CreateEdits>("create"),
               InstanceMethod<&TreeEdits::Add>("add"),
           });
  }

 private:
  static Napi::Value CreateEdits(const Napi::CallbackInfo& info) {
    return Create(info.Env(), std::make_shared<TreeEditList>());
  }
  // add(edits): the next ones.
  Napi::Value Add(const Napi::CallbackInfo& info) {
    AddCheckedTreeEdits(info[0], "edits", state().get());
    return info.Env().Undefined();
  }
};

}  // namespace apt_ostree
