// The options of ostree_repo_pull_with_options. It looks its options up by name and type and
// passes over whatever does not fit, so they are built from one table.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

struct PullOptions {
  // Name and value; a name occurs once.
  std::vector<std::pair<std::string, VariantPtr>> entries;
  int flags = OSTREE_REPO_PULL_FLAGS_NONE;
  bool inherit_transaction = false;
  bool has_refs = false;

  bool Has(const std::string& name) const;
  // What "refs" names; none where it is left out.
  std::vector<std::string> Refs() const;
  std::vector<std::string> CacheRepos() const;
  // How many parents are pulled too; -1 for all.
  int Depth() const;
  void Add(const std::string& name, VariantPtr value) {
    entries.emplace_back(name, std::move(value));
  }
  // a{sv}, with the flags.
  VariantPtr Build() const;
};

// Throws a TypeError for an unknown option, one of another type, one that this version of
// libostree does not know, and for combinations that libostree would abort on.
PullOptions CheckedPullOptions(Napi::Value value, const std::string& name);

}  // namespace apt_ostree
