#include "ostree/repo.h"
#include "ostree/sound.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"
#include "core/open.h"
#include "ostree/key_file.h"
#include "ostree/names.h"

namespace apt_ostree {

namespace {

// Hands the JavaScript object of an opened repository to the caller.
ToJs Wrapped(GObjectPtr<OstreeRepo> repo, const std::string& path) {
  auto state = std::make_shared<RepoState>(std::move(repo), path);
  return [state](Napi::Env env) -> Napi::Value { return Repo::Create(env, state); };
}

// More would be round a circle, or too deep for libostree, which opens each inside the other.
constexpr size_t kMostParents = 50;

// Never waits for the writer of a FIFO, as libostree would.
GKeyFilePtr LoadConfig(const std::string& repo) {
  OpenRegular(repo + "/config", "Opening the repository");
  return LoadKeyFile(AT_FDCWD, repo + "/config");
}

GObjectPtr<OstreeRepo> OpenRepository(const std::string& path, GCancellable* cancellable) {
  RequireRepository(path);
  GError* error = nullptr;
  // Not open_at, after which the repository takes /proc/self/fd/N for its path.
  auto file = GObjectPtr<GFile>::Take(g_file_new_for_path(path.c_str()));
  auto repo = GObjectPtr<OstreeRepo>::Take(ostree_repo_new(file.get()));
  if (!ostree_repo_open(repo.get(), cancellable, &error)) {
    throw FromGError(error, "Opening the repository").Detail("path", path);
  }
  RequireSoundConfig(ostree_repo_get_config(repo.get()), path);
  return repo;
}

const char* ModeName(OstreeRepoMode mode) {
  switch (mode) {
    case OSTREE_REPO_MODE_BARE:
      return "bare";
    case OSTREE_REPO_MODE_ARCHIVE:
      return "archive";
    case OSTREE_REPO_MODE_BARE_USER:
      return "bare-user";
    case OSTREE_REPO_MODE_BARE_USER_ONLY:
      return "bare-user-only";
    case OSTREE_REPO_MODE_BARE_SPLIT_XATTRS:
      return "bare-split-xattrs";
  }
  return "unknown";
}

}  // namespace

void RequireRepository(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) throw FromErrno(errno, "Opening the repository", path);
  for (const char* part : {"/config", "/objects"}) {
    if (stat((path + part).c_str(), &info) == 0) continue;
    if (errno != ENOENT && errno != ENOTDIR) {
      throw FromErrno(errno, "Opening the repository", path + part);
    }
    throw NativeError("ERR_OSTREE_NOT_A_REPOSITORY", path + " is not an OSTree repository")
        .Detail("path", path);
  }
  RequireSoundParents(LoadConfig(path).get(), path);
}

void RequireSoundParents(GKeyFile* config, const std::string& path) {
  GKeyFilePtr current(g_key_file_ref(config));
  for (size_t above = 0;; ++above) {
    const GStringPtr parent(g_key_file_get_value(current.get(), "core", "parent", nullptr));
    if (!parent || *parent == '\0') return;
    if (above == kMostParents) {
      throw NativeError("ELOOP", "The repositories above have no end").Detail("path", path);
    }
    struct stat info;
    // libostree says of one that is missing.
    if (stat((std::string(parent.get()) + "/config").c_str(), &info) != 0) return;
    current = LoadConfig(parent.get());
  }
}

void Repo::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&Repo::Open>("open"),
             StaticMethod<&Repo::CreateRepo>("create"),
             InstanceMethod<&Repo::Close>("close"),
             InstanceMethod<&Repo::Mode>("mode"),
             InstanceMethod<&Repo::Facts>("facts"),
             InstanceMethod<&Repo::Equals>("equals"),
             InstanceMethod<&Repo::GetFsync>("getFsync"),
             InstanceMethod<&Repo::SetFsync>("setFsync"),
             InstanceMethod<&Repo::SetCacheDirectory>("setCacheDirectory"),
             InstanceMethod<&Repo::ResolveRev>("resolveRev"),
             InstanceMethod<&Repo::ListRefs>("listRefs"),
             InstanceMethod<&Repo::SetRef>("setRef"),
             InstanceMethod<&Repo::SetAlias>("setAlias"),
             InstanceMethod<&Repo::HasObject>("hasObject"),
             InstanceMethod<&Repo::BeginTransaction>("beginTransaction"),
             InstanceMethod<&Repo::CommitTransaction>("commitTransaction"),
             InstanceMethod<&Repo::AbortTransaction>("abortTransaction"),
             InstanceMethod<&Repo::TransactionSetRef>("transactionSetRef"),
             InstanceMethod<&Repo::TransactionSetCollectionRef>("transactionSetCollectionRef"),
             InstanceMethod<&Repo::WriteTree>("writeTree"),
             InstanceMethod<&Repo::WriteCommit>("writeCommit"),
             InstanceMethod<&Repo::WriteDirectory>("writeDirectory"),
             InstanceMethod<&Repo::WriteArchive>("writeArchive"),
             InstanceMethod<&Repo::WriteCommitTree>("writeCommitTree"),
             InstanceMethod<&Repo::WriteFile>("writeFile"),
             InstanceMethod<&Repo::WriteSymlink>("writeSymlink"),
             InstanceMethod<&Repo::WriteMetadata>("writeMetadata"),
             InstanceMethod<&Repo::Walk>("walk"),
             InstanceMethod<&Repo::OpenFile>("openFile"),
             InstanceMethod<&Repo::OpenObject>("openObject"),
             InstanceMethod<&Repo::LoadObject>("loadObject"),
             InstanceMethod<&Repo::LoadFileObject>("loadFileObject"),
             InstanceMethod<&Repo::ObjectSize>("objectSize"),
             InstanceMethod<&Repo::DeleteObject>("deleteObject"),
             InstanceMethod<&Repo::ImportObject>("importObject"),
             InstanceMethod<&Repo::CommitSizes>("commitSizes"),
             InstanceMethod<&Repo::ListObjects>("listObjects"),
             InstanceMethod<&Repo::ListReachable>("listReachable"),
             InstanceMethod<&Repo::CompareObjects>("compareObjects"),
             InstanceMethod<&Repo::ExportArchive>("exportArchive"),
             InstanceMethod<&Repo::Stat>("stat"),
             InstanceMethod<&Repo::ReadFile>("readFile"),
             InstanceMethod<&Repo::LoadCommit>("loadCommit"),
             InstanceMethod<&Repo::RemoteChange>("remoteChange"),
             InstanceMethod<&Repo::RemoteList>("remoteList"),
             InstanceMethod<&Repo::RemoteUrl>("remoteUrl"),
             InstanceMethod<&Repo::RemoteOptions>("remoteOptions"),
             InstanceMethod<&Repo::RemoteGpgVerify>("remoteGpgVerify"),
             InstanceMethod<&Repo::RemoteGpgImport>("remoteGpgImport"),
             InstanceMethod<&Repo::RemoteGpgKeys>("remoteGpgKeys"),
             InstanceMethod<&Repo::Pull>("pull"),
             InstanceMethod<&Repo::PullLocal>("pullLocal"),
             InstanceMethod<&Repo::ReadDetachedMetadata>("readDetachedMetadata"),
             InstanceMethod<&Repo::WriteDetachedMetadata>("writeDetachedMetadata"),
             InstanceMethod<&Repo::GpgSignCommit>("gpgSignCommit"),
             InstanceMethod<&Repo::GpgAppendSignature>("gpgAppendSignature"),
             InstanceMethod<&Repo::GpgDeleteSignatures>("gpgDeleteSignatures"),
             InstanceMethod<&Repo::GpgVerifyCommit>("gpgVerifyCommit"),
             InstanceMethod<&Repo::GpgSignData>("gpgSignData"),
             InstanceMethod<&Repo::GpgVerifyData>("gpgVerifyData"),
             InstanceMethod<&Repo::Verify>("verify"),
             InstanceMethod<&Repo::SignCommit>("signCommit"),
             InstanceMethod<&Repo::SignVerifyCommit>("signVerifyCommit"),
             InstanceMethod<&Repo::SignDeleteSignatures>("signDeleteSignatures"),
             InstanceMethod<&Repo::VerifyLocalSummary>("verifyLocalSummary"),
             InstanceMethod<&Repo::SummaryRegenerate>("summaryRegenerate"),
             InstanceMethod<&Repo::RegenerateMetadata>("regenerateMetadata"),
             InstanceMethod<&Repo::RemoteFetchSummary>("remoteFetchSummary"),
             InstanceMethod<&Repo::RemoteListRefs>("remoteListRefs"),
             InstanceMethod<&Repo::SummaryVerify>("summaryVerify"),
             InstanceMethod<&Repo::SummarySignGpg>("summarySignGpg"),
             InstanceMethod<&Repo::SummarySign>("summarySign"),
             InstanceMethod<&Repo::DeltaGenerate>("deltaGenerate"),
             InstanceMethod<&Repo::DeltaList>("deltaList"),
             InstanceMethod<&Repo::DeltaIndexes>("deltaIndexes"),
             InstanceMethod<&Repo::DeltaReindex>("deltaReindex"),
             InstanceMethod<&Repo::DeltaApply>("deltaApply"),
             InstanceMethod<&Repo::DeltaVerify>("deltaVerify"),
             InstanceMethod<&Repo::DeltaShow>("deltaShow"),
             InstanceMethod<&Repo::FindRemotes>("findRemotes"),
             InstanceMethod<&Repo::PullFromRemotes>("pullFromRemotes"),
             InstanceMethod<&Repo::ResolveKeyring>("resolveKeyring"),
             InstanceMethod<&Repo::GetCollectionId>("getCollectionId"),
             InstanceMethod<&Repo::SetCollectionId>("setCollectionId"),
             InstanceMethod<&Repo::ListCollectionRefs>("listCollectionRefs"),
             InstanceMethod<&Repo::ResolveCollectionRef>("resolveCollectionRef"),
             InstanceMethod<&Repo::SetCollectionRef>("setCollectionRef"),
             InstanceMethod<&Repo::RemoteListCollectionRefs>("remoteListCollectionRefs"),
             InstanceMethod<&Repo::Checkout>("checkout"),
             InstanceMethod<&Repo::CheckoutComposefs>("checkoutComposefs"),
             InstanceMethod<&Repo::Diff>("diff"),
             InstanceMethod<&Repo::TryLock>("tryLock"),
             InstanceMethod<&Repo::Unlock>("unlock"),
             InstanceMethod<&Repo::Identity>("identity"),
             InstanceMethod<&Repo::MarkPartial>("markPartial"),
             InstanceMethod<&Repo::FsckAll>("fsck"),
             InstanceMethod<&Repo::Prune>("prune"),
             InstanceMethod<&Repo::GetConfig>("getConfig"),
             InstanceMethod<&Repo::SetConfig>("setConfig"),
             InstanceMethod<&Repo::ConfigText>("configText"),
             InstanceMethod<&Repo::ReloadConfig>("reloadConfig"),
         });
}

Napi::Value Repo::Start(const Napi::CallbackInfo& info, Work work, Napi::Value progress) const {
  return StartOn(info, AddonData::Of(info.Env()).ostree(), std::move(work), progress);
}

Napi::Value Repo::StartWaiting(const Napi::CallbackInfo& info, Work work,
                               Napi::Value progress) const {
  return StartOn(info, AddonData::Of(info.Env()).waiting(), std::move(work), progress);
}

Napi::Value Repo::StartOn(const Napi::CallbackInfo& info, Executor& executor, Work work,
                          Napi::Value progress) const {
  return Job::Start(info.Env(), executor, nullptr,
                    progress.IsEmpty() ? info.Env().Undefined() : progress,
                    [state = state(), work = std::move(work)](JobContext& job) {
                      const auto reading = state->ConfigShared();
                      return work(job);
                    });
}

Napi::Value Repo::StartAlone(const Napi::CallbackInfo& info, Work work,
                             Napi::Value progress) const {
  return Job::Start(info.Env(), AddonData::Of(info.Env()).waiting(), state()->writes(),
                    progress.IsEmpty() ? info.Env().Undefined() : progress, std::move(work));
}

Napi::Value Repo::Open(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path)](JobContext& job) {
                      return Wrapped(OpenRepository(path, job.cancellable()), path);
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
  std::optional<std::string> collection;
  if (!info[2].IsUndefined()) collection = CheckedCollectionId(info[2], "collectionId");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
      [path = std::move(path), mode, collection = std::move(collection)](JobContext& job) {
        GError* error = nullptr;
        GVariantDict dict;
        g_variant_dict_init(&dict, nullptr);
        if (collection) {
          g_variant_dict_insert(&dict, "collection-id", "s", collection->c_str());
        }
        const VariantPtr options = VariantPtr::Sink(g_variant_dict_end(&dict));
        auto repo = GObjectPtr<OstreeRepo>::Take(ostree_repo_create_at(
            AT_FDCWD, path.c_str(), mode, options.get(), job.cancellable(), &error));
        if (!repo) {
          throw FromGError(error, "Creating the repository").Detail("path", path);
        }
        repo = OpenRepository(path, job.cancellable());
        const OstreeRepoMode found = ostree_repo_get_mode(repo.get());
        // libostree leaves an existing repository as it is, whatever its mode.
        if (found != mode) {
          throw NativeError("EEXIST",
                            std::string("The repository exists in mode ") + ModeName(found))
              .Detail("path", path);
        }
        return Wrapped(std::move(repo), path);
      });
}

Napi::Value Repo::Close(const Napi::CallbackInfo& info) {
  state()->Close();
  return info.Env().Undefined();
}

Napi::Value Repo::Mode(const Napi::CallbackInfo& info) {
  try {
    return Napi::String::New(info.Env(), ModeName(ostree_repo_get_mode(state()->Use().get())));
  } catch (const NativeError& error) {
    throw error.ToJs(info.Env());
  }
}

}  // namespace apt_ostree
