// What the libostree of this process can do: compiled on 2022.7, run with any later one.
#pragma once

#include <dlfcn.h>
#include <napi.h>

#include <string>

namespace apt_ostree {

// Throws NativeError ERR_OSTREE_NOT_SUPPORTED.
[[noreturn]] void ThrowMissing(const char* function);

// A function that is newer than the headers, by its C type; null where the library lacks it.
template <typename Call>
Call FindOstree(const char* function) {
  return reinterpret_cast<Call>(dlsym(RTLD_DEFAULT, function));
}

template <typename Call>
Call RequireOstree(const char* function) {
  const Call call = FindOstree<Call>(function);
  if (call == nullptr) ThrowMissing(function);
  return call;
}

// "2022.7", of the library that is loaded.
std::string OstreeVersion();

// `ostreeFeatures()`
void InitFeatures(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
