#include "ostree/repo.h"

#include <fcntl.h>

#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"

namespace apt_ostree {

namespace {

// Hands the JavaScript object of an opened repository to the caller.
ToJs Wrapped(GObjectPtr<OstreeRepo> repo) {
  auto state = std::make_shared<RepoState>(std::move(repo));
  return [state](Napi::Env env) -> Napi::Value { return Repo::Create(env, state); };
}

GObjectPtr<GFile> FileForPath(const std::string& path) {
  return GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
}

}  // namespace

RepoState::RepoState(GObjectPtr<OstreeRepo> repo) : repo_(std::move(repo)) {
  GStringPtr path(g_file_get_path(ostree_repo_get_path(repo_.get())));
  path_ = path.get();
}

GObjectPtr<OstreeRepo> RepoState::Use() const {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!repo_) throw NativeError("ERR_CLOSED", "The repository is closed").Detail("path", path_);
  return repo_;
}

void RepoState::Close() {
  std::lock_guard<std::mutex> guard(mutex_);
  repo_.reset();
}

bool RepoState::closed() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return !repo_;
}

void Repo::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&Repo::Open>("open"),
             StaticMethod<&Repo::CreateRepo>("create"),
             InstanceMethod<&Repo::Close>("close"),
             InstanceMethod<&Repo::ResolveRev>("resolveRev"),
         });
}

Napi::Value Repo::Open(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  AddonData& data = AddonData::Of(info.Env());
  return Job::Start(info.Env(), data.ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path)](JobContext& job) {
                      auto repo =
                          GObjectPtr<OstreeRepo>::Take(ostree_repo_new(FileForPath(path).get()));
                      GError* error = nullptr;
                      if (!ostree_repo_open(repo.get(), job.cancellable(), &error)) {
                        throw FromGError(error, "Opening the repository").Detail("path", path);
                      }
                      return Wrapped(std::move(repo));
                    });
}

Napi::Value Repo::CreateRepo(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  GError* mode_error = nullptr;
  OstreeRepoMode mode;
  if (!ostree_repo_mode_from_string(arguments.String(1, "mode").c_str(), &mode, &mode_error)) {
    g_clear_error(&mode_error);
    throw InvalidArgumentValue(info.Env(), "mode", "is not a repository mode");
  }
  AddonData& data = AddonData::Of(info.Env());
  return Job::Start(info.Env(), data.ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path), mode](JobContext& job) {
                      GError* error = nullptr;
                      auto repo = GObjectPtr<OstreeRepo>::Take(ostree_repo_create_at(
                          AT_FDCWD, path.c_str(), mode, nullptr, job.cancellable(), &error));
                      if (!repo)
                        throw FromGError(error, "Creating the repository").Detail("path", path);
                      return Wrapped(std::move(repo));
                    });
}

Napi::Value Repo::Close(const Napi::CallbackInfo& info) {
  state()->Close();
  return info.Env().Undefined();
}

Napi::Value Repo::ResolveRev(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string rev = arguments.String(0, "rev");
  const bool allow_missing = arguments.Bool(1, "allowMissing");
  AddonData& data = AddonData::Of(info.Env());
  return Job::Start(info.Env(), data.ostree(), nullptr, info.Env().Undefined(),
                    [state = state(), rev = std::move(rev), allow_missing](JobContext&) -> ToJs {
                      auto repo = state->Use();
                      GStringPtr checksum;
                      GError* error = nullptr;
                      if (!ostree_repo_resolve_rev(repo.get(), rev.c_str(), allow_missing,
                                                   Out(checksum), &error)) {
                        throw FromGError(error, "Resolving a revision").Detail("ref", rev);
                      }
                      if (!checksum) return [](Napi::Env env) { return env.Null(); };
                      return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
                        return Napi::String::New(env, text);
                      };
                    });
}

}  // namespace apt_ostree
