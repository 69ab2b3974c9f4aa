#include "core/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

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

// Each level holds a descriptor open. Directories nested deeper are first moved up to the top, so
// that a tree of any depth needs only so many.
constexpr size_t kDeepest = 100;

class TreeRemover {
 public:
  TreeRemover(dev_t device, JobContext& job) : device_(device), job_(job) {}
  void Remove(int parent, const char* name, const std::string& path);

 private:
  void RemoveContents(UniqueFd fd, const std::string& path);
  bool MoveUp(int parent, const char* name);

  dev_t device_;
  JobContext& job_;
  // Of the directories that are being emptied, the outermost first.
  std::vector<int> open_;
  // Since the topmost directory was last listed, and in all.
  size_t moved_ = 0;
  size_t moved_total_ = 0;
};

void TreeRemover::RemoveContents(UniqueFd fd, const std::string& path) {
  DirPtr directory(fdopendir(fd.get()));
  if (!directory) throw FromErrno(errno, "Reading", path);
  const int dir_fd = fd.release();
  open_.push_back(dir_fd);
  while (true) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) throw FromErrno(errno, "Reading", path);
      // What was moved here from further down may not show in a listing that had begun.
      if (moved_ > 0 && open_.size() == 1) {
        moved_ = 0;
        rewinddir(directory.get());
        continue;
      }
      open_.pop_back();
      return;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    Remove(dir_fd, name.c_str(), path + "/" + name);
  }
}

bool TreeRemover::MoveUp(int parent, const char* name) {
  if (open_.size() < kDeepest) return false;
  // Names of no package; one that is there already belongs to an earlier removal that was killed.
  const std::string above = ".apt-ostree-removed." + std::to_string(++moved_total_);
  if (renameat2(parent, name, open_.front(), above.c_str(), RENAME_NOREPLACE) != 0) return false;
  ++moved_;
  return true;
}

void TreeRemover::Remove(int parent, const char* name, const std::string& path) {
  job_.ThrowIfCancelled();
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw FromErrno(errno, "Removing", path);
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw FromErrno(errno, "Removing", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw FromErrno(errno, "Removing", path);
  // Something is mounted here: what lies behind it is not ours.
  if (info.st_dev != device_) throw FromErrno(EXDEV, "Removing", path);
  ClearImmutable(fd.get());
  if (MoveUp(parent, name)) return;
  RemoveContents(std::move(fd), path);
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
                      TreeRemover(root.st_dev, job).Remove(AT_FDCWD, path.c_str(), path);
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

// Of a pipe's ends. In a worker thread fs.close() warns of descriptors that fs did not open.
Napi::Value CloseDescriptor(const Napi::CallbackInfo& info) {
  const int64_t fd = CheckedInteger(info[0], "fd", 3, 1 << 20);
  // Whatever it returns, the descriptor is gone.
  close(static_cast<int>(fd));
  return info.Env().Undefined();
}

// Whether this open file could be locked. The kernel unlocks it with its last descriptor, whatever
// ends the process, and knows nothing of namespaces.
Napi::Value TryLock(const Napi::CallbackInfo& info) {
  const int64_t fd = CheckedInteger(info[0], "fd", 0, 1 << 20);
  const bool exclusive = Arguments(info).Bool(1, "exclusive");
  int result;
  do {
    result = flock(static_cast<int>(fd), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EWOULDBLOCK) {
    throw FromErrno(errno, "Locking a file", "").ToJs(info.Env());
  }
  return Napi::Boolean::New(info.Env(), result == 0);
}

// Asks ext4 to put each directory made in this one somewhere else on the disk. Otherwise what is
// made now comes beside what was removed just before, and for each new file ext4 passes over all
// inodes that were freed in the last minutes, which takes it many times as long.
Napi::Value SpreadDirectories(const Napi::CallbackInfo& info) {
  const std::string path = Arguments(info).Path(0, "path");
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw FromErrno(errno, "Opening a directory", path).ToJs(info.Env());
  int flags = 0;
  if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_TOPDIR_FL) == 0) {
    flags |= FS_TOPDIR_FL;
    // Other file systems know nothing of it, nor need they.
    ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
  }
  return info.Env().Undefined();
}

}  // namespace

void InitFiles(Napi::Env env, Napi::Object exports) {
  exports.Set("createPipe", Napi::Function::New<CreatePipe>(env, "createPipe"));
  exports.Set("closeDescriptor", Napi::Function::New<CloseDescriptor>(env, "closeDescriptor"));
  exports.Set("tryLock", Napi::Function::New<TryLock>(env, "tryLock"));
  exports.Set("spreadDirectories",
              Napi::Function::New<SpreadDirectories>(env, "spreadDirectories"));
  exports.Set("removeTree", Napi::Function::New<RemoveTree>(env, "removeTree"));
}

}  // namespace apt_ostree
