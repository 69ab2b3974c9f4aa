// Package files for JavaScript: what is in them, entry by entry, and as files.
#pragma once

#include <napi.h>

#include <memory>

#include "core/executor.h"
#include "core/wrap.h"
#include "deb/reader.h"

namespace apt_ostree {

class DebFile : public Wrap<DebFile, DebSource> {
 public:
  static constexpr const char* kName = "DebFile";
  static constexpr napi_type_tag kTag = {0x6465625f66696c65, 0x0000000000000001};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value Read(const Napi::CallbackInfo& info);
  static Napi::Value Start(Napi::Env env, DebSource source);
  Napi::Value Extract(const Napi::CallbackInfo& info);
  Napi::Value Reader(const Napi::CallbackInfo& info);
};

// A place in a package's data archive. Its jobs run one after the other.
struct DebCursorState {
  explicit DebCursorState(std::shared_ptr<DebSource> from) : source(std::move(from)) {}
  const std::shared_ptr<DebSource> source;
  const std::shared_ptr<Lane> lane = std::make_shared<Lane>();
  // Of the lane's jobs.
  std::unique_ptr<DebReader> reader;
  bool closed = false;
};

class DebCursor : public Wrap<DebCursor, DebCursorState> {
 public:
  static constexpr const char* kName = "DebCursor";
  static constexpr napi_type_tag kTag = {0x6465625f66696c65, 0x0000000000000002};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  Napi::Value Next(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value ReadArchive(const Napi::CallbackInfo& info);
  Napi::Value ReadWith(const Napi::CallbackInfo& info,
                       size_t (DebReader::*read)(char*, size_t, JobContext&));
  Napi::Value Close(const Napi::CallbackInfo& info);
};

void InitDebFile(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
