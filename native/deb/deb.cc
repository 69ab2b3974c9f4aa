#include "deb/deb.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"
#include "deb/control.h"
#include "deb/hollow.h"
#include "deb/import.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

Napi::Array TextsToJs(Napi::Env env, const std::vector<std::string>& texts) {
  Napi::Array array = Napi::Array::New(env, texts.size());
  for (size_t i = 0; i < texts.size(); ++i) array.Set(static_cast<uint32_t>(i), texts[i]);
  return array;
}

Napi::Value ImportedToJs(Napi::Env env, const ImportedDeb& deb) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("commit", deb.commit);
  object.Set("ref", deb.ref);
  object.Set("package", deb.package);
  object.Set("version", deb.version);
  object.Set("architecture", deb.architecture);
  object.Set("sha256", deb.sha256);
  object.Set("size", static_cast<double>(deb.size));
  object.Set("installedSize", static_cast<double>(deb.installed_size));
  object.Set("files", static_cast<double>(deb.files));
  object.Set("bytes", static_cast<double>(deb.bytes));
  object.Set("hardlinks", static_cast<double>(deb.hardlinks));
  object.Set("conffiles", TextsToJs(env, deb.conffiles));
  object.Set("scripts", TextsToJs(env, deb.scripts));
  object.Set("preDepends", deb.pre_depends);
  object.Set("essential", deb.essential);
  return object;
}

// importDeb(repo, path, {sha256?})
Napi::Value ImportDebJob(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto state = Repo::StateOf(info.Env(), arguments.Raw(0), "repo");
  std::string path = arguments.Path(1, "path");
  std::optional<std::string> sha256 = arguments.Object(2, "options").OptionalString("sha256");
  // No lane: imports run side by side in one transaction.
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).waiting(), nullptr, info.Env().Undefined(),
      [state, path = std::move(path), sha256 = std::move(sha256)](JobContext& job) {
        const auto share = state->RequireTransaction();
        auto deb = std::make_shared<ImportedDeb>(ImportDeb(share.repo(), path, sha256, job));
        return [deb](Napi::Env env) { return ImportedToJs(env, *deb); };
      });
}

// writeHollowDebs(repo, [{commit, destination}], {preinst})
Napi::Value WriteHollowDebsJob(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto state = Repo::StateOf(info.Env(), arguments.Raw(0), "repo");
  if (!info[1].IsArray()) {
    throw InvalidArgumentType(info.Env(), "requests", "an instance of Array", info[1]);
  }
  const auto list = info[1].As<Napi::Array>();
  std::vector<HollowRequest> requests;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    Options request(info.Env(), list.Get(i), "requests[" + std::to_string(i) + "]");
    std::string commit = request.String("commit");
    if (!ostree_validate_checksum_string(commit.c_str(), nullptr)) {
      throw InvalidArgumentValue(info.Env(), "commit", "is not a checksum");
    }
    requests.push_back({std::move(commit), request.Path("destination")});
  }
  const bool preinst = arguments.Object(2, "options").Bool("preinst", true);
  return Job::Start(info.Env(), AddonData::Of(info.Env()).waiting(), nullptr,
                    info.Env().Undefined(),
                    [state, requests = std::move(requests), preinst](JobContext& job) {
                      auto repo = state->Use();
                      WriteHollowDebs(repo.get(), requests, preinst, job);
                      return Undefined();
                    });
}

// packageRef(name, version, architecture)
Napi::Value PackageRefText(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  return Napi::String::New(info.Env(),
                           PackageRef(arguments.String(0, "name"), arguments.String(1, "version"),
                                      arguments.String(2, "architecture")));
}

}  // namespace

void InitDeb(Napi::Env env, Napi::Object exports) {
  exports.Set("importDeb", Napi::Function::New<ImportDebJob>(env, "importDeb"));
  exports.Set("writeHollowDebs", Napi::Function::New<WriteHollowDebsJob>(env, "writeHollowDebs"));
  exports.Set("packageRef", Napi::Function::New<PackageRefText>(env, "packageRef"));
}

}  // namespace apt_ostree
