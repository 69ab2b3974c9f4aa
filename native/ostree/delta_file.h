// The head of a static delta, read without trust.
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

struct DeltaPart {
  std::string checksum;
  uint32_t version = 0;
  uint64_t size = 0;
  uint64_t uncompressed_size = 0;
  uint64_t objects = 0;
  // Inside the head itself.
  bool is_inline = false;
};

// An object that has to be fetched by itself.
struct DeltaFallback {
  std::string type;
  std::string checksum;
  uint64_t size = 0;
  uint64_t uncompressed_size = 0;
};

struct DeltaHead {
  std::optional<std::string> from;
  std::string to;
  bool is_signed = false;
  std::string endianness;  // "little", "big" or "" where it does not say
  uint64_t timestamp = 0;
  std::vector<DeltaPart> parts;
  std::vector<DeltaFallback> fallbacks;
};

// The file of the head, where `path` is that or a delta's directory. Throws ENOENT and alike.
std::string DeltaHeadFile(const std::string& path);
// The same two. Throws ERR_INVALID_ARG_VALUE for what is no delta or one that contradicts itself:
// libostree trusts these numbers.
DeltaHead ReadDeltaHead(const std::string& path, GCancellable* cancellable);
Napi::Value DeltaHeadToJs(Napi::Env env, const DeltaHead& head);

}  // namespace apt_ostree
