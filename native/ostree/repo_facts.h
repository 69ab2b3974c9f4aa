// Where a repository and a sysroot are by default.
#pragma once

#include <napi.h>

namespace apt_ostree {

// `defaultRepoPath()`, `defaultSysrootPath()`
void InitRepoFacts(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
