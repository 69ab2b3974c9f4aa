// Names that libostree takes unchecked, follows as paths or aborts on; checked before each call.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <optional>
#include <string>
#include <vector>

namespace apt_ostree {

// 64 lower-case hexadecimal digits. libostree builds object paths from checksums as they are.
bool IsChecksum(const std::string& text);
std::string CheckedChecksum(Napi::Value value, const std::string& name);
// null and undefined mean absent.
std::optional<std::string> CheckedOptionalChecksum(Napi::Value value, const std::string& name);

struct Refspec {
  std::optional<std::string> remote;
  std::string ref;
  const char* remote_or_null() const { return remote ? remote->c_str() : nullptr; }
};
Refspec CheckedRefspec(Napi::Value value, const std::string& name);

// Non-empty text that resolve_rev can take: a checksum, a refspec, or one of both with `^`.
std::string CheckedRev(Napi::Value value, const std::string& name);

// As ostree_object_type_from_string, which aborts on what it does not know.
OstreeObjectType CheckedObjectType(Napi::Value value, const std::string& name);
// One of the kinds that stand for themselves: not links, and not parts that other modes keep
// inside.
OstreeObjectType CheckedContentType(Napi::Value value, const std::string& name);

// As ostree_validate_remote_name has it; libostree makes file names of these.
std::string CheckedRemoteName(Napi::Value value, const std::string& name);
// As ostree_validate_collection_id has it.
std::string CheckedCollectionId(Napi::Value value, const std::string& name);
// The name of a ref without a remote.
std::string CheckedRefName(Napi::Value value, const std::string& name);

// How many directories may be in each other. Trees are walked by recursion, here and in libostree,
// whose export takes 8 kB of the stack for each of them.
constexpr size_t kDeepestTree = 500;
// Throws ERR_OSTREE_FAILED for a directory that is that many below the root.
void RequireDepth(size_t depth, const std::string& path);

// A path inside a tree as its names. "/" and "" are the root; a leading slash is optional.
// Empty names, "." and ".." are refused, and what is too long or too deep.
using TreePath = std::vector<std::string>;
TreePath CheckedTreePath(Napi::Value value, const std::string& name);
// With a leading slash.
std::string TreePathText(const TreePath& path);

}  // namespace apt_ostree
