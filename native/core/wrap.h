// Native classes: a JavaScript object that owns a share of a plain C++ state. Jobs capture the
// state, never the JavaScript object, so collection cannot pull it from under a running job.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "core/addon_data.h"
#include "core/arguments.h"

namespace apt_ostree {

// T derives from Wrap<T, State> and has `static constexpr const char* kName` and
// `static constexpr napi_type_tag kTag`.
template <typename T, typename State>
class Wrap : public Napi::ObjectWrap<T> {
 public:
  explicit Wrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info) {
    AddonData& data = AddonData::Of(info.Env());
    const void* state = std::exchange(data.construct_state, nullptr);
    if (state == nullptr) {
      throw InvalidArgument(info.Env(), "ERR_ILLEGAL_CONSTRUCTOR",
                            std::string("Illegal constructor: ") + T::kName);
    }
    state_ = *static_cast<const std::shared_ptr<State>*>(state);
    info.This().As<Napi::Object>().TypeTag(&T::kTag);
  }

  static void Define(Napi::Env env, Napi::Object exports,
                     const std::vector<Napi::ClassPropertyDescriptor<T>>& members) {
    Napi::Function constructor = T::DefineClass(env, T::kName, members);
    AddonData::Of(env).constructors[typeid(T)] = Napi::Persistent(constructor);
    exports.Set(T::kName, constructor);
  }

  static Napi::Object Create(Napi::Env env, const std::shared_ptr<State>& state) {
    AddonData& data = AddonData::Of(env);
    data.construct_state = &state;
    return data.constructors.at(typeid(T)).New({});
  }

  // The state behind `value`, which must be an object made by Create.
  static std::shared_ptr<State> StateOf(Napi::Env env, Napi::Value value, const char* name) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTag)) {
      throw InvalidArgumentType(env, name, std::string("an instance of ") + T::kName, value);
    }
    return Napi::ObjectWrap<T>::Unwrap(value.As<Napi::Object>())->state_;
  }

 protected:
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace apt_ostree
