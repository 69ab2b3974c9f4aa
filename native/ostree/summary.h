#pragma once

#include <napi.h>

namespace apt_ostree {

// `parseSummary(bytes)`
void InitSummary(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
