// AptCache: what reads a cache. Changes and plans are in binding.cc.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apt/binding.h"
#include "apt/cache.h"
#include "apt/inspect.h"
#include "apt/search.h"
#include "apt/values.h"
#include "core/arguments.h"

namespace apt_ostree {

namespace {

// A job whose answer is `read(cache)`: Columns.
template <typename Read>
Napi::Value StartColumns(const Napi::CallbackInfo& info, std::shared_ptr<AptCacheState> state,
                         Read read) {
  return StartApt(info.Env(), [state = std::move(state), read](JobContext& job) -> ToJs {
    auto cache = state->Use();
    return Converted(read(*cache, job), ColumnsToJs);
  });
}

// A job whose answer is `read(cache)`: a Tree.
template <typename Read>
Napi::Value StartTree(const Napi::CallbackInfo& info, std::shared_ptr<AptCacheState> state,
                      Read read) {
  return StartApt(info.Env(), [state = std::move(state), read](JobContext&) -> ToJs {
    auto cache = state->Use();
    return Converted(read(*cache), TreeToJs);
  });
}

// A job whose answer is `read(cache, job)`: numbers of versions, for `rows`. Thousands of rows at
// once would hold up the JavaScript thread.
template <typename Read>
Napi::Value StartIds(const Napi::CallbackInfo& info, std::shared_ptr<AptCacheState> state,
                     Read read) {
  return StartApt(info.Env(), [state = std::move(state), read](JobContext& job) -> ToJs {
    auto cache = state->Use();
    return Converted(read(*cache, job), [](Napi::Env env, const std::vector<uint32_t>& ids) {
      Napi::Uint32Array array = Napi::Uint32Array::New(env, ids.size());
      std::copy(ids.begin(), ids.end(), array.Data());
      return array;
    });
  });
}

apt::Page ReadPage(const Arguments& arguments, size_t index) {
  apt::Page page;
  page.after = static_cast<uint64_t>(arguments.Integer(index, "after", 0, INT64_MAX));
  page.limit = static_cast<size_t>(arguments.Integer(index + 1, "limit", 1, 65536));
  return page;
}

}  // namespace

Napi::Value AptCache::Versions(const Napi::CallbackInfo& info) {
  const apt::Page page = ReadPage(Arguments(info), 0);
  return StartColumns(info, state()->Hold(), [page](apt::Cache& cache, JobContext&) {
    return apt::ListVersions(cache, page);
  });
}

Napi::Value AptCache::Packages(const Napi::CallbackInfo& info) {
  const apt::Page page = ReadPage(Arguments(info), 0);
  return StartColumns(info, state()->Hold(), [page](apt::Cache& cache, JobContext&) {
    return apt::ListPackages(cache, page);
  });
}

Napi::Value AptCache::PackageVersions(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.String(0, "name");
  const std::string architecture = arguments.OptionalString(1, "architecture").value_or("");
  return StartColumns(info, state()->Hold(), [name, architecture](apt::Cache& cache, JobContext&) {
    return apt::PackageVersions(cache, name, architecture);
  });
}

Napi::Value AptCache::ReverseDependencies(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.String(0, "name");
  const std::string architecture = arguments.OptionalString(1, "architecture").value_or("");
  const apt::Page page = ReadPage(arguments, 2);
  return StartColumns(info, state()->Hold(),
                      [name, architecture, page](apt::Cache& cache, JobContext&) {
                        return apt::ReverseDependencies(cache, name, architecture, page);
                      });
}

Napi::Value AptCache::Rows(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    throw InvalidArgumentType(info.Env(), "ids", "an instance of Uint32Array", info[0]);
  }
  const auto given = info[0].As<Napi::Uint32Array>();
  const std::vector<uint32_t> ids(given.Data(), given.Data() + given.ElementLength());
  return StartColumns(info, state()->Hold(), [ids](apt::Cache& cache, JobContext&) {
    return apt::VersionRows(cache, ids);
  });
}

Napi::Value AptCache::WhatProvides(const Napi::CallbackInfo& info) {
  const std::string name = Arguments(info).String(0, "name");
  return StartColumns(info, state()->Hold(), [name](apt::Cache& cache, JobContext&) {
    return apt::WhatProvides(cache, name);
  });
}

Napi::Value AptCache::Describe(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string what = arguments.String(0, "what");
  const auto id = static_cast<uint32_t>(arguments.Integer(1, "id", 0, UINT32_MAX));
  apt::Tree (*read)(apt::Cache&, uint32_t) = nullptr;
  if (what == "dependencies") read = apt::Dependencies;
  if (what == "provides") read = apt::Provides;
  if (what == "origins") read = apt::Origins;
  if (what == "record") read = apt::Record;
  if (read == nullptr) throw InvalidArgumentValue(info.Env(), "what", "is unknown");
  return StartTree(info, state()->Hold(),
                   [read, id](apt::Cache& cache) { return read(cache, id); });
}

Napi::Value AptCache::IndexFiles(const Napi::CallbackInfo& info) {
  return StartTree(info, state()->Hold(), apt::IndexFiles);
}

Napi::Value AptCache::Policy(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.String(0, "name");
  const std::string architecture = arguments.OptionalString(1, "architecture").value_or("");
  return StartTree(info, state()->Hold(), [name, architecture](apt::Cache& cache) {
    return apt::ExplainPolicy(cache, name, architecture);
  });
}

Napi::Value AptCache::Search(const Napi::CallbackInfo& info) {
  Options options = Arguments(info).Object(0, "search");
  apt::Search search;
  search.terms = options.Strings("terms");
  const std::string kind = options.String("kind");
  if (kind == "glob") search.kind = apt::TermKind::kGlob;
  if (kind == "regex") search.kind = apt::TermKind::kRegex;
  search.names = options.Bool("names", true);
  search.descriptions = options.Bool("descriptions", true);
  return StartIds(info, state()->Hold(), [search](apt::Cache& cache, JobContext& job) {
    return apt::SearchPackages(cache, search, [&job] { return job.cancelled(); });
  });
}

Napi::Value AptCache::Match(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string pattern = arguments.String(0, "pattern");
  const bool all = arguments.Bool(1, "allVersions");
  return StartIds(info, state()->Hold(), [pattern, all](apt::Cache& cache, JobContext& job) {
    return apt::MatchPattern(cache, pattern, all, [&job] { return job.cancelled(); });
  });
}

}  // namespace apt_ostree
