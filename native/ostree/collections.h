// Collection refs and tables of refs as plain data.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace apt_ostree {

using RefTable = std::map<std::string, std::string>;
// (collection id, ref) -> commit
using CollectionRefTable = std::map<std::pair<std::string, std::string>, std::string>;

Napi::Value RefsToJs(Napi::Env env, const RefTable& refs);

// OstreeCollectionRef -> checksum, sorted.
CollectionRefTable ReadCollectionRefTable(GHashTable* table);
Napi::Value CollectionRefsToJs(Napi::Env env, const CollectionRefTable& refs);

// A NULL-terminated array of collection refs for C.
class CollectionRefVector {
 public:
  explicit CollectionRefVector(const std::vector<std::pair<std::string, std::string>>& refs);
  ~CollectionRefVector();
  CollectionRefVector(const CollectionRefVector&) = delete;
  CollectionRefVector& operator=(const CollectionRefVector&) = delete;
  const OstreeCollectionRef* const* get() const { return refs_.data(); }

 private:
  std::vector<OstreeCollectionRef*> refs_;
};

// `[{collectionId, ref}]`
std::vector<std::pair<std::string, std::string>> CheckedCollectionRefs(Napi::Value value,
                                                                       const std::string& name);

}  // namespace apt_ostree
