// Requests and plans on their way from and to JavaScript.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apt/binding.h"
#include "apt/solver.h"
#include "apt/values.h"
#include "core/arguments.h"

namespace apt_ostree {

namespace {

std::string Number(uint64_t value) { return std::to_string(value); }
std::string Flag(bool value) { return value ? "1" : ""; }

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::optional<bool> OptionalBool(const Options& options, const char* key) {
  if (!options.Has(key)) return std::nullopt;
  return options.Bool(key, false);
}

Napi::Value NamesToJs(Napi::Env env, const std::vector<apt::PackageName>& names) {
  Table table({"name", "architecture"});
  for (const apt::PackageName& name : names) table.Row({name.name, name.architecture});
  return table.ToJs(env);
}

Napi::Value PlanToJs(Napi::Env env, const apt::Plan& plan, const Table& packages,
                     const Table& operations) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("packages", packages.ToJs(env));
  object.Set("operations", operations.ToJs(env));
  object.Set("downloadSize", static_cast<double>(plan.download_size));
  object.Set("installSizeDelta", static_cast<double>(plan.install_size_delta));
  object.Set("keptBack", NamesToJs(env, plan.kept_back));
  object.Set("noLongerNeeded", NamesToJs(env, plan.no_longer_needed));
  object.Set("madeManual", NamesToJs(env, plan.made_manual));
  object.Set("warnings", MessagesToJs(env, plan.warnings));
  return object;
}

}  // namespace

ToJs ConvertedPlan(apt::Plan plan) {
  Table packages({"name", "architecture", "version", "action", "oldVersion", "auto", "essential",
                  "priority", "section", "size", "installedSize", "sha256", "filename", "uri",
                  "preDepends", "reason", "reasonName", "reasonArchitecture", "reasonType"});
  for (const apt::PlannedPackage& one : plan.packages) {
    packages.Row({one.name, one.architecture, one.version, one.action, one.old_version,
                  Flag(one.automatic), Flag(one.essential), one.priority, one.section,
                  Number(one.size), Number(one.installed_size), one.sha256, one.filename, one.uri,
                  Joined(one.pre_depends), one.reason.kind, one.reason.name,
                  one.reason.architecture, one.reason.type});
  }
  Table operations({"action", "name", "architecture", "version"});
  for (const apt::Operation& one : plan.operations) {
    operations.Row({one.action, one.name, one.architecture, one.version});
  }
  plan.packages.clear();
  plan.operations.clear();
  struct Parts {
    apt::Plan plan;
    Table packages;
    Table operations;
  };
  return Converted(Parts{std::move(plan), std::move(packages), std::move(operations)},
                   [](Napi::Env env, const Parts& parts) {
                     return PlanToJs(env, parts.plan, parts.packages, parts.operations);
                   });
}

apt::Request ReadRequest(const Options& options) {
  apt::Request request;
  request.install = options.Strings("install");
  request.remove = options.Strings("remove");
  request.satisfy = options.Strings("satisfy");
  request.build_depends = options.Strings("buildDepends");
  request.arch_only = options.Bool("archOnly", false);
  request.indep_only = options.Bool("indepOnly", false);
  if (options.Has("buildProfiles")) request.build_profiles = options.Strings("buildProfiles");
  request.host_architecture = options.OptionalString("hostArchitecture");
  request.purge = options.Bool("purge", false);
  request.reinstall = options.Bool("reinstall", false);
  request.autoremove = options.Bool("autoremove", false);
  const std::string upgrade = options.OptionalString("upgrade").value_or("none");
  if (upgrade == "upgrade") request.upgrade = apt::UpgradeMode::kUpgrade;
  if (upgrade == "with-new") request.upgrade = apt::UpgradeMode::kWithNew;
  if (upgrade == "full") request.upgrade = apt::UpgradeMode::kFull;
  request.fix_broken = options.Bool("fixBroken", false);
  request.recommends = OptionalBool(options, "recommends");
  request.allow_remove = options.Bool("allowRemove", true);
  if (options.Has("allowedRemovals")) request.allowed_removals = options.Strings("allowedRemovals");
  request.forbidden_removals = options.Strings("forbiddenRemovals");
  request.allow_remove_essential = options.Bool("allowRemoveEssential", false);
  request.allow_downgrade = options.Bool("allowDowngrade", false);
  request.strict_pinning = options.Bool("strictPinning", true);
  request.order = options.Bool("order", true);
  request.allow_change_held = options.Bool("allowChangeHeld", false);
  return request;
}

}  // namespace apt_ostree
