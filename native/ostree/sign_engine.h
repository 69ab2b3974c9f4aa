// OstreeSign: signatures by engines that are part of libostree, other than GPG.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <optional>
#include <string>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

using SignPtr = GObjectPtr<OstreeSign>;

// An engine and its keys, as JavaScript named them.
struct SignOptions {
  std::string engine;
  std::vector<std::string> secret_keys;
  std::vector<std::string> public_keys;
  std::optional<std::string> keys_file;
  std::optional<std::string> keys_directory;
};

// Throws a TypeError where the keys that the call needs are missing: engines take a missing key
// for a pointer.
SignOptions CheckedSigner(Napi::Env env, Napi::Value value, const std::string& name);
SignOptions CheckedVerifier(Napi::Env env, Napi::Value value, const std::string& name);

// The names of the engines that work in this process.
std::vector<std::string> SignEngines();
// Throws ERR_OSTREE_NOT_SUPPORTED where it is none of them.
void RequireSignEngine(const std::string& name);
// With the first secret key. Throws ERR_OSTREE_NOT_SUPPORTED where there is no such engine.
SignPtr MakeSigner(const SignOptions& options);
// With all public keys.
SignPtr MakeVerifier(const SignOptions& options);

// `signEngines()`
void InitSignEngines(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
