// Repo: single objects from memory or from a descriptor.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/error.h"
#include "core/patient_read.h"
#include "core/sha256.h"
#include "core/values.h"
#include "ostree/content.h"
#include "ostree/names.h"
#include "ostree/repo.h"
#include "ostree/xattrs.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;

struct ObjectAttributes {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0;  // permission bits
  VariantPtr xattrs;  // null where there are none
};

ObjectAttributes CheckedAttributes(const Options& options, Napi::Env env) {
  ObjectAttributes attributes;
  attributes.uid = static_cast<uint32_t>(options.Integer("uid", 0, 0, UINT32_MAX));
  attributes.gid = static_cast<uint32_t>(options.Integer("gid", 0, 0, UINT32_MAX));
  attributes.mode = static_cast<uint32_t>(options.Integer("mode", 0644, 0, 07777));
  const Xattrs xattrs = CheckedXattrs(options.Raw("xattrs"), "xattrs");
  if (!xattrs.empty()) attributes.xattrs = ToVariant(xattrs);
  return attributes;
}

// libostree would name the object by what it does not store: damaged from the start.
void RequireStorable(OstreeRepo* repo, const ObjectAttributes& attributes, bool link) {
  if (ostree_repo_get_mode(repo) != OSTREE_REPO_MODE_BARE_USER_ONLY) return;
  const bool plain = attributes.uid == 0 && attributes.gid == 0 && !attributes.xattrs;
  if (plain && (link || (attributes.mode & ~0775U) == 0)) return;
  throw NativeError("EINVAL",
                    "A bare-user-only repository keeps no owners but root, no extended attributes "
                    "and no modes beyond 0775");
}

void AppendAll(ContentWriter& writer, int fd, const JobContext& job) {
  std::vector<char> buffer(kChunk);
  while (true) {
    const ssize_t count = PatientRead(fd, buffer.data(), buffer.size(), job.cancellable());
    job.ThrowIfCancelled();
    if (count < 0) throw FromErrno(errno, "Reading content", "");
    if (count == 0) return;
    writer.Append(buffer.data(), static_cast<size_t>(count));
  }
}

ToJs Text(std::string text) {
  return [text = std::move(text)](Napi::Env env) { return Napi::String::New(env, text); };
}

OstreeObjectType CheckedMetadataType(Napi::Value value) {
  const OstreeObjectType type = CheckedObjectType(value, "type");
  if (OSTREE_OBJECT_TYPE_IS_META(type)) return type;
  throw InvalidArgumentValue(value.Env(), "type", "must be 'commit', 'dirtree' or 'dirmeta'");
}

NativeError NoSuchObject(OstreeObjectType type) {
  return NativeError("ERR_OSTREE_FAILED", std::string("The bytes are no object of type ") +
                                              ostree_object_type_to_string(type));
}

// Throws for what is not of this type, or only nearly so: others could not read it.
VariantPtr CheckedObject(OstreeObjectType type, GBytes* bytes) {
  auto object =
      VariantPtr::Sink(g_variant_new_from_bytes(ostree_metadata_variant_type(type), bytes, FALSE));
  GError* error = nullptr;
  bool valid = g_variant_is_normal_form(object.get()) != FALSE && g_bytes_get_size(bytes) > 0;
  if (valid && type == OSTREE_OBJECT_TYPE_DIR_TREE) {
    valid = ostree_validate_structureof_dirtree(object.get(), &error) != FALSE;
  } else if (valid && type == OSTREE_OBJECT_TYPE_DIR_META) {
    valid = ostree_validate_structureof_dirmeta(object.get(), &error) != FALSE;
  } else if (valid && type == OSTREE_OBJECT_TYPE_COMMIT) {
    valid = ostree_validate_structureof_commit(object.get(), &error) != FALSE;
  }
  if (valid) return object;
  if (error != nullptr) throw FromGError(error, "Reading an object");
  throw NoSuchObject(type);
}

}  // namespace

// writeFile(bytes or descriptor, attributes)
Napi::Value Repo::WriteFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  ObjectAttributes attributes = CheckedAttributes(arguments.Object(1, "attributes"), info.Env());
  SharedBytes bytes;
  std::shared_ptr<UniqueFd> source;
  if (info[0].IsNumber()) {
    const auto fd = static_cast<int>(arguments.Integer(0, "content", 0, INT32_MAX));
    // A copy: the caller may close its own any time.
    source = std::make_shared<UniqueFd>(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!*source) throw FromErrno(errno, "Reading content", "").ToJs(info.Env());
  } else {
    bytes = CheckedBytes(info[0], "content");
  }
  Work work = [state = state(), attributes = std::move(attributes), bytes = std::move(bytes),
               source](JobContext& job) {
    const TransactionShare transaction = state->RequireTransaction();
    RequireStorable(transaction.repo(), attributes, false);
    ContentWriter writer(transaction.repo(), job);
    writer.Begin(
        {attributes.uid, attributes.gid, attributes.mode | S_IFREG, attributes.xattrs.get()});
    if (source) {
      AppendAll(writer, source->get(), job);
      *source = UniqueFd();
    } else {
      gsize size = 0;
      const void* data = g_bytes_get_data(bytes.get(), &size);
      if (size > 0) writer.Append(data, size);
    }
    return Text(writer.Finish());
  };
  return source ? StartWaiting(info, std::move(work)) : Start(info, std::move(work));
}

// writeSymlink(target, attributes)
Napi::Value Repo::WriteSymlink(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string target = arguments.String(0, "target");
  ObjectAttributes attributes = CheckedAttributes(arguments.Object(1, "attributes"), info.Env());
  if (target.empty()) throw InvalidArgumentValue(info.Env(), "target", "must not be empty");
  return Start(info, [state = state(), target = std::move(target),
                      attributes = std::move(attributes)](JobContext& job) {
    const TransactionShare transaction = state->RequireTransaction();
    RequireStorable(transaction.repo(), attributes, true);
    return Text(ContentWriter(transaction.repo(), job)
                    .Symlink(attributes.uid, attributes.gid, attributes.xattrs.get(), target));
  });
}

// writeMetadata(type, bytes, expected checksum)
Napi::Value Repo::WriteMetadata(const Napi::CallbackInfo& info) {
  const OstreeObjectType type = CheckedMetadataType(info[0]);
  if (info[1].IsTypedArray() &&
      info[1].As<Napi::TypedArray>().ByteLength() > OSTREE_MAX_METADATA_SIZE) {
    // Before it is copied.
    throw NoSuchObject(type).ToJs(info.Env());
  }
  SharedBytes bytes = CheckedBytes(info[1], "bytes");
  std::optional<std::string> expected = CheckedOptionalChecksum(info[2], "checksum");
  return Start(info, [state = state(), type, bytes = std::move(bytes),
                      expected = std::move(expected)](JobContext& job) {
    const TransactionShare transaction = state->RequireTransaction();
    const VariantPtr object = CheckedObject(type, bytes.get());
    gsize size = 0;
    const void* data = g_bytes_get_data(bytes.get(), &size);
    Sha256 hash;
    hash.Update(data, size);
    const std::string actual = hash.Hex();
    if (expected && *expected != actual) {
      throw NativeError("ERR_OSTREE_FAILED",
                        "The object's checksum is " + actual + ", not " + *expected)
          .Detail("ref", *expected);
    }
    std::unique_ptr<guchar, FreeWith<g_free>> written;
    GError* error = nullptr;
    if (!ostree_repo_write_metadata(transaction.repo(), type, actual.c_str(), object.get(),
                                    Out(written), job.cancellable(), &error)) {
      throw FromGError(error, "Writing an object").Detail("ref", actual);
    }
    return Text(actual);
  });
}

}  // namespace apt_ostree
