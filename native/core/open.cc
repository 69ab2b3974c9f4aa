#include "core/open.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.h"

namespace apt_ostree {

UniqueFd OpenToRead(const std::string& path, const std::string& what) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) throw FromErrno(errno, what, path);
  return fd;
}

namespace {

void RequireRegular(const UniqueFd& fd, const std::string& path, const std::string& what) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw FromErrno(errno, what, path);
  if (S_ISDIR(info.st_mode)) throw FromErrno(EISDIR, what, path);
  if (!S_ISREG(info.st_mode)) throw FromErrno(EINVAL, what, path);
}

}  // namespace

UniqueFd OpenRegular(const std::string& path, const std::string& what) {
  UniqueFd fd = OpenToRead(path, what);
  RequireRegular(fd, path, what);
  return fd;
}

UniqueFd OpenToReplace(const std::string& path, const std::string& what) {
  UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode_t{0644}));
  if (!fd) throw FromErrno(errno, what, path);
  RequireRegular(fd, path, what);
  if (ftruncate(fd.get(), 0) != 0) throw FromErrno(errno, what, path);
  return fd;
}

}  // namespace apt_ostree
