// An opened package cache of a context: what packages there are, and plans of changes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apt/context.h"
#include "apt/depcache.h"
#include "apt/session.h"

namespace apt_ostree::apt {

struct VersionInfo {
  std::string version;
  std::string architecture;
  std::string section;
  std::string priority;
  uint64_t size = 0;
  uint64_t installed_size = 0;
  bool downloadable = false;
};

struct PackageInfo {
  std::string name;
  std::string architecture;
  std::string candidate;  // empty: none
  std::string installed;  // empty: none
  bool essential = false;
  bool automatic = false;
  bool held = false;
  unsigned state = 0;  // see PackageState
  std::vector<VersionInfo> versions;
};

struct SourceCursor;

class Cache {
 public:
  // Reads lists and status, and these .deb files as one more source. Throws Failure.
  Cache(std::shared_ptr<Context> context, const std::vector<std::string>& debs);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  std::optional<PackageInfo> Package(const std::string& name, const std::string& architecture);

  Context& context() { return *context_; }
  // The cache for the length of a session; throws ERR_APT_STALE_CACHE where lists or status
  // changed since.
  CacheFile& Use();
  // The sources that this cache was made of, as the list of another one. False with the reasons
  // on the error stack.
  bool ReadSources(CacheFile& file) const;
  const std::vector<Message>& warnings() const { return warnings_; }
  const std::vector<std::string>& debs() const { return debs_; }
  // Where a listing has come to; see ListSources.
  std::shared_ptr<SourceCursor> source_cursor;

 private:
  // What tells two states of the status file apart. Files of commits have time 0, but each
  // checkout has inodes of its own.
  struct Fingerprint {
    bool exists = false;
    off_t size = 0;
    dev_t device = 0;
    ino_t inode = 0;
    struct timespec modified = {};
    struct timespec changed = {};
    bool operator==(const Fingerprint& other) const;
  };
  Fingerprint StatusFingerprint() const;
  std::string BinaryCacheName() const;

  std::shared_ptr<Context> context_;
  unsigned long generation_;
  Fingerprint fingerprint_;
  const std::vector<std::string> debs_;
  std::unique_ptr<CacheFile> file_;
  std::vector<Message> warnings_;
};

// What dpkg thinks of a package in one number; lib/apt/state.ts takes it apart.
unsigned PackageState(pkgCache::PkgIterator const& package);
// Whether dpkg would refuse to remove it: not merely apt itself, which the library flags too.
bool IsEssential(pkgCache::PkgIterator const& package);
// Text of the cache, which may be absent.
inline std::string Text(const char* text) { return text == nullptr ? "" : text; }

}  // namespace apt_ostree::apt
