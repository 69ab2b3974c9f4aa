// The JavaScript side of native/apt: contexts and caches.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/job.h"
#include "core/wrap.h"

namespace apt_ostree {

namespace apt {
class Cache;
class Context;
}  // namespace apt

// A share of something that can be closed while jobs still hold theirs.
template <typename T>
class Closable {
 public:
  Closable(std::shared_ptr<T> object, std::string what)
      : object_(std::move(object)), what_(std::move(what)) {}
  // Throws ERR_CLOSED after Close.
  std::shared_ptr<T> Use() const {
    std::lock_guard<std::mutex> guard(mutex_);
    if (object_ == nullptr) throw NativeError("ERR_CLOSED", "The " + what_ + " is closed");
    return object_;
  }
  // A share for one job that has begun: it ends before what it works on is gone.
  std::shared_ptr<Closable> Hold() const {
    std::lock_guard<std::mutex> guard(mutex_);
    return std::make_shared<Closable>(object_, what_);
  }
  std::shared_ptr<T> Close() {
    std::lock_guard<std::mutex> guard(mutex_);
    return std::exchange(object_, nullptr);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> object_;
  const std::string what_;
};

using AptContextState = Closable<apt::Context>;
using AptCacheState = Closable<apt::Cache>;

class AptContext : public Wrap<AptContext, AptContextState> {
 public:
  static constexpr const char* kName = "AptContext";
  static constexpr napi_type_tag kTag = {0x6170745f6f737401, 0x436f6e7465787400};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  static Napi::Value CreateContext(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value SourceList(const Napi::CallbackInfo& info);
  Napi::Value IgnoredConfig(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
};

class AptCache : public Wrap<AptCache, AptCacheState> {
 public:
  static constexpr const char* kName = "AptCache";
  static constexpr napi_type_tag kTag = {0x6170745f6f737402, 0x4361636865000000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  Napi::Value Package(const Napi::CallbackInfo& info);
  Napi::Value Versions(const Napi::CallbackInfo& info);
  Napi::Value Packages(const Napi::CallbackInfo& info);
  Napi::Value PackageVersions(const Napi::CallbackInfo& info);
  Napi::Value ReverseDependencies(const Napi::CallbackInfo& info);
  Napi::Value WhatProvides(const Napi::CallbackInfo& info);
  Napi::Value Rows(const Napi::CallbackInfo& info);
  Napi::Value Describe(const Napi::CallbackInfo& info);
  Napi::Value IndexFiles(const Napi::CallbackInfo& info);
  Napi::Value Policy(const Napi::CallbackInfo& info);
  Napi::Value Search(const Napi::CallbackInfo& info);
  Napi::Value Match(const Napi::CallbackInfo& info);
  Napi::Value List(const Napi::CallbackInfo& info);
  Napi::Value Marks(const Napi::CallbackInfo& info);
  Napi::Value Solve(const Napi::CallbackInfo& info);
  Napi::Value Scenario(const Napi::CallbackInfo& info);
  Napi::Value Fetch(const Napi::CallbackInfo& info);
  Napi::Value Source(const Napi::CallbackInfo& info);
  Napi::Value Sources(const Napi::CallbackInfo& info);
  Napi::Value FetchSource(const Napi::CallbackInfo& info);
  Napi::Value FetchChangelog(const Napi::CallbackInfo& info);
  Napi::Value Warnings(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
};

namespace apt {
struct MarksState;
}

// Marks, and the cache that they are about: closed with either of them.
struct AptMarksHandle {
  AptMarksHandle(std::shared_ptr<AptCacheState> of, std::shared_ptr<apt::MarksState> these)
      : cache(std::move(of)), marks(std::move(these), "apt marks") {}
  std::shared_ptr<AptCacheState> cache;
  Closable<apt::MarksState> marks;
};

// What a job on marks holds; see Closable::Hold.
struct AptMarksHold {
  explicit AptMarksHold(const AptMarksHandle& handle)
      : cache(handle.cache->Hold()), marks(handle.marks.Hold()) {}
  std::shared_ptr<AptCacheState> cache;
  std::shared_ptr<Closable<apt::MarksState>> marks;
};

class AptMarks : public Wrap<AptMarks, AptMarksHandle> {
 public:
  static constexpr const char* kName = "AptMarks";
  static constexpr napi_type_tag kTag = {0x6170745f6f737403, 0x4d61726b73000000};
  using Wrap::Wrap;
  void Finalize(Napi::Env env) override { Weigh(env, 0); }
  static void Init(Napi::Env env, Napi::Object exports);
  // New marks of a cache, as after opening it.
  static Napi::Object Make(Napi::Env env, std::shared_ptr<AptCacheState> cache,
                           std::shared_ptr<apt::MarksState> marks, size_t bytes);

 private:
  // Has the collector know how much memory the object keeps.
  void Weigh(Napi::Env env, int64_t bytes);
  int64_t weight_ = 0;
  Napi::Value Edit(const Napi::CallbackInfo& info);
  Napi::Value Resolve(const Napi::CallbackInfo& info);
  Napi::Value Counts(const Napi::CallbackInfo& info);
  Napi::Value Of(const Napi::CallbackInfo& info);
  Napi::Value Changes(const Napi::CallbackInfo& info);
  Napi::Value Unmet(const Napi::CallbackInfo& info);
  Napi::Value Unneeded(const Napi::CallbackInfo& info);
  Napi::Value States(const Napi::CallbackInfo& info);
  Napi::Value Why(const Napi::CallbackInfo& info);
  Napi::Value Plan(const Napi::CallbackInfo& info);
  Napi::Value Solve(const Napi::CallbackInfo& info);
  Napi::Value Copy(const Napi::CallbackInfo& info);
  Napi::Value Assign(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
};

namespace apt {
struct Plan;
struct Request;
}  // namespace apt

// A plan as the closure that converts it.
ToJs ConvertedPlan(apt::Plan plan);
apt::Request ReadRequest(const Options& options);

// A job on libapt-pkg's thread; its failures become errors of JavaScript.
Napi::Value StartApt(Napi::Env env, Napi::Value progress, Work work);
Napi::Value StartApt(Napi::Env env, Work work);

// A result as the closure that converts it.
template <typename T, typename Convert>
ToJs Converted(T value, Convert convert) {
  auto shared = std::make_shared<const T>(std::move(value));
  return [shared, convert](Napi::Env env) -> Napi::Value { return convert(env, *shared); };
}

// Both classes and compareVersions.
void InitApt(Napi::Env env, Napi::Object exports);

}  // namespace apt_ostree
