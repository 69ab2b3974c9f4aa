#include "apt/binding.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

// libapt-pkg's headers come after node-addon-api's; see failure.h.
#include "apt/acquire.h"
#include "apt/cache.h"
#include "apt/context.h"
#include "apt/inspect.h"
#include "apt/reporter.h"
#include "apt/session.h"
#include "apt/solver.h"
#include "apt/source_list.h"
#include "apt/values.h"
#include "core/arguments.h"
#include "core/values.h"

namespace apt_ostree {

namespace {

NativeError ToNative(const apt::Failure& failure) {
  NativeError error(failure.code(), failure.message());
  error.Domain("apt", 0);
  std::vector<ErrorMessage> messages;
  for (const apt::Message& message : failure.messages()) {
    messages.push_back({message.severity, message.text});
  }
  error.Messages(std::move(messages));
  for (const auto& [key, value] : failure.details()) error.Detail(key, value);
  for (const auto& [key, tree] : failure.data()) {
    error.Data(key, [tree = tree](Napi::Env env) { return TreeToJs(env, tree); });
  }
  return error;
}

}  // namespace

Napi::Value StartApt(Napi::Env env, Napi::Value progress, Work work) {
  return Job::Start(env, AddonData::Of(env).apt(), nullptr, progress,
                    [work = std::move(work)](JobContext& job) -> ToJs {
                      try {
                        return work(job);
                      } catch (const apt::Failure& failure) {
                        throw ToNative(failure);
                      } catch (const std::logic_error& error) {
                        // How libapt-pkg's parsers end at a text that stops in its middle.
                        throw NativeError("ERR_APT_FAILED",
                                          std::string("Malformed data: ") + error.what());
                      }
                    });
}

Napi::Value StartApt(Napi::Env env, Work work) {
  return StartApt(env, env.Undefined(), std::move(work));
}

namespace {

std::string Number(uint64_t value) { return std::to_string(value); }
std::string Flag(bool value) { return value ? "1" : ""; }

std::optional<bool> OptionalBool(const Options& options, const char* key) {
  if (!options.Has(key)) return std::nullopt;
  return options.Bool(key, false);
}

Napi::Value PackageToJs(Napi::Env env, const std::optional<apt::PackageInfo>& package) {
  if (!package.has_value()) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", package->name);
  object.Set("architecture", package->architecture);
  if (!package->candidate.empty()) object.Set("candidate", package->candidate);
  if (!package->installed.empty()) object.Set("installed", package->installed);
  object.Set("essential", package->essential);
  object.Set("auto", package->automatic);
  object.Set("held", package->held);
  object.Set("state", package->state);
  Table versions(
      {"version", "architecture", "section", "priority", "size", "installedSize", "downloadable"});
  for (const apt::VersionInfo& one : package->versions) {
    versions.Row({one.version, one.architecture, one.section, one.priority, Number(one.size),
                  Number(one.installed_size), Flag(one.downloadable)});
  }
  object.Set("versions", versions.ToJs(env));
  return object;
}

}  // namespace

void AptContext::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&AptContext::CreateContext>("create"),
             InstanceMethod<&AptContext::Update>("update"),
             InstanceMethod<&AptContext::Open>("open"),
             InstanceMethod<&AptContext::SourceList>("sourceList"),
             InstanceMethod<&AptContext::IgnoredConfig>("ignoredConfig"),
             InstanceMethod<&AptContext::Close>("close"),
         });
}

Napi::Value AptContext::CreateContext(const Napi::CallbackInfo& info) {
  Options given = Arguments(info).Object(0, "options");
  apt::ContextOptions options;
  options.directory = given.Path("directory");
  options.root = given.OptionalPath("root");
  options.dpkg_status = given.OptionalPath("dpkgStatus");
  options.extended_states = given.OptionalPath("extendedStates");
  options.architecture = given.String("architecture");
  options.architectures = given.Strings("architectures");
  options.sources = given.String("sources");
  options.auth = given.OptionalString("auth");
  options.preferences = given.OptionalString("preferences");
  options.recommends = given.Bool("recommends", true);
  options.root_config = given.Bool("rootConfig", false);
  if (options.root_config && !options.root.has_value()) {
    throw InvalidArgumentValue(info.Env(), "rootConfig", "needs a root");
  }
  options.running_kernel = given.OptionalString("runningKernel").value_or("");
  const std::vector<std::string> config = given.Strings("config");
  if (config.size() % 2 != 0) {
    throw InvalidArgumentValue(info.Env(), "config", "must be pairs of name and value");
  }
  for (size_t i = 0; i < config.size(); i += 2) {
    options.config.emplace_back(config[i], config[i + 1]);
  }
  try {
    apt::CheckOptions(options);
  } catch (const apt::Failure& failure) {
    throw InvalidArgument(info.Env(), failure.code(), failure.message());
  }
  if (options.directory.empty() || options.directory.front() != '/') {
    throw InvalidArgumentValue(info.Env(), "directory", "must be an absolute path");
  }
  return StartApt(info.Env(), [options = std::move(options)](JobContext&) -> ToJs {
    auto state =
        std::make_shared<AptContextState>(std::make_shared<apt::Context>(options), "apt context");
    return [state](Napi::Env env) -> Napi::Value { return AptContext::Create(env, state); };
  });
}

Napi::Value AptContext::Update(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const bool strict = arguments.Bool(0, "strict");
  return StartApt(
      info.Env(), arguments.Raw(1), [state = state()->Hold(), strict](JobContext& job) -> ToJs {
        auto context = state->Use();
        Reporter reporter(job);
        return Converted(apt::Update(*context, strict, reporter),
                         [](Napi::Env env, const apt::UpdateResult& result) -> Napi::Value {
                           Table sources({"uri", "suite", "ok", "kind", "message"});
                           for (const apt::SourceResult& one : result.sources) {
                             sources.Row({one.uri, one.suite, Flag(one.ok), one.kind, one.message});
                           }
                           Napi::Object object = Napi::Object::New(env);
                           object.Set("sources", sources.ToJs(env));
                           object.Set("warnings", MessagesToJs(env, result.warnings));
                           return object;
                         });
      });
}

Napi::Value AptContext::Open(const Napi::CallbackInfo& info) {
  const std::vector<std::string> debs = Arguments(info).Strings(0, "debs");
  return StartApt(info.Env(), [state = state()->Hold(), debs](JobContext&) -> ToJs {
    auto cache = std::make_shared<AptCacheState>(std::make_shared<apt::Cache>(state->Use(), debs),
                                                 "apt cache");
    return [cache](Napi::Env env) -> Napi::Value { return AptCache::Create(env, cache); };
  });
}

Napi::Value AptContext::SourceList(const Napi::CallbackInfo& info) {
  return StartApt(info.Env(), [state = state()->Hold()](JobContext&) -> ToJs {
    return Converted(apt::ListSourceIndexes(*state->Use()), TreeToJs);
  });
}

Napi::Value AptContext::IgnoredConfig(const Napi::CallbackInfo& info) {
  try {
    return StringsToJs(info.Env(), state()->Use()->ignored());
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

Napi::Value AptContext::Close(const Napi::CallbackInfo& info) {
  state()->Close();
  return info.Env().Undefined();
}

void AptCache::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             InstanceMethod<&AptCache::Package>("package"),
             InstanceMethod<&AptCache::Versions>("versions"),
             InstanceMethod<&AptCache::Packages>("packages"),
             InstanceMethod<&AptCache::PackageVersions>("packageVersions"),
             InstanceMethod<&AptCache::ReverseDependencies>("reverseDependencies"),
             InstanceMethod<&AptCache::WhatProvides>("whatProvides"),
             InstanceMethod<&AptCache::Rows>("rows"),
             InstanceMethod<&AptCache::Describe>("describe"),
             InstanceMethod<&AptCache::IndexFiles>("indexFiles"),
             InstanceMethod<&AptCache::Policy>("policy"),
             InstanceMethod<&AptCache::Search>("search"),
             InstanceMethod<&AptCache::Match>("match"),
             InstanceMethod<&AptCache::List>("list"),
             InstanceMethod<&AptCache::Marks>("marks"),
             InstanceMethod<&AptCache::Solve>("solve"),
             InstanceMethod<&AptCache::Scenario>("scenario"),
             InstanceMethod<&AptCache::Fetch>("fetch"),
             InstanceMethod<&AptCache::Source>("source"),
             InstanceMethod<&AptCache::Sources>("sources"),
             InstanceMethod<&AptCache::FetchSource>("fetchSource"),
             InstanceMethod<&AptCache::FetchChangelog>("fetchChangelog"),
             InstanceMethod<&AptCache::Warnings>("warnings"),
             InstanceMethod<&AptCache::Close>("close"),
         });
}

Napi::Value AptCache::Package(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.String(0, "name");
  std::string architecture = arguments.OptionalString(1, "architecture").value_or("");
  return StartApt(info.Env(),
                  [state = state()->Hold(), name = std::move(name),
                   architecture = std::move(architecture)](JobContext&) -> ToJs {
                    return Converted(state->Use()->Package(name, architecture), PackageToJs);
                  });
}

Napi::Value AptCache::List(const Napi::CallbackInfo& info) {
  Options options = Arguments(info).Object(0, "filter");
  apt::ListFilter filter;
  filter.essential = OptionalBool(options, "essential");
  filter.installed = OptionalBool(options, "installed");
  filter.priorities = options.Strings("priorities");
  filter.page.after = static_cast<uint64_t>(options.Integer("after", 0, 0, INT64_MAX));
  filter.page.limit = static_cast<size_t>(options.Integer("limit", 5000, 1, 20000));
  return StartApt(info.Env(), [state = state()->Hold(), filter](JobContext&) -> ToJs {
    auto cache = state->Use();
    return Converted(apt::FilterPackages(*cache, filter), ColumnsToJs);
  });
}

Napi::Value AptCache::Solve(const Napi::CallbackInfo& info) {
  apt::Request request = ReadRequest(Arguments(info).Object(0, "request"));
  return StartApt(
      info.Env(), [state = state()->Hold(), request = std::move(request)](JobContext& job) -> ToJs {
        auto cache = state->Use();
        return ConvertedPlan(apt::Solve(*cache, request, [&job] { return job.cancelled(); }));
      });
}

Napi::Value AptCache::Scenario(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  apt::Request request = ReadRequest(arguments.Object(0, "request"));
  std::string path = arguments.Path(1, "path");
  return StartApt(info.Env(),
                  [state = state()->Hold(), request = std::move(request),
                   path = std::move(path)](JobContext& job) -> ToJs {
                    auto cache = state->Use();
                    apt::WriteScenario(*cache, request, path, [&job] { return job.cancelled(); });
                    return Undefined();
                  });
}

Napi::Value AptCache::Fetch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  // Name, architecture and version of one after the other.
  const std::vector<std::string> fields = arguments.Strings(0, "packages");
  if (fields.size() % 3 != 0) {
    throw InvalidArgumentValue(info.Env(), "packages", "must be triples");
  }
  std::vector<apt::WantedPackage> wanted;
  for (size_t i = 0; i < fields.size(); i += 3) {
    wanted.push_back({fields[i], fields[i + 1], fields[i + 2]});
  }
  return StartApt(info.Env(), arguments.Raw(1),
                  [state = state()->Hold(), wanted = std::move(wanted)](JobContext& job) -> ToJs {
                    auto cache = state->Use();
                    Reporter reporter(job);
                    Table table({"name", "architecture", "version", "path", "sha256"});
                    for (const apt::FetchedPackage& one : apt::Fetch(*cache, wanted, reporter)) {
                      table.Row({one.name, one.architecture, one.version, one.path, one.sha256});
                    }
                    return Converted(std::move(table), [](Napi::Env env, const Table& rows) {
                      return rows.ToJs(env);
                    });
                  });
}

Napi::Value AptCache::Warnings(const Napi::CallbackInfo& info) {
  try {
    return MessagesToJs(info.Env(), state()->Use()->warnings());
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

Napi::Value AptCache::Close(const Napi::CallbackInfo& info) {
  if (state()->Close() != nullptr) {
    AddonData::Of(info.Env()).apt().Submit(apt::CloseWaiting, nullptr);
  }
  return info.Env().Undefined();
}

void InitApt(Napi::Env env, Napi::Object exports) {
  AptContext::Init(env, exports);
  AptCache::Init(env, exports);
  AptMarks::Init(env, exports);
  exports.Set("compareVersions",
              Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                Arguments arguments(info);
                return Napi::Number::New(
                    info.Env(),
                    apt::CompareVersions(arguments.String(0, "a"), arguments.String(1, "b")));
              }));
}

}  // namespace apt_ostree
