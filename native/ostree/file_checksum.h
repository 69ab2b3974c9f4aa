// `checksumFile(path, options)` and `breakHardlink(path, skipXattrs)`
#pragma once

#include <napi.h>

namespace apt_ostree {

void InitFileChecksum(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
