#include "deb/extract.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "deb/tree_builder.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;

class Extractor {
 public:
  Extractor(const DebSource& source, const std::string& directory, bool owners, JobContext& job)
      : directory_(directory),
        owners_(owners),
        job_(job),
        reader_(source, job),
        chunk_(std::make_unique<char[]>(kChunk)) {
    if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) Fail("Creating", "");
    root_ = UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) Fail("Opening", "");
  }

  ExtractedDeb Run() {
    TarEntry entry;
    while (reader_.Next(entry, job_)) Place(entry);
    // Last, because what is put into a directory changes its time, and needs it writable. The
    // deepest first: a parent may not be passable any more.
    for (auto it = late_.rbegin(); it != late_.rend(); ++it) {
      const UniqueFd fd = Open(it->first, O_RDONLY | O_DIRECTORY);
      SetAttributes(fd.get(), it->second, it->first);
    }
    return result_;
  }

 private:
  [[noreturn]] void Fail(const char* what, const std::string& path) const {
    throw FromErrno(errno, what, path.empty() ? directory_ : directory_ + "/" + path);
  }

  // Below the root whatever links there are, absolute ones too.
  UniqueFd TryOpen(const std::string& path, uint64_t flags) const {
    struct open_how how = {};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    return UniqueFd(static_cast<int>(syscall(SYS_openat2, root_.get(), name, &how, sizeof how)));
  }
  UniqueFd Open(const std::string& path, uint64_t flags) const {
    UniqueFd fd = TryOpen(path, flags);
    if (!fd) Fail("Opening", path);
    return fd;
  }
  // Makes directories that the archive leaves out.
  UniqueFd OpenMade(const std::string& path) const {
    UniqueFd fd = TryOpen(path, O_PATH | O_DIRECTORY);
    if (fd || errno != ENOENT) {
      if (!fd) Fail("Opening", path);
      return fd;
    }
    const size_t slash = path.rfind('/');
    const UniqueFd parent = OpenMade(slash == std::string::npos ? "" : path.substr(0, slash));
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (mkdirat(parent.get(), name.c_str(), 0755) != 0) Fail("Creating", path);
    return Open(path, O_PATH | O_DIRECTORY);
  }

  // The directory that `path` is in, and its last name. Archives go directory by directory, so
  // the last one is kept.
  std::pair<int, std::string> Parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (slash == std::string::npos) return {root_.get(), name};
    const std::string parent = path.substr(0, slash);
    if (!parent_ || parent != parent_path_) {
      parent_ = OpenMade(parent);
      parent_path_ = parent;
    }
    return {parent_.get(), name};
  }

  void Place(const TarEntry& entry) {
    const std::string path = ContainedPath(entry.name);
    if (path.empty()) {
      if (entry.type != TarEntry::Type::kDirectory) throw Damaged("an entry without a name");
      late_.emplace_back("", entry);
      return;
    }
    if (entry.type == TarEntry::Type::kDirectory) {
      MakeDirectory(entry, path);
      return;
    }
    const auto [parent, name] = Parent(path);
    if (unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT) Fail("Replacing", path);
    switch (entry.type) {
      case TarEntry::Type::kFile:
        MakeFile(entry, parent, name, path);
        return;
      case TarEntry::Type::kHardLink:
        MakeHardLink(entry, name, path);
        return;
      case TarEntry::Type::kSymlink:
        if (symlinkat(entry.link.c_str(), parent, name.c_str()) != 0) Fail("Creating", path);
        ++result_.links;
        break;
      default: {
        const mode_t type = entry.type == TarEntry::Type::kPipe        ? S_IFIFO
                            : entry.type == TarEntry::Type::kCharacter ? S_IFCHR
                                                                       : S_IFBLK;
        if (mknodat(parent, name.c_str(), type | 0600, makedev(entry.major, entry.minor)) != 0) {
          Fail("Creating", path);
        }
        ++result_.files;
      }
    }
    SetAttributesAt(parent, name, entry, path);
  }

  void MakeDirectory(const TarEntry& entry, const std::string& path) {
    const auto [parent, name] = Parent(path);
    ++result_.directories;
    if (mkdirat(parent, name.c_str(), 0700) != 0) {
      if (errno != EEXIST) Fail("Creating", path);
      struct stat info;
      if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) Fail("Reading", path);
      // A link to a directory may stand for it, as /lib does on merged systems; that one's own
      // attributes stay.
      if (S_ISLNK(info.st_mode)) {
        Open(path, O_PATH | O_DIRECTORY);
        return;
      }
      errno = ENOTDIR;
      if (!S_ISDIR(info.st_mode)) Fail("Creating", path);
    }
    late_.emplace_back(path, entry);
  }

  void MakeFile(const TarEntry& entry, int parent, const std::string& name,
                const std::string& path) {
    const UniqueFd fd(
        openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) Fail("Creating", path);
    while (const size_t count = reader_.Read(chunk_.get(), kChunk, job_)) {
      for (size_t done = 0; done < count;) {
        const ssize_t written = write(fd.get(), chunk_.get() + done, count - done);
        if (written < 0 && errno != EINTR) Fail("Writing", path);
        if (written > 0) done += static_cast<size_t>(written);
      }
      result_.bytes += count;
    }
    SetAttributes(fd.get(), entry, path);
    ++result_.files;
  }

  void MakeHardLink(const TarEntry& entry, const std::string& name, const std::string& path) {
    const std::string target = ContainedPath(entry.link);
    const size_t slash = target.rfind('/');
    // Not through Parent, whose descriptor the link itself needs.
    const UniqueFd from =
        Open(slash == std::string::npos ? "" : target.substr(0, slash), O_PATH | O_DIRECTORY);
    const std::string last = slash == std::string::npos ? target : target.substr(slash + 1);
    if (target.empty() ||
        linkat(from.get(), last.c_str(), Parent(path).first, name.c_str(), 0) != 0) {
      if (target.empty() || errno == ENOENT) {
        throw Damaged("hard link " + path + " to " + entry.link +
                      ", which does not come before it");
      }
      Fail("Linking", path);
    }
    ++result_.links;
  }

  static timespec TimeOf(const TarEntry& entry) {
    timespec time = {};
    time.tv_sec = static_cast<time_t>(entry.modified);
    return time;
  }

  void SetAttributes(int fd, const TarEntry& entry, const std::string& path) const {
    // The owner first: changing it takes the set-user-id bit away.
    if (owners_ && fchown(fd, entry.uid, entry.gid) != 0) Fail("Changing", path);
    if (fchmod(fd, entry.mode) != 0) Fail("Changing", path);
    const timespec times[] = {TimeOf(entry), TimeOf(entry)};
    if (futimens(fd, times) != 0) Fail("Changing", path);
  }

  // Of what cannot be opened.
  void SetAttributesAt(int parent, const std::string& name, const TarEntry& entry,
                       const std::string& path) const {
    const char* file = name.c_str();
    if (owners_ && fchownat(parent, file, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      Fail("Changing", path);
    }
    if (entry.type != TarEntry::Type::kSymlink && fchmodat(parent, file, entry.mode, 0) != 0) {
      Fail("Changing", path);
    }
    const timespec times[] = {TimeOf(entry), TimeOf(entry)};
    if (utimensat(parent, file, times, AT_SYMLINK_NOFOLLOW) != 0) Fail("Changing", path);
  }

  const std::string directory_;
  const bool owners_;
  JobContext& job_;
  DebReader reader_;
  std::unique_ptr<char[]> chunk_;
  UniqueFd root_;
  UniqueFd parent_;
  std::string parent_path_;
  std::vector<std::pair<std::string, TarEntry>> late_;
  ExtractedDeb result_;
};

}  // namespace

ExtractedDeb ExtractDeb(const DebSource& source, const std::string& directory, bool owners,
                        JobContext& job) {
  return Extractor(source, directory, owners, job).Run();
}

}  // namespace apt_ostree
