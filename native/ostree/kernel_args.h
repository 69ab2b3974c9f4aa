// OstreeKernelArgs: kernel arguments by libostree's own rules, as pure functions on lists.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

namespace apt_ostree {

// Single arguments, each of one line and not empty: a newline would begin another line of the boot
// loader entry that they are written to.
std::vector<std::string> CheckedKernelArguments(Napi::Value value, const std::string& name);

// Registers `kernelArguments*`.
void InitKernelArguments(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
