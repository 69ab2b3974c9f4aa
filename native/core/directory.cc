#include "core/directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/gobject.h"

namespace apt_ostree {

std::vector<DirectoryEntry> ReadDirectory(int directory, const std::string& path) {
  // fdopendir takes the descriptor and its position, so it gets one of its own.
  UniqueFd own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) throw FromErrno(errno, "Reading", path);
  struct Close {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  std::unique_ptr<DIR, Close> stream(fdopendir(own.get()));
  if (!stream) throw FromErrno(errno, "Reading", path);
  own.release();
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const struct dirent* entry = readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) throw FromErrno(errno, "Reading", path);
      break;
    }
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN) {
      struct stat info;
      if (fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        throw FromErrno(errno, "Reading", path + "/" + entry->d_name);
      }
      type = IFTODT(info.st_mode);
    }
    entries.push_back({entry->d_name, type, entry->d_ino});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

}  // namespace apt_ostree
