// AptCache: source packages and changelogs.
#include <string>
#include <utility>

#include "apt/binding.h"
#include "apt/reporter.h"
#include "apt/source_packages.h"
#include "apt/values.h"
#include "core/arguments.h"
#include "core/values.h"

namespace apt_ostree {

// source(wanted, all): one as apt-get source takes it, or every version of that name.
Napi::Value AptCache::Source(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string wanted = arguments.String(0, "wanted");
  const bool all = arguments.Bool(1, "all");
  return StartApt(info.Env(), [state = state()->Hold(), wanted, all](JobContext&) -> ToJs {
    auto cache = state->Use();
    return Converted(all ? apt::SourceVersions(*cache, wanted) : apt::SourceOf(*cache, wanted),
                     TreeToJs);
  });
}

// sources(after, limit)
Napi::Value AptCache::Sources(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto after = static_cast<uint64_t>(arguments.Integer(0, "after", 0, INT64_MAX));
  const auto limit = static_cast<size_t>(arguments.Integer(1, "limit", 1, 1024));
  return StartApt(info.Env(), [state = state()->Hold(), after, limit](JobContext&) -> ToJs {
    auto cache = state->Use();
    return Converted(apt::ListSources(*cache, after, limit), TreeToJs);
  });
}

// fetchSource(wanted, progress)
Napi::Value AptCache::FetchSource(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string wanted = arguments.String(0, "wanted");
  return StartApt(
      info.Env(), arguments.Raw(1), [state = state()->Hold(), wanted](JobContext& job) -> ToJs {
        auto cache = state->Use();
        Reporter reporter(job);
        return Converted(apt::FetchSource(*cache, wanted, reporter),
                         [](Napi::Env env, const apt::FetchedSource& source) -> Napi::Value {
                           Napi::Object object = Napi::Object::New(env);
                           object.Set("name", source.name);
                           object.Set("version", source.version);
                           object.Set("directory", source.directory);
                           object.Set("files", StringsToJs(env, source.files));
                           return object;
                         });
      });
}

// fetchChangelog(id, progress): the path of a file that is the caller's.
Napi::Value AptCache::FetchChangelog(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto id = static_cast<uint32_t>(arguments.Integer(0, "id", 0, UINT32_MAX));
  return StartApt(info.Env(), arguments.Raw(1),
                  [state = state()->Hold(), id](JobContext& job) -> ToJs {
                    auto cache = state->Use();
                    Reporter reporter(job);
                    return Converted(apt::FetchChangelog(*cache, id, reporter),
                                     [](Napi::Env env, const std::string& path) -> Napi::Value {
                                       return Napi::String::New(env, path);
                                     });
                  });
}

}  // namespace apt_ostree
