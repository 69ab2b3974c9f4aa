#include "ostree/bootconfig.h"

#include <fcntl.h>

#include <string>
#include <utility>
#include <vector>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"
#include "core/open.h"
#include "core/values.h"
#include "ostree/features.h"

namespace apt_ostree {

namespace {

GObjectPtr<OstreeBootconfigParser> NewParser() {
  return GObjectPtr<OstreeBootconfigParser>::Take(ostree_bootconfig_parser_new());
}

// What would be read back as the same key.
std::string CheckedKey(Napi::Value value) {
  std::string text = CheckedString(value, "key");
  if (text.empty() || !g_ascii_isalpha(text[0]) ||
      text.find_first_of(" \t\r\n") != std::string::npos) {
    throw InvalidArgumentValue(value.Env(), "key",
                               "must start with a letter and have no white space");
  }
  return text;
}

std::string CheckedLine(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (text.find('\n') != std::string::npos) {
    throw InvalidArgumentValue(value.Env(), name, "must be one line");
  }
  return text;
}

}  // namespace

void BootConfig::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&BootConfig::New>("create"),
             StaticMethod<&BootConfig::Read>("read"),
             InstanceMethod<&BootConfig::Clone>("clone"),
             InstanceMethod<&BootConfig::Get>("get"),
             InstanceMethod<&BootConfig::Set>("set"),
             InstanceMethod<&BootConfig::OverlayInitrds>("overlayInitrds"),
             InstanceMethod<&BootConfig::SetOverlayInitrds>("setOverlayInitrds"),
             InstanceMethod<&BootConfig::Tries>("tries"),
             InstanceMethod<&BootConfig::Write>("write"),
         });
}

Napi::Value BootConfig::New(const Napi::CallbackInfo& info) {
  return Create(info.Env(), std::make_shared<BootConfigState>(NewParser()));
}

Napi::Value BootConfig::Read(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path)](JobContext& job) -> ToJs {
                      // libostree would wait for the writer of a FIFO.
                      OpenRegular(path, "Reading a boot entry");
                      auto parser = NewParser();
                      GError* error = nullptr;
                      if (!ostree_bootconfig_parser_parse_at(parser.get(), AT_FDCWD, path.c_str(),
                                                             job.cancellable(), &error)) {
                        throw FromGError(error, "Reading a boot loader entry").Detail("path", path);
                      }
                      auto state = std::make_shared<BootConfigState>(std::move(parser));
                      return [state](Napi::Env env) -> Napi::Value {
                        return BootConfig::Create(env, state);
                      };
                    });
}

Napi::Value BootConfig::Clone(const Napi::CallbackInfo& info) {
  return Create(info.Env(),
                std::make_shared<BootConfigState>(GObjectPtr<OstreeBootconfigParser>::Take(
                    ostree_bootconfig_parser_clone(state()->get()))));
}

Napi::Value BootConfig::Get(const Napi::CallbackInfo& info) {
  const std::string key = CheckedKey(info[0]);
  const char* value = ostree_bootconfig_parser_get(state()->get(), key.c_str());
  if (value == nullptr) return info.Env().Undefined();
  return Napi::String::New(info.Env(), value);
}

Napi::Value BootConfig::Set(const Napi::CallbackInfo& info) {
  const std::string key = CheckedKey(info[0]);
  const std::string value = CheckedLine(info[1], "value");
  ostree_bootconfig_parser_set(state()->get(), key.c_str(), value.c_str());
  return info.Env().Undefined();
}

Napi::Value BootConfig::OverlayInitrds(const Napi::CallbackInfo& info) {
  std::vector<std::string> list;
  char** initrds = ostree_bootconfig_parser_get_overlay_initrds(state()->get());
  for (; initrds != nullptr && *initrds != nullptr; ++initrds) list.emplace_back(*initrds);
  return StringsToJs(info.Env(), list);
}

Napi::Value BootConfig::SetOverlayInitrds(const Napi::CallbackInfo& info) {
  std::vector<std::string> list = CheckedStrings(info[0], "initrds");
  if (ostree_bootconfig_parser_get(state()->get(), "initrd") == nullptr) {
    throw NativeError("ERR_INVALID_STATE",
                      "A boot loader entry without an initrd cannot have overlay initrds")
        .ToJs(info.Env());
  }
  std::vector<char*> argv;
  for (std::string& text : list) {
    if (text.find('\n') != std::string::npos) {
      throw InvalidArgumentValue(info.Env(), "initrds", "must be one line each");
    }
    argv.push_back(text.data());
  }
  argv.push_back(nullptr);
  ostree_bootconfig_parser_set_overlay_initrds(state()->get(), argv.data());
  return info.Env().Undefined();
}

Napi::Value BootConfig::Tries(const Napi::CallbackInfo& info) {
  using Count = guint64 (*)(OstreeBootconfigParser*);
  try {
    const auto left = RequireOstree<Count>("ostree_bootconfig_parser_get_tries_left");
    const auto done = RequireOstree<Count>("ostree_bootconfig_parser_get_tries_done");
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("left", static_cast<double>(left(state()->get())));
    object.Set("done", static_cast<double>(done(state()->get())));
    return object;
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

Napi::Value BootConfig::Write(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  auto copy =
      GObjectPtr<OstreeBootconfigParser>::Take(ostree_bootconfig_parser_clone(state()->get()));
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path), copy = std::move(copy)](JobContext& job) -> ToJs {
                      GError* error = nullptr;
                      if (!ostree_bootconfig_parser_write_at(copy.get(), AT_FDCWD, path.c_str(),
                                                             job.cancellable(), &error)) {
                        throw FromGError(error, "Writing a boot loader entry").Detail("path", path);
                      }
                      return Undefined();
                    });
}

}  // namespace apt_ostree
