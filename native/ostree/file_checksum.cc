#include "ostree/file_checksum.h"

#include <fcntl.h>
#include <ostree.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/gobject.h"

namespace apt_ostree {

namespace {

struct stat StatOf(const std::string& path, const char* what) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) throw FromErrno(errno, what, path);
  return info;
}

// Opening a pipe would wait for a writer.
void RequireFileOrLink(const struct stat& info, const std::string& path) {
  if (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode)) return;
  if (S_ISDIR(info.st_mode)) throw NativeError("EISDIR", "Is a directory: " + path);
  throw NativeError("ERR_OSTREE_NOT_SUPPORTED", "Neither a file nor a symbolic link: " + path)
      .Detail("path", path);
}

Napi::Value ChecksumFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  const Options options = arguments.Object(1, "options");
  unsigned flags = OSTREE_CHECKSUM_FLAGS_NONE;
  if (options.Bool("ignoreXattrs", false)) flags |= OSTREE_CHECKSUM_FLAGS_IGNORE_XATTRS;
  if (options.Bool("canonicalPermissions", false)) {
    flags |= OSTREE_CHECKSUM_FLAGS_CANONICAL_PERMISSIONS;
  }
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).waiting(), nullptr, info.Env().Undefined(),
      [path = std::move(path), flags](JobContext& job) {
        struct stat stat = StatOf(path, "Reading");
        // Of a directory, the checksum of its dirmeta object.
        if (!S_ISDIR(stat.st_mode)) RequireFileOrLink(stat, path);
        GStringPtr checksum;
        GError* error = nullptr;
        if (!ostree_checksum_file_at(AT_FDCWD, path.c_str(), &stat, OSTREE_OBJECT_TYPE_FILE,
                                     static_cast<OstreeChecksumFlags>(flags), Out(checksum),
                                     job.cancellable(), &error)) {
          throw FromGError(error, "Reading a file").Detail("path", path);
        }
        return [text = std::string(checksum.get())](Napi::Env env) -> Napi::Value {
          return Napi::String::New(env, text);
        };
      });
}

Napi::Value BreakHardlink(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Path(0, "path");
  const bool skip_xattrs = arguments.Bool(1, "skipXattrs");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).waiting(), nullptr,
                    info.Env().Undefined(), [path = std::move(path), skip_xattrs](JobContext& job) {
                      const struct stat stat = StatOf(path, "Breaking a hard link:");
                      RequireFileOrLink(stat, path);
                      GError* error = nullptr;
                      if (!ostree_break_hardlink(AT_FDCWD, path.c_str(), skip_xattrs,
                                                 job.cancellable(), &error)) {
                        throw FromGError(error, "Breaking a hard link").Detail("path", path);
                      }
                      return Undefined();
                    });
}

}  // namespace

void InitFileChecksum(Napi::Env env, Napi::Object exports) {
  exports.Set("checksumFile", Napi::Function::New(env, ChecksumFile));
  exports.Set("breakHardlink", Napi::Function::New(env, BreakHardlink));
}

}  // namespace apt_ostree
