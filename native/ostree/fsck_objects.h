// Objects read again and compared with their checksums, on several threads. libostree's own check
// hashes on one thread with GLib's slow SHA-256.
#pragma once

#include <ostree.h>

#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/job.h"
#include "ostree/reachable.h"

namespace apt_ostree {

// An object's name in 33 bytes: sets of millions have to fit into memory.
struct ObjectKey {
  std::array<uint8_t, 32> checksum;
  uint8_t type = 0;

  bool operator==(const ObjectKey& other) const {
    return type == other.type && checksum == other.checksum;
  }
  ObjectName name() const;
};

struct ObjectKeyHash {
  size_t operator()(const ObjectKey& key) const;
};

using ObjectKeys = std::unordered_set<ObjectKey, ObjectKeyHash>;

// `checksum` must be one.
ObjectKey KeyOf(const char* checksum, OstreeObjectType type);

struct ObjectFault {
  ObjectKey key;
  bool missing = false;
  std::string message;
};

// What a commit needs, gathered without complaint: a missing or damaged directory is in the set,
// what is below it cannot be. Objects in the set already are not looked into again.
void GatherObjects(OstreeRepo* repo, const std::string& commit, const JobContext& job,
                   ObjectKeys* objects);

// In no order. With `all` false it stops soon after the first damaged object.
std::vector<ObjectFault> CheckObjects(OstreeRepo* repo, const ObjectKeys& objects, bool all,
                                      const JobContext& job, size_t* checked);

// Throws NativeError: ENOENT where it is missing.
void CheckObject(OstreeRepo* repo, const ObjectName& name, GCancellable* cancellable);

}  // namespace apt_ostree
