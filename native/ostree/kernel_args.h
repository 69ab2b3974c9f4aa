// OstreeKernelArgs: kernel arguments by libostree's own rules, as pure functions on lists.
#pragma once

#include <napi.h>

namespace apt_ostree {

// Registers `kernelArguments*`.
void InitKernelArguments(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
