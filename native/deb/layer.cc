#include "deb/layer.h"

#include <napi.h>

#include <optional>
#include <utility>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/values.h"
#include "core/wrap.h"
#include "deb/deb.h"
#include "ostree/mutable_tree.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

// Opaque to JavaScript: made by fillLayer, used by mergeLayer. The class is not exported.
class Links : public Wrap<Links, LayerLinks> {
 public:
  static constexpr const char* kName = "LayerLinks";
  static constexpr napi_type_tag kTag = {0x6f73747265650010, 0x4c61794c696e6b73};
  using Wrap::Wrap;
  static void Init(Napi::Env env) { Define(env, Napi::Object::New(env), {}); }
};

// fillLayer(repo, directory, commits)
Napi::Value FillLayerJob(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto state = Repo::StateOf(info.Env(), arguments.Raw(0), "repo");
  std::string directory = arguments.Path(1, "directory");
  std::vector<std::string> commits = arguments.Strings(2, "commits");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).waiting(), nullptr, info.Env().Undefined(),
      [state, directory = std::move(directory), commits = std::move(commits)](JobContext& job) {
        auto repo = state->Use();
        auto result = std::make_shared<FillResult>(FillLayer(repo.get(), directory, commits, job));
        return [result](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("links", Links::Create(env, result->links));
          object.Set("filled", static_cast<double>(result->filled));
          object.Set("copied", static_cast<double>(result->copied));
          object.Set("bytes", static_cast<double>(result->bytes));
          object.Set("touched", StringsToJs(env, result->touched));
          return object;
        };
      });
}

Napi::Value MergedToJs(Napi::Env env, const MergeResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("files", static_cast<double>(result.files));
  object.Set("hashed", static_cast<double>(result.hashed));
  object.Set("hashedBytes", static_cast<double>(result.hashed_bytes));
  object.Set("reused", static_cast<double>(result.reused));
  object.Set("removed", static_cast<double>(result.removed));
  object.Set("directories", static_cast<double>(result.directories));
  object.Set("dropped", StringsToJs(env, result.dropped));
  return object;
}

// mergeLayer(repo, tree, directory, {links?, skip?})
Napi::Value MergeLayerJob(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto state = Repo::StateOf(info.Env(), arguments.Raw(0), "repo");
  auto tree = MutableTree::StateOf(info.Env(), arguments.Raw(1), "tree");
  std::string directory = arguments.Path(2, "directory");
  const Options options = arguments.Object(3, "options");
  std::shared_ptr<LayerLinks> links;
  if (options.Has("links")) links = Links::StateOf(info.Env(), options.Raw("links"), "links");
  std::vector<std::string> skip = options.Strings("skip");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).waiting(), nullptr, info.Env().Undefined(),
      [state, tree, directory = std::move(directory), links,
       skip = std::move(skip)](JobContext& job) {
        const auto share = state->RequireTransaction();
        const auto locked = tree->Lock();
        const MergeResult result =
            MergeLayer(share.repo(), locked.get(), directory, links.get(), skip, job);
        return [result](Napi::Env env) -> Napi::Value { return MergedToJs(env, result); };
      });
}

}  // namespace

void InitLayer(Napi::Env env, Napi::Object exports) {
  Links::Init(env);
  exports.Set("fillLayer", Napi::Function::New<FillLayerJob>(env, "fillLayer"));
  exports.Set("mergeLayer", Napi::Function::New<MergeLayerJob>(env, "mergeLayer"));
}

}  // namespace apt_ostree
