// Entry point: registers every class for one JavaScript environment.
#include <apt-pkg/init.h>
#include <napi.h>
#include <ostree.h>

#include <memory>
#include <string>

#include "apt/architecture.h"
#include "apt/binding.h"
#include "core/addon_data.h"
#include "core/cursor.h"
#include "core/files.h"
#include "core/pieces.h"
#include "core/process.h"
#include "core/syscall_filter.h"
#include "core/variant.h"
#include "deb/deb.h"
#include "deb/deb_file.h"
#include "ostree/bootconfig.h"
#include "ostree/devino_cache.h"
#include "ostree/features.h"
#include "ostree/file_checksum.h"
#include "ostree/finders.h"
#include "ostree/kernel_args.h"
#include "ostree/mutable_tree.h"
#include "ostree/objects.h"
#include "ostree/repo.h"
#include "ostree/repo_facts.h"
#include "ostree/sepolicy.h"
#include "ostree/sign_engine.h"
#include "ostree/summary.h"
#include "ostree/sysroot.h"
#include "ostree/tree_edits.h"

namespace apt_ostree {

namespace {

Napi::Object Versions(Napi::Env env) {
  Napi::Object versions = Napi::Object::New(env);
  versions.Set("ostreeBuilt", OSTREE_VERSION_S);
  versions.Set("aptBuilt", std::to_string(APT_PKG_MAJOR) + "." + std::to_string(APT_PKG_MINOR) +
                               "." + std::to_string(APT_PKG_RELEASE));
  versions.Set("apt", pkgVersion);
  versions.Set("aptAbi", pkgLibVersion);
  versions.Set("architecture", apt::BuildArchitecture());
  return versions;
}

// To be called where JavaScript hears that the process ends.
Napi::Value Exiting(const Napi::CallbackInfo& info) {
  AddonData::Of(info.Env()).Exiting();
  return info.Env().Undefined();
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // libostree prints remarks about its clean-ups; standard output belongs to the program.
  g_set_print_handler([](const char*) {});
  env.SetInstanceData(std::make_unique<AddonData>(env).release());
  exports.Set("versions", Versions(env));
  exports.Set("exiting", Napi::Function::New<Exiting>(env, "exiting"));
  InitFiles(env, exports);
  InitProcess(env, exports);
  InitSyscallFilter(env, exports);
  InitVariants(env, exports);
  Cursor::Init(env, exports);
  Pieces::Init(env, exports);
  Repo::Init(env, exports);
  InitRepoFacts(env, exports);
  InitObjects(env, exports);
  InitFileChecksum(env, exports);
  InitSignEngines(env, exports);
  InitFeatures(env, exports);
  FoundRemotes::Init(env, exports);
  InitSummary(env, exports);
  InitDeb(env, exports);
  InitDebFile(env, exports);
  InitLayer(env, exports);
  MutableTree::Init(env, exports);
  TreeEdits::Init(env, exports);
  DevinoCache::Init(env, exports);
  Sysroot::Init(env, exports);
  BootConfig::Init(env, exports);
  SePolicy::Init(env, exports);
  InitKernelArguments(env, exports);
  InitApt(env, exports);
  return exports;
}

}  // namespace apt_ostree

// The macro declares C symbols, so it stands outside the namespace.
static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return apt_ostree::Init(env, exports);
}
NODE_API_MODULE(apt_ostree, InitAddon)
