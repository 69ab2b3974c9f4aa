#include "ostree/kernel_args.h"

#include <ostree.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/gobject.h"
#include "core/open.h"
#include "core/values.h"

namespace apt_ostree {

namespace {

using KernelArgsPtr = std::unique_ptr<OstreeKernelArgs, FreeWith<ostree_kernel_args_free>>;

Napi::Value ListToJs(Napi::Env env, OstreeKernelArgs* arguments) {
  GStrvPtr list(ostree_kernel_args_to_strv(arguments));
  std::vector<std::string> texts;
  for (char** text = list.get(); text != nullptr && *text != nullptr; ++text) {
    // Two spaces in a row make an empty argument.
    if (**text != '\0') texts.emplace_back(*text);
  }
  return StringsToJs(env, texts);
}

// Tabs are blanks to the kernel, and so they may stand in what somebody wrote by hand.
void RequireOneLine(Napi::Env env, const std::string& text, const std::string& name) {
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x20 && c != '\t') || c == 0x7f;
  });
  if (control) {
    throw InvalidArgumentValue(env, name, "must be one line without control characters");
  }
}

std::string CheckedArgument(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (text.empty()) throw InvalidArgumentValue(value.Env(), name, "must not be empty");
  RequireOneLine(value.Env(), text, name);
  return text;
}

// One by one, without splitting at spaces: what to_strv gave comes back the same.
KernelArgsPtr FromList(Napi::Value value) {
  KernelArgsPtr arguments(ostree_kernel_args_new());
  for (const std::string& text : CheckedKernelArguments(value, "list")) {
    ostree_kernel_args_append(arguments.get(), text.c_str());
  }
  return arguments;
}

Napi::Value Parse(const Napi::CallbackInfo& info) {
  const std::string text = CheckedString(info[0], "text");
  RequireOneLine(info.Env(), text, "text");
  KernelArgsPtr arguments(ostree_kernel_args_from_string(text.c_str()));
  return ListToJs(info.Env(), arguments.get());
}

// Null for the name of no edit; false with an error where it cannot be done.
std::function<bool(OstreeKernelArgs*, const char*, GError**)> EditOf(const std::string& name) {
  using Call = gboolean (*)(OstreeKernelArgs*, const char*, GError**);
  using SureCall = void (*)(OstreeKernelArgs*, const char*);
  static const std::map<std::string, Call> calls = {
      {"replace", ostree_kernel_args_new_replace},
      {"delete", ostree_kernel_args_delete},
      {"deleteIfPresent", ostree_kernel_args_delete_if_present},
      {"deleteKey", ostree_kernel_args_delete_key_entry},
  };
  static const std::map<std::string, SureCall> sure = {
      {"append", ostree_kernel_args_append},
      {"appendIfMissing", ostree_kernel_args_append_if_missing},
      {"set", ostree_kernel_args_replace},
  };
  if (const auto found = calls.find(name); found != calls.end()) {
    return [call = found->second](OstreeKernelArgs* arguments, const char* text, GError** error) {
      return call(arguments, text, error) != FALSE;
    };
  }
  if (const auto found = sure.find(name); found != sure.end()) {
    return [call = found->second](OstreeKernelArgs* arguments, const char* text, GError**) {
      call(arguments, text);
      return true;
    };
  }
  return nullptr;
}

// kernelArgumentsEdit(list, edit, arguments): all in one call, for the list is taken in each time.
Napi::Value Edit(const Napi::CallbackInfo& info) {
  KernelArgsPtr arguments = FromList(info[0]);
  const auto edit = EditOf(CheckedString(info[1], "edit"));
  if (edit == nullptr) throw InvalidArgumentValue(info.Env(), "edit", "is not an edit");
  if (!info[2].IsArray()) {
    throw InvalidArgumentType(info.Env(), "arguments", "an instance of Array", info[2]);
  }
  const auto list = info[2].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const std::string text = CheckedArgument(list.Get(i), "argument");
    GError* error = nullptr;
    if (!edit(arguments.get(), text.c_str(), &error)) {
      throw FromGError(error, "Editing kernel arguments").ToJs(info.Env());
    }
  }
  return ListToJs(info.Env(), arguments.get());
}

Napi::Value Contains(const Napi::CallbackInfo& info) {
  KernelArgsPtr arguments = FromList(info[0]);
  const std::string text = CheckedArgument(info[1], "argument");
  return Napi::Boolean::New(info.Env(),
                            ostree_kernel_args_contains(arguments.get(), text.c_str()) != FALSE);
}

Napi::Value Last(const Napi::CallbackInfo& info) {
  KernelArgsPtr arguments = FromList(info[0]);
  const std::string key = CheckedArgument(info[1], "key");
  const char* value = ostree_kernel_args_get_last_value(arguments.get(), key.c_str());
  if (value == nullptr && !ostree_kernel_args_contains(arguments.get(), key.c_str())) {
    return info.Env().Undefined();
  }
  return Napi::String::New(info.Env(), value != nullptr ? value : "");
}

Napi::Value Text(const Napi::CallbackInfo& info) {
  KernelArgsPtr arguments = FromList(info[0]);
  GStringPtr text(ostree_kernel_args_to_string(arguments.get()));
  return Napi::String::New(info.Env(), text ? text.get() : "");
}

// At blanks outside of double quotes.
std::vector<std::string> SplitCommandLine(const std::string& line) {
  std::vector<std::string> parts;
  std::string part;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ' ' || c == '\n' || c == '\t')) {
      if (!part.empty()) parts.push_back(std::move(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(std::move(part));
  return parts;
}

// As ostree_kernel_args_append_proc_cmdline, which in libostree before 2026.2 crashes on quoted
// values: this reads and splits the line itself, and gives libostree the parts.
Napi::Value AppendCommandLine(const Napi::CallbackInfo& info) {
  KernelArgsPtr arguments = FromList(info[0]);
  const std::string path = CheckedPath(info[1], "path");
  try {
    // A FIFO would keep the JavaScript thread waiting.
    OpenRegular(path, "Reading the kernel command line");
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  if (!file) throw FromErrno(errno, "Reading the kernel command line", path).ToJs(info.Env());
  std::string line = content.str();
  if (!line.empty() && line.back() == '\n') line.pop_back();
  for (const std::string& text : SplitCommandLine(line)) {
    // Inside of quotes.
    RequireOneLine(info.Env(), text, "path");
    // What the boot loader adds by itself.
    if (g_str_has_prefix(text.c_str(), "BOOT_IMAGE=") ||
        g_str_has_prefix(text.c_str(), "initrd=")) {
      continue;
    }
    ostree_kernel_args_append(arguments.get(), text.c_str());
  }
  return ListToJs(info.Env(), arguments.get());
}

}  // namespace

std::vector<std::string> CheckedKernelArguments(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Array", value);
  }
  Napi::Array list = value.As<Napi::Array>();
  std::vector<std::string> arguments;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    arguments.push_back(CheckedArgument(list.Get(i), name + "[" + std::to_string(i) + "]"));
  }
  return arguments;
}

void InitKernelArguments(Napi::Env env, Napi::Object exports) {
  exports.Set("kernelArgumentsParse", Napi::Function::New<Parse>(env));
  exports.Set("kernelArgumentsEdit", Napi::Function::New<Edit>(env));
  exports.Set("kernelArgumentsContains", Napi::Function::New<Contains>(env));
  exports.Set("kernelArgumentsLast", Napi::Function::New<Last>(env));
  exports.Set("kernelArgumentsText", Napi::Function::New<Text>(env));
  exports.Set("kernelArgumentsAppendCommandLine", Napi::Function::New<AppendCommandLine>(env));
}

}  // namespace apt_ostree
