#include "ostree/names.h"

#include <algorithm>
#include <climits>

#include "core/arguments.h"
#include "core/error.h"
#include "core/gobject.h"

namespace apt_ostree {

namespace {

// libostree checks names by patterns whose `$` lets a newline at the end pass.
std::string CheckedName(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (text.find('\n') != std::string::npos) {
    throw InvalidArgumentValue(value.Env(), name, "must not contain a newline");
  }
  return text;
}

}  // namespace

bool IsChecksum(const std::string& text) {
  return text.size() == OSTREE_SHA256_STRING_LEN &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string CheckedChecksum(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  if (!IsChecksum(text)) {
    throw InvalidArgumentValue(value.Env(), name, "must be 64 lower-case hexadecimal digits");
  }
  return text;
}

std::optional<std::string> CheckedOptionalChecksum(Napi::Value value, const std::string& name) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  return CheckedChecksum(value, name);
}

Refspec CheckedRefspec(Napi::Value value, const std::string& name) {
  const std::string text = CheckedName(value, name);
  GStringPtr remote, ref;
  GError* error = nullptr;
  if (!ostree_parse_refspec(text.c_str(), Out(remote), Out(ref), &error)) {
    g_clear_error(&error);
    throw InvalidArgumentValue(value.Env(), name, "is not a valid ref name");
  }
  Refspec refspec;
  if (remote) refspec.remote = remote.get();
  refspec.ref = ref.get();
  return refspec;
}

std::string CheckedRev(Napi::Value value, const std::string& name) {
  std::string text = CheckedName(value, name);
  if (IsChecksum(text)) return text;
  std::string base = text;
  while (!base.empty() && base.back() == '^') base.pop_back();
  GStringPtr remote, ref;
  GError* error = nullptr;
  if (!ostree_parse_refspec(base.c_str(), Out(remote), Out(ref), &error)) {
    g_clear_error(&error);
    throw InvalidArgumentValue(value.Env(), name, "is not a valid revision");
  }
  return text;
}

namespace {

std::string CheckedBy(gboolean (*validate)(const char*, GError**), Napi::Value value,
                      const std::string& name, const char* problem) {
  std::string text = CheckedName(value, name);
  GError* error = nullptr;
  if (validate(text.c_str(), &error)) return text;
  g_clear_error(&error);
  throw InvalidArgumentValue(value.Env(), name, problem);
}

}  // namespace

std::string CheckedRemoteName(Napi::Value value, const std::string& name) {
  return CheckedBy(ostree_validate_remote_name, value, name, "is not a valid remote name");
}

std::string CheckedCollectionId(Napi::Value value, const std::string& name) {
  return CheckedBy(ostree_validate_collection_id, value, name, "is not a valid collection id");
}

std::string CheckedRefName(Napi::Value value, const std::string& name) {
  return CheckedBy(ostree_validate_rev, value, name, "is not a valid ref name");
}

OstreeObjectType CheckedObjectType(Napi::Value value, const std::string& name) {
  const std::string text = CheckedString(value, name);
  if (text == "commit") return OSTREE_OBJECT_TYPE_COMMIT;
  if (text == "file") return OSTREE_OBJECT_TYPE_FILE;
  if (text == "dirtree") return OSTREE_OBJECT_TYPE_DIR_TREE;
  if (text == "dirmeta") return OSTREE_OBJECT_TYPE_DIR_META;
  if (text == "commitmeta") return OSTREE_OBJECT_TYPE_COMMIT_META;
  if (text == "tombstone-commit") return OSTREE_OBJECT_TYPE_TOMBSTONE_COMMIT;
  if (text == "payload-link") return OSTREE_OBJECT_TYPE_PAYLOAD_LINK;
  if (text == "file-xattrs") return OSTREE_OBJECT_TYPE_FILE_XATTRS;
  if (text == "file-xattrs-link") return OSTREE_OBJECT_TYPE_FILE_XATTRS_LINK;
  throw InvalidArgumentValue(value.Env(), name, "is not a type of object");
}

OstreeObjectType CheckedContentType(Napi::Value value, const std::string& name) {
  const OstreeObjectType type = CheckedObjectType(value, name);
  if (type == OSTREE_OBJECT_TYPE_FILE || OSTREE_OBJECT_TYPE_IS_META(type)) return type;
  throw InvalidArgumentValue(value.Env(), name, "is a type of object that cannot be read alone");
}

void RequireDepth(size_t depth, const std::string& path) {
  if (depth <= kDeepestTree) return;
  throw NativeError("ERR_OSTREE_FAILED",
                    "Directories are nested more than " + std::to_string(kDeepestTree) + " deep")
      .Detail("path", path);
}

TreePath CheckedTreePath(Napi::Value value, const std::string& name) {
  const std::string text = CheckedString(value, name);
  if (text.size() >= PATH_MAX) {
    throw InvalidArgumentValue(value.Env(), name,
                               "must be at most " + std::to_string(PATH_MAX - 1) + " bytes long");
  }
  TreePath path;
  size_t start = !text.empty() && text[0] == '/' ? 1 : 0;
  if (start == text.size()) return path;
  while (true) {
    const size_t end = std::min(text.find('/', start), text.size());
    std::string part = text.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") {
      throw InvalidArgumentValue(value.Env(), name, "must not contain empty names, '.' or '..'");
    }
    path.push_back(std::move(part));
    if (path.size() > kDeepestTree) {
      throw InvalidArgumentValue(value.Env(), name,
                                 "must have at most " + std::to_string(kDeepestTree) + " names");
    }
    if (end == text.size()) return path;
    start = end + 1;
  }
}

std::string TreePathText(const TreePath& path) {
  std::string text;
  for (const std::string& part : path) text += "/" + part;
  return text.empty() ? "/" : text;
}

}  // namespace apt_ostree
