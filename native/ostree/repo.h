// OstreeRepo: objects, refs, transactions, checkouts. The members are defined by subject in
// repo.cc, refs.cc, transaction.cc, repo_read.cc and checkout.cc.
#pragma once

#include <napi.h>
#include <ostree.h>

#include "core/job.h"
#include "core/wrap.h"
#include "ostree/repo_state.h"

namespace apt_ostree {

class Repo : public Wrap<Repo, RepoState> {
 public:
  static constexpr const char* kName = "Repo";
  static constexpr napi_type_tag kTag = {0x6f73747265650001, 0x5265706f00000000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports);

 private:
  // Work that reads, or that writes objects inside the open transaction: any number in parallel.
  Napi::Value Start(const Napi::CallbackInfo& info, Work work,
                    Napi::Value progress = Napi::Value()) const;
  // Work that must be alone among the writers of this handle.
  Napi::Value StartAlone(const Napi::CallbackInfo& info, Work work,
                         Napi::Value progress = Napi::Value()) const;

  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value CreateRepo(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Mode(const Napi::CallbackInfo& info);

  Napi::Value ResolveRev(const Napi::CallbackInfo& info);
  Napi::Value ListRefs(const Napi::CallbackInfo& info);
  Napi::Value SetRef(const Napi::CallbackInfo& info);
  Napi::Value HasObject(const Napi::CallbackInfo& info);

  Napi::Value BeginTransaction(const Napi::CallbackInfo& info);
  Napi::Value CommitTransaction(const Napi::CallbackInfo& info);
  Napi::Value AbortTransaction(const Napi::CallbackInfo& info);
  Napi::Value TransactionSetRef(const Napi::CallbackInfo& info);
  Napi::Value WriteTree(const Napi::CallbackInfo& info);
  Napi::Value WriteCommit(const Napi::CallbackInfo& info);
  Napi::Value WriteDirectory(const Napi::CallbackInfo& info);

  Napi::Value List(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value ReadFile(const Napi::CallbackInfo& info);
  Napi::Value LoadCommit(const Napi::CallbackInfo& info);

  Napi::Value Checkout(const Napi::CallbackInfo& info);
};

}  // namespace apt_ostree
