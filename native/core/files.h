// File operations that Node lacks or does slowly.
#pragma once

#include <napi.h>

namespace apt_ostree {

// Registers `createPipe`, `closeDescriptor`, `tryLock`, `spreadDirectories` and `removeTree`.
void InitFiles(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
