#pragma once

#include <napi.h>

namespace apt_ostree {

// Registers `syscallFilter`.
void InitSyscallFilter(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
