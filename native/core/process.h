// Child processes started from a native thread.
#pragma once

#include <napi.h>

namespace apt_ostree {

// Registers `runProcess`.
void InitProcess(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
