// Downloads: package lists and packages, with every signature and hash checked. They are made by a
// program of ours (native/fetch), so that nothing that libapt-pkg does for them happens to this
// process: it forks, changes users, counts descriptors up to 1023, and ends where it cannot fork.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apt/cache.h"

namespace apt_ostree::apt {

struct FetchProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  uint64_t items_done = 0;
  uint64_t items_total = 0;
  uint64_t bytes_per_second = 0;
  std::string current;
};

// Hears of a download.
class FetchListener {
 public:
  virtual ~FetchListener() = default;
  virtual void Progress(const FetchProgress& progress) = 0;
  // `status` is "started", "done", "hit" or "failed".
  virtual void Item(const std::string& uri, const std::string& status,
                    const std::string& message) = 0;
  // Before the files of package lists are replaced.
  virtual void ListsChange() {}
  virtual bool Cancelled() = 0;
};

struct SourceResult {
  std::string uri;
  std::string suite;
  bool ok = true;
  std::string kind;  // "network", "auth", "hash", "expired", "denied", "notfound", "other"
  std::string message;
};

struct UpdateResult {
  std::vector<SourceResult> sources;
  std::vector<Message> warnings;
};

// Brings the package lists up to date. Throws for a source that is not signed as it should be,
// where no source could be read and, with `strict`, where any could not.
UpdateResult Update(Context& context, bool strict, FetchListener& listener);

struct WantedPackage {
  std::string name;
  std::string architecture;
  std::string version;
};

struct FetchedPackage {
  std::string name;
  std::string architecture;
  std::string version;
  std::string path;
  std::string sha256;
};

std::vector<FetchedPackage> Fetch(Cache& cache, const std::vector<WantedPackage>& wanted,
                                  FetchListener& listener);

}  // namespace apt_ostree::apt
