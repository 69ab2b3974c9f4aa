// Reading an opened cache: pages of packages and versions, and what belongs to one of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apt/cache.h"
#include "apt/columns.h"
#include "apt/tree.h"

namespace apt_ostree::apt {

// Pages end after `limit` rows; `after` is `next` of the page before, 0 to begin.
struct Page {
  uint64_t after = 0;
  size_t limit = 4096;
};

struct ListFilter {
  std::optional<bool> essential;
  std::vector<std::string> priorities;
  std::optional<bool> installed;
  Page page;
};

// All versions of all packages, in the order in which the cache has them.
Columns ListVersions(Cache& cache, const Page& page);
// All packages that have a version.
Columns ListPackages(Cache& cache, const Page& page);
// Those with a candidate or an installed version that the filter lets through.
Columns FilterPackages(Cache& cache, const ListFilter& filter);
// The versions of one package, newest first.
Columns PackageVersions(Cache& cache, const std::string& name, const std::string& architecture);
// The versions with these numbers.
Columns VersionRows(Cache& cache, const std::vector<uint32_t>& ids);

// Groups of alternatives, each with the versions that would do.
Tree Dependencies(Cache& cache, uint32_t version);
// What the version provides: name, architecture and version of each.
Tree Provides(Cache& cache, uint32_t version);
// Where it comes from: the index files, with their policy priority.
Tree Origins(Cache& cache, uint32_t version);
// Every index file and the status file.
Tree IndexFiles(Cache& cache);
// Versions that depend on the package in any way.
Columns ReverseDependencies(Cache& cache, const std::string& name, const std::string& architecture,
                            const Page& page);
// Versions that have or provide the name.
Columns WhatProvides(Cache& cache, const std::string& name);
// Why the candidate is the candidate. Nothing for an unknown package.
Tree ExplainPolicy(Cache& cache, const std::string& name, const std::string& architecture);
// The fields of a stanza, in their order.
TreeMembers RecordFields(const std::string& record);
// All fields of the version's record, in their order, and its descriptions.
Tree Record(Cache& cache, uint32_t version);

// A package by its name; end() where there is none. Without an architecture the one that apt
// prefers.
pkgCache::PkgIterator FindPackage(pkgCache& cache, const std::string& name,
                                  const std::string& architecture);

// Fills rows about versions: the same columns wherever versions are listed.
class VersionRowsBuilder {
 public:
  explicit VersionRowsBuilder(CacheFile& file);
  void Add(pkgCache::VerIterator version);
  Columns Take();
  size_t rows() const { return columns_.rows(); }

 private:
  CacheFile& file_;
  Columns columns_;
};

}  // namespace apt_ostree::apt
