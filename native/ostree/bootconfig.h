// OstreeBootconfigParser: one boot loader entry (boot/loader/entries/*.conf). libostree ends the
// process when one is parsed twice, or given overlay initrds without an initrd.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <utility>

#include "core/gobject.h"
#include "core/wrap.h"

namespace apt_ostree {

class BootConfigState {
 public:
  explicit BootConfigState(GObjectPtr<OstreeBootconfigParser> parser)
      : parser_(std::move(parser)) {}
  // For the JavaScript thread alone; jobs work on a clone.
  OstreeBootconfigParser* get() const { return parser_.get(); }

 private:
  GObjectPtr<OstreeBootconfigParser> parser_;
};

class BootConfig : public Wrap<BootConfig, BootConfigState> {
 public:
  static constexpr const char* kName = "BootConfig";
  static constexpr napi_type_tag kTag = {0x6f73747265650007, 0x426f6f74436f6e66};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value New(const Napi::CallbackInfo& info);
  static Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Clone(const Napi::CallbackInfo& info);
  Napi::Value Get(const Napi::CallbackInfo& info);
  Napi::Value Set(const Napi::CallbackInfo& info);
  Napi::Value OverlayInitrds(const Napi::CallbackInfo& info);
  Napi::Value SetOverlayInitrds(const Napi::CallbackInfo& info);
  Napi::Value Tries(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
