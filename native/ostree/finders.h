// Remotes that were found to have refs of collections.
#pragma once

#include <napi.h>
#include <ostree.h>

#include "core/wrap.h"

namespace apt_ostree {

// Owns the list that ostree_repo_find_remotes_finish gives.
struct FoundRemotesState {
  explicit FoundRemotesState(OstreeRepoFinderResult** found) : results(found) {}
  ~FoundRemotesState() {
    if (results != nullptr) ostree_repo_finder_result_freev(results);
  }
  FoundRemotesState(const FoundRemotesState&) = delete;
  FoundRemotesState& operator=(const FoundRemotesState&) = delete;
  OstreeRepoFinderResult** const results;
};

// Opaque to JavaScript.
class FoundRemotes : public Wrap<FoundRemotes, FoundRemotesState> {
 public:
  static constexpr const char* kName = "FoundRemotes";
  static constexpr napi_type_tag kTag = {0x6f73747265650010, 0x466f756e64000000};
  using Wrap::Wrap;
  static void Init(Napi::Env env, Napi::Object exports) { Define(env, exports, {}); }
};

}  // namespace apt_ostree
