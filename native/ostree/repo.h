// OstreeRepo: objects, refs, transactions, checkouts. The members are defined by subject in
// repo.cc, refs.cc, transaction.cc, repo_read.cc and checkout.cc.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <string>

#include "core/job.h"
#include "core/wrap.h"
#include "ostree/repo_state.h"

namespace apt_ostree {

// Throws ENOENT, or ERR_OSTREE_NOT_A_REPOSITORY: libostree reports the first missing piece of a
// repository as a plain "no such file".
void RequireRepository(const std::string& path);
// Throws where one of the repositories above the one with this configuration cannot be opened
// without a wait or an end.
void RequireSoundParents(GKeyFile* config, const std::string& path);

class Repo : public Wrap<Repo, RepoState> {
 public:
  static constexpr const char* kName = "Repo";
  static constexpr napi_type_tag kTag = {0x6f73747265650001, 0x5265706f00000000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  // Work that reads, or that writes single objects inside the open transaction: any number in
  // parallel.
  Napi::Value Start(const Napi::CallbackInfo& info, Work work,
                    Napi::Value progress = Napi::Value()) const;
  // The same for work that takes long or waits for something else than the disk.
  Napi::Value StartWaiting(const Napi::CallbackInfo& info, Work work,
                           Napi::Value progress = Napi::Value()) const;
  // Work that must be alone among the writers of this handle.
  Napi::Value StartAlone(const Napi::CallbackInfo& info, Work work,
                         Napi::Value progress = Napi::Value()) const;
  Napi::Value StartOn(const Napi::CallbackInfo& info, Executor& executor, Work work,
                      Napi::Value progress) const;

  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value CreateRepo(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Mode(const Napi::CallbackInfo& info);
  Napi::Value Facts(const Napi::CallbackInfo& info);
  Napi::Value Equals(const Napi::CallbackInfo& info);
  Napi::Value GetFsync(const Napi::CallbackInfo& info);
  Napi::Value SetFsync(const Napi::CallbackInfo& info);
  Napi::Value SetCacheDirectory(const Napi::CallbackInfo& info);

  Napi::Value ResolveRev(const Napi::CallbackInfo& info);
  Napi::Value ListRefs(const Napi::CallbackInfo& info);
  Napi::Value SetRef(const Napi::CallbackInfo& info);
  Napi::Value SetAlias(const Napi::CallbackInfo& info);
  Napi::Value HasObject(const Napi::CallbackInfo& info);

  Napi::Value BeginTransaction(const Napi::CallbackInfo& info);
  Napi::Value CommitTransaction(const Napi::CallbackInfo& info);
  Napi::Value AbortTransaction(const Napi::CallbackInfo& info);
  Napi::Value TransactionSetRef(const Napi::CallbackInfo& info);
  Napi::Value TransactionSetCollectionRef(const Napi::CallbackInfo& info);
  Napi::Value WriteTree(const Napi::CallbackInfo& info);
  Napi::Value WriteCommit(const Napi::CallbackInfo& info);
  Napi::Value WriteDirectory(const Napi::CallbackInfo& info);
  Napi::Value WriteArchive(const Napi::CallbackInfo& info);
  Napi::Value WriteCommitTree(const Napi::CallbackInfo& info);
  Napi::Value WriteFile(const Napi::CallbackInfo& info);
  Napi::Value WriteSymlink(const Napi::CallbackInfo& info);
  Napi::Value WriteMetadata(const Napi::CallbackInfo& info);

  Napi::Value Walk(const Napi::CallbackInfo& info);
  Napi::Value OpenFile(const Napi::CallbackInfo& info);
  Napi::Value OpenObject(const Napi::CallbackInfo& info);
  Napi::Value LoadObject(const Napi::CallbackInfo& info);
  Napi::Value LoadFileObject(const Napi::CallbackInfo& info);
  Napi::Value ObjectSize(const Napi::CallbackInfo& info);
  Napi::Value DeleteObject(const Napi::CallbackInfo& info);
  Napi::Value ImportObject(const Napi::CallbackInfo& info);
  Napi::Value CommitSizes(const Napi::CallbackInfo& info);
  Napi::Value ListObjects(const Napi::CallbackInfo& info);
  Napi::Value ListReachable(const Napi::CallbackInfo& info);
  Napi::Value CompareObjects(const Napi::CallbackInfo& info);
  Napi::Value ExportArchive(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value ReadFile(const Napi::CallbackInfo& info);
  Napi::Value LoadCommit(const Napi::CallbackInfo& info);

  Napi::Value RemoteChange(const Napi::CallbackInfo& info);
  Napi::Value RemoteList(const Napi::CallbackInfo& info);
  Napi::Value RemoteUrl(const Napi::CallbackInfo& info);
  Napi::Value RemoteOptions(const Napi::CallbackInfo& info);
  Napi::Value RemoteGpgVerify(const Napi::CallbackInfo& info);
  Napi::Value RemoteGpgImport(const Napi::CallbackInfo& info);
  Napi::Value RemoteGpgKeys(const Napi::CallbackInfo& info);
  Napi::Value Pull(const Napi::CallbackInfo& info);
  Napi::Value PullLocal(const Napi::CallbackInfo& info);

  Napi::Value ReadDetachedMetadata(const Napi::CallbackInfo& info);
  Napi::Value WriteDetachedMetadata(const Napi::CallbackInfo& info);
  Napi::Value GpgSignCommit(const Napi::CallbackInfo& info);
  Napi::Value GpgAppendSignature(const Napi::CallbackInfo& info);
  Napi::Value GpgDeleteSignatures(const Napi::CallbackInfo& info);
  Napi::Value GpgVerifyCommit(const Napi::CallbackInfo& info);
  Napi::Value GpgSignData(const Napi::CallbackInfo& info);
  Napi::Value GpgVerifyData(const Napi::CallbackInfo& info);
  Napi::Value Verify(const Napi::CallbackInfo& info);
  Napi::Value SignCommit(const Napi::CallbackInfo& info);
  Napi::Value SignVerifyCommit(const Napi::CallbackInfo& info);
  Napi::Value SignDeleteSignatures(const Napi::CallbackInfo& info);
  Napi::Value VerifyLocalSummary(const Napi::CallbackInfo& info);
  Napi::Value SummaryRegenerate(const Napi::CallbackInfo& info);
  Napi::Value RegenerateMetadata(const Napi::CallbackInfo& info);
  Napi::Value RemoteFetchSummary(const Napi::CallbackInfo& info);
  Napi::Value RemoteListRefs(const Napi::CallbackInfo& info);
  Napi::Value SummaryVerify(const Napi::CallbackInfo& info);
  Napi::Value SummarySignGpg(const Napi::CallbackInfo& info);
  Napi::Value SummarySign(const Napi::CallbackInfo& info);
  Napi::Value DeltaGenerate(const Napi::CallbackInfo& info);
  Napi::Value DeltaList(const Napi::CallbackInfo& info);
  Napi::Value DeltaIndexes(const Napi::CallbackInfo& info);
  Napi::Value DeltaReindex(const Napi::CallbackInfo& info);
  Napi::Value DeltaApply(const Napi::CallbackInfo& info);
  Napi::Value DeltaVerify(const Napi::CallbackInfo& info);
  Napi::Value DeltaShow(const Napi::CallbackInfo& info);
  Napi::Value FindRemotes(const Napi::CallbackInfo& info);
  Napi::Value PullFromRemotes(const Napi::CallbackInfo& info);
  Napi::Value ResolveKeyring(const Napi::CallbackInfo& info);
  Napi::Value GetCollectionId(const Napi::CallbackInfo& info);
  Napi::Value SetCollectionId(const Napi::CallbackInfo& info);
  Napi::Value ListCollectionRefs(const Napi::CallbackInfo& info);
  Napi::Value ResolveCollectionRef(const Napi::CallbackInfo& info);
  Napi::Value SetCollectionRef(const Napi::CallbackInfo& info);
  Napi::Value RemoteListCollectionRefs(const Napi::CallbackInfo& info);

  Napi::Value Checkout(const Napi::CallbackInfo& info);
  Napi::Value CheckoutComposefs(const Napi::CallbackInfo& info);
  Napi::Value Diff(const Napi::CallbackInfo& info);

  Napi::Value TryLock(const Napi::CallbackInfo& info);
  Napi::Value Unlock(const Napi::CallbackInfo& info);
  Napi::Value Identity(const Napi::CallbackInfo& info);
  Napi::Value MarkPartial(const Napi::CallbackInfo& info);
  Napi::Value FsckAll(const Napi::CallbackInfo& info);
  Napi::Value Prune(const Napi::CallbackInfo& info);
  Napi::Value GetConfig(const Napi::CallbackInfo& info);
  Napi::Value ConfigText(const Napi::CallbackInfo& info);
  Napi::Value ReloadConfig(const Napi::CallbackInfo& info);
  Napi::Value SetConfig(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
