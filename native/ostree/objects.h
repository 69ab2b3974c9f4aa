// Metadata objects as JavaScript values.
#pragma once

#include <napi.h>
#include <ostree.h>

#include "core/gobject.h"

namespace apt_ostree {

// What a commit says, without its checksum.
Napi::Object CommitToJs(Napi::Env env, GVariant* commit);

// Throws ERR_INVALID_ARG_VALUE for what is no well-formed commit, dirtree or dirmeta.
void ValidateObject(OstreeObjectType type, GVariant* variant);
// A valid one.
Napi::Value ObjectToJs(Napi::Env env, OstreeObjectType type, GVariant* variant);

// `parseObject(type, bytes)`
void InitObjects(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
