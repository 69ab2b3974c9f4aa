#include "ostree/link_checkout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>

#include "core/error.h"
#include "core/gobject.h"
#include "core/variant.h"
#include "ostree/names.h"
#include "ostree/read.h"

namespace apt_ostree {

namespace {

using Copy = std::function<void(int directory, const std::string& path)>;

class LinkCheckout {
 public:
  LinkCheckout(OstreeRepo* repo, int objects, const std::string& destination, const Copy& copy,
               GCancellable* cancellable)
      : reader_(repo, cancellable, true),
        repo_(repo),
        objects_(objects),
        destination_(destination),
        copy_(copy),
        cancellable_(cancellable) {}

  // Fills `directory`, which is new and at `path` of the commit.
  void Fill(const UniqueFd& directory, const std::string& path, const TreeChecksums& tree,
            size_t depth);

 private:
  void Link(int directory, const std::string& path, const char* name, const std::string& checksum);
  void Enter(int parent, const std::string& path, const char* name, const TreeChecksums& tree,
             size_t depth);
  void SetAttributes(int directory, const std::string& path, GVariant* xattrs);
  void Finish(int directory, const std::string& path, const TreeEntry& entry);
  NativeError Failed(const std::string& path) {
    return FromErrno(errno, "Checking out", destination_ + path);
  }

  EntryReader reader_;
  OstreeRepo* repo_;
  const int objects_;
  const std::string& destination_;
  const Copy& copy_;
  GCancellable* cancellable_;
};

void LinkCheckout::Link(int directory, const std::string& path, const char* name,
                        const std::string& checksum) {
  // 64 digits after the first two of which is a slash, and ".file".
  std::array<char, 64 + 1 + 5 + 1> object;
  g_snprintf(object.data(), object.size(), "%.2s/%s.file", checksum.c_str(), checksum.c_str() + 2);
  // Not an empty file, whose many names would be more than an inode may have.
  struct stat info;
  const bool links = fstatat(objects_, object.data(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                     (S_ISLNK(info.st_mode) || (S_ISREG(info.st_mode) && info.st_size > 0));
  if (links && linkat(objects_, object.data(), directory, name, 0) == 0) return;
  // Too many names nevertheless, or an object that is missing or none.
  copy_(directory, ChildPath(path, name));
}

void LinkCheckout::Enter(int parent, const std::string& path, const char* name,
                         const TreeChecksums& tree, size_t depth) {
  const std::string child = ChildPath(path, name);
  if (mkdirat(parent, name, 0700) != 0) throw Failed(child);
  const UniqueFd directory(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) throw Failed(child);
  Fill(directory, child, tree, depth);
}

void LinkCheckout::SetAttributes(int directory, const std::string& path, GVariant* xattrs) {
  const gsize count = g_variant_n_children(xattrs);
  for (gsize i = 0; i < count; ++i) {
    VariantPtr name, value;
    g_variant_get_child(xattrs, i, "(@ay@ay)", name.out(), value.out());
    if (fsetxattr(directory, g_variant_get_bytestring(name.get()), g_variant_get_data(value.get()),
                  g_variant_get_size(value.get()), 0) != 0) {
      throw Failed(path);
    }
  }
}

// Last, so that nobody else can look into what is not complete; the time is that of all checkouts.
void LinkCheckout::Finish(int directory, const std::string& path, const TreeEntry& entry) {
  const std::array<timespec, 2> times = {{{0, UTIME_OMIT}, {0, 0}}};
  if (fchmod(directory, entry.mode) != 0 || fchown(directory, entry.uid, entry.gid) != 0 ||
      futimens(directory, times.data()) != 0) {
    throw Failed(path);
  }
  if (!ostree_repo_get_disable_fsync(repo_) && fsync(directory) != 0) throw Failed(path);
}

void LinkCheckout::Fill(const UniqueFd& directory, const std::string& path,
                        const TreeChecksums& tree, size_t depth) {
  if (g_cancellable_is_cancelled(cancellable_)) throw Aborted();
  RequireDepth(depth, path);
  const TreeEntry entry = reader_.Directory(path, tree.contents, tree.metadata);
  if (entry.xattrs) SetAttributes(directory.get(), path, entry.xattrs.get());
  ReadDirectory(
      repo_, tree.contents,
      [&](const char* name, const std::string& checksum) {
        Link(directory.get(), path, name, checksum);
      },
      [&](const char* name, const TreeChecksums& child) {
        Enter(directory.get(), path, name, child, depth + 1);
      });
  Finish(directory.get(), path, entry);
}

bool AreOnOneDevice(int objects, int directory) {
  struct stat from, to;
  return fstat(objects, &from) == 0 && fstat(directory, &to) == 0 && from.st_dev == to.st_dev;
}

}  // namespace

bool CheckOutLinks(OstreeRepo* repo, const std::string& commit, const std::string& destination,
                   const Copy& copy, GCancellable* cancellable) {
  if (ostree_repo_get_mode(repo) != OSTREE_REPO_MODE_BARE || ostree_repo_get_parent(repo)) {
    return false;
  }
  const UniqueFd objects(
      openat(ostree_repo_get_dfd(repo), "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!objects || mkdir(destination.c_str(), 0700) != 0) return false;
  const UniqueFd directory(
      open(destination.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) throw FromErrno(errno, "Checking out", destination);
  if (!AreOnOneDevice(objects.get(), directory.get())) {
    rmdir(destination.c_str());
    return false;
  }
  LinkCheckout(repo, objects.get(), destination, copy, cancellable)
      .Fill(directory, "/", RootOf(repo, commit), 0);
  return true;
}

}  // namespace apt_ostree
