#include "ostree/sepolicy.h"

#include <fcntl.h>

#include <cerrno>

#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"
#include "ostree/names.h"
#include "ostree/read.h"
#include "ostree/repo.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

// While libselinux reads a policy, where it lies is known to the whole process.
std::mutex& WhileReading() {
  static std::mutex mutex;
  return mutex;
}

void RequirePolicy(OstreeSePolicy* policy, const char* detail, const std::string& where) {
  if (ostree_sepolicy_get_name(policy) != nullptr) return;
  throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                    "There is no SELinux policy, or this libostree was built without SELinux")
      .Detail(detail, where);
}

ToJs Wrapped(std::shared_ptr<SePolicyState> state) {
  return [state = std::move(state)](Napi::Env env) -> Napi::Value {
    return SePolicy::Create(env, state);
  };
}

Napi::Value TextOrUndefined(Napi::Env env, const char* text) {
  return text == nullptr ? env.Undefined() : Napi::String::New(env, text);
}

ToJs LabelOrUndefined(std::optional<std::string> label) {
  return [label = std::move(label)](Napi::Env env) -> Napi::Value {
    return TextOrUndefined(env, label ? label->c_str() : nullptr);
  };
}

}  // namespace

std::shared_ptr<SePolicyState> SePolicyState::OfDirectory(const std::string& root,
                                                          GCancellable* cancellable) {
  UniqueFd directory(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) throw FromErrno(errno, "Opening", root);
  const std::lock_guard<std::mutex> guard(WhileReading());
  GError* error = nullptr;
  auto policy = GObjectPtr<OstreeSePolicy>::Take(
      ostree_sepolicy_new_at(directory.get(), cancellable, &error));
  if (!policy) throw FromGError(error, "Reading the SELinux policy").Detail("path", root);
  RequirePolicy(policy.get(), "path", root);
  return std::make_shared<SePolicyState>(std::move(directory), std::move(policy));
}

std::shared_ptr<SePolicyState> SePolicyState::OfCommit(OstreeRepo* repo, const std::string& rev,
                                                       GCancellable* cancellable) {
  const std::string commit = ResolveCommit(repo, rev);
  RequireObject(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
  // It is checked out, which trusts what it finds.
  SoundTrees(repo, cancellable).Commit(commit);
  const std::lock_guard<std::mutex> guard(WhileReading());
  GError* error = nullptr;
  auto policy = GObjectPtr<OstreeSePolicy>::Take(
      ostree_sepolicy_new_from_commit(repo, commit.c_str(), cancellable, &error));
  if (!policy) throw FromGError(error, "Reading the SELinux policy").Detail("ref", rev);
  RequirePolicy(policy.get(), "ref", rev);
  return std::make_shared<SePolicyState>(UniqueFd(), std::move(policy));
}

std::optional<std::string> SePolicyState::Label(const std::string& path, uint32_t mode,
                                                GCancellable* cancellable) {
  const std::lock_guard<std::mutex> guard(mutex_);
  GStringPtr label;
  GError* error = nullptr;
  if (!ostree_sepolicy_get_label(policy_.get(), path.c_str(), mode, Out(label), cancellable,
                                 &error)) {
    throw FromGError(error, "Looking for a label").Detail("path", path);
  }
  if (!label) return std::nullopt;
  return label.get();
}

std::optional<std::string> SePolicyState::Restorecon(const std::string& path,
                                                     const std::string& target,
                                                     OstreeSePolicyRestoreconFlags flags,
                                                     GCancellable* cancellable) {
  const auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(target.c_str()));
  const std::lock_guard<std::mutex> guard(mutex_);
  GStringPtr label;
  GError* error = nullptr;
  if (!ostree_sepolicy_restorecon(policy_.get(), path.c_str(), nullptr, file.get(), flags,
                                  Out(label), cancellable, &error)) {
    throw FromGError(error, "Labelling").Detail("path", target);
  }
  if (!label) return std::nullopt;
  return label.get();
}

void SePolicy::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&SePolicy::FromDirectory>("fromDirectory"),
             StaticMethod<&SePolicy::FromCommit>("fromCommit"),
             InstanceMethod<&SePolicy::Name>("name"),
             InstanceMethod<&SePolicy::Checksum>("checksum"),
             InstanceMethod<&SePolicy::Label>("label"),
             InstanceMethod<&SePolicy::Restorecon>("restorecon"),
         });
}

// fromDirectory(path)
Napi::Value SePolicy::FromDirectory(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path)](JobContext& job) {
                      return Wrapped(SePolicyState::OfDirectory(path, job.cancellable()));
                    });
}

// fromCommit(repo, rev)
Napi::Value SePolicy::FromCommit(const Napi::CallbackInfo& info) {
  auto repo = Repo::StateOf(info.Env(), info[0], "repo");
  std::string rev = CheckedRev(info[1], "rev");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [repo, rev = std::move(rev)](JobContext& job) {
                      auto handle = repo->Use();
                      return Wrapped(SePolicyState::OfCommit(handle.get(), rev, job.cancellable()));
                    });
}

Napi::Value SePolicy::Name(const Napi::CallbackInfo& info) {
  return TextOrUndefined(info.Env(), ostree_sepolicy_get_name(state()->get()));
}

Napi::Value SePolicy::Checksum(const Napi::CallbackInfo& info) {
  return TextOrUndefined(info.Env(), ostree_sepolicy_get_csum(state()->get()));
}

// label(path, mode)
Napi::Value SePolicy::Label(const Napi::CallbackInfo& info) {
  std::string path = TreePathText(CheckedTreePath(info[0], "path"));
  const auto mode = static_cast<uint32_t>(Arguments(info).Integer(1, "mode", 0, 0177777));
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [state = state(), path = std::move(path), mode](JobContext& job) {
                      return LabelOrUndefined(state->Label(path, mode, job.cancellable()));
                    });
}

// restorecon(path, target, options)
Napi::Value SePolicy::Restorecon(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = TreePathText(CheckedTreePath(info[0], "path"));
  std::string target = arguments.Path(1, "target");
  const Options options = arguments.Object(2, "options");
  unsigned flags = OSTREE_SEPOLICY_RESTORECON_FLAGS_NONE;
  if (options.Bool("allowNoLabel", false)) flags |= OSTREE_SEPOLICY_RESTORECON_FLAGS_ALLOW_NOLABEL;
  if (options.Bool("keepExisting", false)) flags |= OSTREE_SEPOLICY_RESTORECON_FLAGS_KEEP_EXISTING;
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
      [state = state(), path = std::move(path), target = std::move(target),
       flags = static_cast<OstreeSePolicyRestoreconFlags>(flags)](JobContext& job) {
        return LabelOrUndefined(state->Restorecon(path, target, flags, job.cancellable()));
      });
}

}  // namespace apt_ostree
