#include <dirent.h>
#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/directory.h"
#include "core/error.h"
#include "core/gobject.h"
#include "core/parallel.h"
#include "deb/layer.h"
#include "ostree/content.h"
#include "ostree/names.h"

namespace apt_ostree {

namespace {

// Fewer files are not worth another thread.
constexpr size_t kFilesPerThread = 32;
constexpr unsigned kMostThreads = 4;

NativeError BadLayer(const std::string& text, const std::string& path) {
  return NativeError("ERR_COMPOSE_LAYOUT", text + ": " + path).Detail("path", path);
}

using Xattrs = std::vector<std::pair<std::string, std::string>>;

bool IsOverlayOwn(std::string_view name) {
  // Not "user.overlay.": overlays mounted by root do not use those, and a script may set them.
  return name.starts_with("trusted.overlay.");
}

// What a file or directory is marked with, overlayfs's own marks apart.
struct Marks {
  Xattrs xattrs;  // sorted by name
  bool opaque = false;

  // Null where there are none.
  VariantPtr Variant() const {
    if (xattrs.empty()) return VariantPtr();
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ayay)"));
    for (const auto& [name, value] : xattrs) {
      g_variant_builder_add(
          &builder, "(@ay@ay)", g_variant_new_bytestring(name.c_str()),
          g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, value.data(), value.size(), 1));
    }
    return VariantPtr::Sink(g_variant_builder_end(&builder));
  }
};

Marks MarksOf(int fd, const std::string& path) {
  Marks marks;
  std::string names;
  while (true) {
    const ssize_t size = flistxattr(fd, nullptr, 0);
    if (size == 0) return marks;
    if (size < 0 && errno == ENOTSUP) return marks;
    if (size < 0) throw FromErrno(errno, "Reading extended attributes of", path);
    names.resize(static_cast<size_t>(size));
    const ssize_t got = flistxattr(fd, names.data(), names.size());
    if (got < 0 && errno == ERANGE) continue;
    if (got < 0) throw FromErrno(errno, "Reading extended attributes of", path);
    names.resize(static_cast<size_t>(got));
    break;
  }
  for (size_t begin = 0; begin < names.size();) {
    const std::string name(names.c_str() + begin);
    begin += name.size() + 1;
    const ssize_t size = fgetxattr(fd, name.c_str(), nullptr, 0);
    if (size < 0) throw FromErrno(errno, "Reading extended attributes of", path);
    std::string value(static_cast<size_t>(size), '\0');
    if (size > 0 && fgetxattr(fd, name.c_str(), value.data(), value.size()) != size) {
      throw FromErrno(errno, "Reading extended attributes of", path);
    }
    if (!IsOverlayOwn(name)) {
      // libostree reads no empty values either, and must find what it would have written.
      if (!value.empty()) marks.xattrs.emplace_back(name, std::move(value));
      continue;
    }
    const std::string mark = name.substr(name.rfind('.') + 1);
    if (mark == "opaque") marks.opaque = value == "y";
    // With these the layer alone does not tell what its files are.
    if (mark == "redirect" || mark == "metacopy") {
      throw BadLayer("The overlay was mounted with redirect_dir or metacopy", path);
    }
  }
  std::sort(marks.xattrs.begin(), marks.xattrs.end());
  return marks;
}

// A file whose content has to be read, and the names that want it.
struct PendingFile {
  std::string relative;
  struct Name {
    GObjectPtr<OstreeMutableTree> directory;
    std::string name;
  };
  std::vector<Name> names;
  std::string checksum;
  uint64_t size = 0;
};

// Writes the object of a file that lies on disk: read once for its checksum and, where the
// repository lacks it, once more for its content.
void WriteFile(OstreeRepo* repo, int root, const std::string& top, PendingFile& file,
               JobContext& job, char* buffer, size_t buffer_size) {
  const std::string path = top + "/" + file.relative;
  UniqueFd fd(openat(root, file.relative.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw FromErrno(errno, "Opening", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw FromErrno(errno, "Reading", path);
  const VariantPtr xattrs = MarksOf(fd.get(), path).Variant();
  const FileAttributes attributes{info.st_uid, info.st_gid, info.st_mode, xattrs.get()};
  const std::string header = ObjectHeader(attributes);
  Sha256 hash;
  hash.Update(header.data(), header.size());
  while (true) {
    job.ThrowIfCancelled();
    const ssize_t count = read(fd.get(), buffer, buffer_size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw FromErrno(errno, "Reading", path);
    if (count == 0) break;
    hash.Update(buffer, static_cast<size_t>(count));
    file.size += static_cast<uint64_t>(count);
  }
  file.checksum = hash.Hex();
  gboolean present = FALSE;
  GError* error = nullptr;
  if (!ostree_repo_has_object(repo, OSTREE_OBJECT_TYPE_FILE, file.checksum.c_str(), &present,
                              job.cancellable(), &error)) {
    throw FromGError(error, "Looking for an object").Detail("path", path);
  }
  if (present) return;
  if (lseek(fd.get(), 0, SEEK_SET) != 0) throw FromErrno(errno, "Reading", path);
  auto content = GObjectPtr<GInputStream>::Take(g_unix_input_stream_new(fd.get(), FALSE));
  const auto object = ObjectStream(attributes, content.get());
  if (!ostree_repo_write_content_trusted(repo, file.checksum.c_str(), object.get(),
                                         header.size() + file.size, job.cancellable(), &error)) {
    throw FromGError(error, "Writing an object").Detail("path", path);
  }
}

class Merger {
 public:
  Merger(OstreeRepo* repo, const std::string& top, const LayerLinks* links,
         const std::vector<std::string>& skip, JobContext& job)
      : repo_(repo), job_(job), writer_(repo, job), top_(top), links_(links) {
    for (const std::string& path : skip) {
      const size_t begin = path.find_first_not_of('/');
      if (begin == std::string::npos) continue;
      skip_.insert(path.substr(begin, path.find_last_not_of('/') - begin + 1));
    }
  }

  MergeResult Run(OstreeMutableTree* tree) {
    root_ = UniqueFd(open(top_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) throw FromErrno(errno, "Opening", top_);
    Directory(root_.get(), tree, "", false);
    WritePending();
    Apply();
    return result_;
  }

 private:
  std::string Full(const std::string& relative) const {
    return relative.empty() ? top_ : top_ + "/" + relative;
  }

  // `tree` becomes the directory `fd`, on top of what it was.
  void Directory(int fd, OstreeMutableTree* tree, const std::string& relative, bool skipped) {
    job_.ThrowIfCancelled();
    const std::string path = Full(relative);
    const auto above = static_cast<size_t>(std::count(relative.begin(), relative.end(), '/'));
    if (above >= kDeepestTree) throw BadLayer("Directories are nested too deep", top_);
    struct stat info;
    if (fstat(fd, &info) != 0) throw FromErrno(errno, "Reading", path);
    const Marks marks = MarksOf(fd, path);
    ostree_mutable_tree_set_metadata_checksum(tree, DirectoryMetadata(info, marks).c_str());
    ++result_.directories;
    if (skipped) return;
    for (const DirectoryEntry& entry : ReadDirectory(fd, path)) {
      Entry(fd, tree, entry, relative.empty() ? entry.name : relative + "/" + entry.name);
    }
  }

  std::string DirectoryMetadata(const struct stat& info, const Marks& marks) {
    const FileAttributes attributes{info.st_uid, info.st_gid, info.st_mode, nullptr};
    if (!marks.xattrs.empty()) {
      const VariantPtr xattrs = marks.Variant();
      return writer_.Directory({info.st_uid, info.st_gid, info.st_mode, xattrs.get()});
    }
    const std::string key = std::to_string(info.st_uid) + ":" + std::to_string(info.st_gid) + ":" +
                            std::to_string(info.st_mode);
    std::string& checksum = directory_metadata_[key];
    if (checksum.empty()) checksum = writer_.Directory(attributes);
    return checksum;
  }

  void Entry(int parent, OstreeMutableTree* tree, const DirectoryEntry& entry,
             const std::string& relative) {
    const std::string path = Full(relative);
    if (!g_utf8_validate(entry.name.data(), static_cast<gssize>(entry.name.size()), nullptr)) {
      throw BadLayer("OSTree cannot hold a name that is not UTF-8", "/" + relative);
    }
    struct stat info;
    if (fstatat(parent, entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      throw FromErrno(errno, "Reading", path);
    }
    if (S_ISDIR(info.st_mode)) {
      Subdirectory(parent, tree, entry.name, relative);
    } else if (S_ISREG(info.st_mode)) {
      RegularFile(tree, entry.name, relative, info);
    } else if (S_ISLNK(info.st_mode)) {
      SymbolicLink(parent, tree, entry.name, relative, info);
    } else if (S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0)) {
      Remove(tree, entry.name);
      ++result_.removed;
    } else if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) {
      // Without a process at its other end it is nothing; whoever needs it makes it again.
      Remove(tree, entry.name);
      if (result_.dropped.size() < kMostDropped) result_.dropped.push_back(relative);
    } else {
      throw BadLayer("A tree cannot hold a device", "/" + relative);
    }
  }

  void Subdirectory(int parent, OstreeMutableTree* tree, const std::string& name,
                    const std::string& relative) {
    const std::string path = Full(relative);
    UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw FromErrno(errno, "Opening", path);
    if (Has(ostree_mutable_tree_get_files(tree), name) || MarksOf(fd.get(), path).opaque) {
      Remove(tree, name);
    }
    GObjectPtr<OstreeMutableTree> child;
    GError* error = nullptr;
    if (!ostree_mutable_tree_ensure_dir(tree, name.c_str(), child.out(), &error)) {
      throw FromGError(error, "Merging a directory").Detail("path", path);
    }
    // A directory of the base is read when it is first touched, which may fail.
    if (!ostree_mutable_tree_check_error(child.get(), &error)) {
      throw FromGError(error, "Merging a directory").Detail("path", path);
    }
    Directory(fd.get(), child.get(), relative, skip_.contains(relative));
  }

  void RegularFile(OstreeMutableTree* tree, const std::string& name, const std::string& relative,
                   const struct stat& info) {
    ++result_.files;
    if (const LayerLinks::Link* link = Known(info)) {
      if (Unchanged(*link, info)) {
        Put(tree, name, link->checksum, relative);
        ++result_.reused;
        return;
      }
      if (link->object) {
        throw BadLayer("An object of the repository (" + link->checksum +
                           ") was changed in place, by writing to a filled layer",
                       Full(relative));
      }
    }
    // Names of one file are read once.
    if (info.st_nlink > 1) {
      const auto [known, added] = by_inode_.try_emplace(info.st_ino, pending_.size());
      if (!added) {
        pending_[known->second].names.push_back({GObjectPtr<OstreeMutableTree>::Share(tree), name});
        return;
      }
    }
    PendingFile file;
    file.relative = relative;
    file.names.push_back({GObjectPtr<OstreeMutableTree>::Share(tree), name});
    pending_.push_back(std::move(file));
  }

  const LayerLinks::Link* Known(const struct stat& info) const {
    if (links_ == nullptr || info.st_dev != links_->device) return nullptr;
    const auto found = links_->files.find(info.st_ino);
    return found == links_->files.end() ? nullptr : &found->second;
  }

  static bool Unchanged(const LayerLinks::Link& link, const struct stat& info) {
    return link.uid == info.st_uid && link.gid == info.st_gid && link.mode == info.st_mode &&
           link.size == static_cast<uint64_t>(info.st_size) &&
           link.modified.tv_sec == info.st_mtim.tv_sec &&
           link.modified.tv_nsec == info.st_mtim.tv_nsec;
  }

  void SymbolicLink(int parent, OstreeMutableTree* tree, const std::string& name,
                    const std::string& relative, const struct stat& info) {
    std::string target(static_cast<size_t>(info.st_size) + 1, '\0');
    const ssize_t length = readlinkat(parent, name.c_str(), target.data(), target.size());
    if (length < 0) throw FromErrno(errno, "Reading", Full(relative));
    target.resize(static_cast<size_t>(length));
    if (!g_utf8_validate(target.data(), length, nullptr)) {
      throw BadLayer("OSTree cannot hold a link target that is not UTF-8", "/" + relative);
    }
    ++result_.files;
    Put(tree, name, writer_.Symlink(info.st_uid, info.st_gid, nullptr, target), relative);
  }

  static bool Has(GHashTable* table, const std::string& name) {
    return g_hash_table_contains(table, name.c_str()) != FALSE;
  }

  void Remove(OstreeMutableTree* tree, const std::string& name) {
    GError* error = nullptr;
    if (!ostree_mutable_tree_remove(tree, name.c_str(), TRUE, &error)) {
      throw FromGError(error, "Removing a file from the tree").Detail("path", name);
    }
  }

  void Put(OstreeMutableTree* tree, const std::string& name, const std::string& checksum,
           const std::string& relative) {
    if (Has(ostree_mutable_tree_get_subdirs(tree), name)) Remove(tree, name);
    GError* error = nullptr;
    if (!ostree_mutable_tree_replace_file(tree, name.c_str(), checksum.c_str(), &error)) {
      throw FromGError(error, "Merging a file").Detail("path", Full(relative));
    }
  }

  // Reads and writes the contents on several threads; the tree itself belongs to this one.
  void WritePending() {
    constexpr size_t kChunk = 256 * 1024;
    Turns turns(pending_.size());
    TakeTurns(turns, kFilesPerThread, kMostThreads, [&] {
      const auto buffer = std::make_unique<char[]>(kChunk);
      for (size_t i = 0; turns.Next(&i);) {
        WriteFile(repo_, root_.get(), top_, pending_[i], job_, buffer.get(), kChunk);
      }
    });
  }

  void Apply() {
    for (const PendingFile& file : pending_) {
      ++result_.hashed;
      result_.hashed_bytes += file.size;
      for (const auto& [directory, name] : file.names) {
        Put(directory.get(), name, file.checksum, file.relative);
      }
    }
  }

  OstreeRepo* repo_;
  JobContext& job_;
  ContentWriter writer_;
  std::string top_;
  const LayerLinks* links_;
  std::unordered_set<std::string> skip_;
  UniqueFd root_;
  MergeResult result_;
  std::unordered_map<std::string, std::string> directory_metadata_;
  std::vector<PendingFile> pending_;
  std::unordered_map<ino_t, size_t> by_inode_;
};

}  // namespace

MergeResult MergeLayer(OstreeRepo* repo, OstreeMutableTree* tree, const std::string& directory,
                       const LayerLinks* links, const std::vector<std::string>& skip,
                       JobContext& job) {
  return Merger(repo, directory, links, skip, job).Run(tree);
}

}  // namespace apt_ostree
