#include "core/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include <cerrno>
#include <memory>
#include <string>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/gobject.h"
#include "core/job.h"

namespace apt_ostree {

namespace {

using DirPtr = std::unique_ptr<DIR, FreeWith<closedir>>;

// Deployment roots carry the immutable flag, which even root must clear before deleting.
void ClearImmutable(int fd) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) != 0) {
    flags &= ~FS_IMMUTABLE_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
  }
}

void RemoveAt(int parent, const char* name, const std::string& path, dev_t device, JobContext& job);

void RemoveContents(UniqueFd fd, const std::string& path, dev_t device, JobContext& job) {
  DirPtr directory(fdopendir(fd.get()));
  if (!directory) throw FromErrno(errno, "Reading", path);
  const int dir_fd = fd.release();
  while (true) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) throw FromErrno(errno, "Reading", path);
      return;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    RemoveAt(dir_fd, name.c_str(), path + "/" + name, device, job);
  }
}

void RemoveAt(int parent, const char* name, const std::string& path, dev_t device,
              JobContext& job) {
  job.ThrowIfCancelled();
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw FromErrno(errno, "Removing", path);
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw FromErrno(errno, "Removing", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw FromErrno(errno, "Removing", path);
  // Something is mounted here: what lies behind it is not ours.
  if (info.st_dev != device) throw FromErrno(EXDEV, "Removing", path);
  ClearImmutable(fd.get());
  RemoveContents(std::move(fd), path, device, job);
  if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    throw FromErrno(errno, "Removing", path);
  }
}

Napi::Value RemoveTree(const Napi::CallbackInfo& info) {
  std::string path = Arguments(info).Path(0, "path");
  return Job::Start(info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
                    [path = std::move(path)](JobContext& job) {
                      struct stat root;
                      if (lstat(path.c_str(), &root) != 0) {
                        if (errno == ENOENT) return Undefined();
                        throw FromErrno(errno, "Removing", path);
                      }
                      RemoveAt(AT_FDCWD, path.c_str(), path, root.st_dev, job);
                      return Undefined();
                    });
}

// An anonymous pipe. Node's own "pipe" stdio is a socket pair, and a script that opens
// /dev/stderr fails on a socket.
Napi::Value CreatePipe(const Napi::CallbackInfo& info) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw FromErrno(errno, "Creating a pipe", "").ToJs(info.Env());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("read", ends[0]);
  result.Set("write", ends[1]);
  return result;
}

// Whether this open file could be locked. The kernel unlocks it with its last descriptor, whatever
// ends the process, and knows nothing of namespaces.
Napi::Value TryLock(const Napi::CallbackInfo& info) {
  const int64_t fd = CheckedInteger(info[0], "fd", 0, 1 << 20);
  int result;
  do {
    result = flock(static_cast<int>(fd), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EWOULDBLOCK) {
    throw FromErrno(errno, "Locking a file", "").ToJs(info.Env());
  }
  return Napi::Boolean::New(info.Env(), result == 0);
}

}  // namespace

void InitFiles(Napi::Env env, Napi::Object exports) {
  exports.Set("createPipe", Napi::Function::New<CreatePipe>(env, "createPipe"));
  exports.Set("tryLock", Napi::Function::New<TryLock>(env, "tryLock"));
  exports.Set("removeTree", Napi::Function::New<RemoveTree>(env, "removeTree"));
}

}  // namespace apt_ostree
