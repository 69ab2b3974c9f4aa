// The addon's functions for packages.
#pragma once

#include <napi.h>

namespace apt_ostree {

void InitDeb(Napi::Env env, Napi::Object exports);
void InitLayer(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
