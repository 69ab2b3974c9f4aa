#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/directory.h"
#include "core/error.h"
#include "core/gobject.h"
#include "deb/hollow.h"
#include "deb/layer.h"
#include "deb/stubs.h"
#include "ostree/content.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;
// A file made of what a script read in a stub; larger ones are found by the stub alone.
constexpr off_t kLargestScanned = 1024 * 1024;
// A name for the moment between making a file and putting it in the stub's place.
constexpr char kTemporary[] = ".apt-ostree-fill";

// The content objects of packages' files.
class PackageContent {
 public:
  PackageContent(OstreeRepo* repo, JobContext& job) : repo_(repo), job_(job) {}

  void Add(const std::string& commit) {
    job_.ThrowIfCancelled();
    SoundTrees(repo_, job_.cancellable()).Commit(commit);
    GObjectPtr<GFile> root;
    GError* error = nullptr;
    if (!ostree_repo_read_commit(repo_, commit.c_str(), root.out(), nullptr, job_.cancellable(),
                                 &error)) {
      throw FromGError(error, "Reading a package's commit").Detail("ref", commit);
    }
    const auto tree = GObjectPtr<GFile>::Take(g_file_get_child(root.get(), "tree"));
    if (!ostree_repo_file_ensure_resolved(OSTREE_REPO_FILE(tree.get()), &error)) {
      throw FromGError(error, "Reading a package's commit").Detail("ref", commit);
    }
    const char* checksum =
        ostree_repo_file_tree_get_contents_checksum(OSTREE_REPO_FILE(tree.get()));
    if (checksum != nullptr) AddDirectory(checksum);
  }

  bool Has(const Digest& digest) const { return files_.contains(digest); }

 private:
  void AddDirectory(const std::string& checksum) {
    VariantPtr tree;
    GError* error = nullptr;
    if (!ostree_repo_load_variant(repo_, OSTREE_OBJECT_TYPE_DIR_TREE, checksum.c_str(), tree.out(),
                                  &error)) {
      throw FromGError(error, "Reading a package's commit");
    }
    const auto files = VariantPtr::Take(g_variant_get_child_value(tree.get(), 0));
    GVariantIter iterator;
    g_variant_iter_init(&iterator, files.get());
    while (const auto file = VariantPtr::Take(g_variant_iter_next_value(&iterator))) {
      const auto bytes = VariantPtr::Take(g_variant_get_child_value(file.get(), 1));
      gsize length = 0;
      const void* data = g_variant_get_fixed_array(bytes.get(), &length, 1);
      Digest digest;
      if (length != digest.size()) continue;
      std::memcpy(digest.data(), data, length);
      files_.insert(digest);
    }
    const auto directories = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
    g_variant_iter_init(&iterator, directories.get());
    while (const auto directory = VariantPtr::Take(g_variant_iter_next_value(&iterator))) {
      const auto bytes = VariantPtr::Take(g_variant_get_child_value(directory.get(), 1));
      gsize length = 0;
      const auto* data =
          static_cast<const guchar*>(g_variant_get_fixed_array(bytes.get(), &length, 1));
      if (length == sizeof(Digest)) AddDirectory(ChecksumText(data));
    }
  }

  OstreeRepo* repo_;
  JobContext& job_;
  std::unordered_set<Digest, HashOfDigest> files_;
};

class Filler {
 public:
  Filler(OstreeRepo* repo, const std::vector<std::string>& commits, JobContext& job)
      : repo_(repo), job_(job), commits_(commits), allowed_(repo, job) {
    for (const std::string& commit : commits) allowed_.Add(commit);
    objects_ =
        UniqueFd(openat(ostree_repo_get_dfd(repo), "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!objects_) throw FromErrno(errno, "Opening the repository's objects", "");
  }

  FillResult Run(const std::string& directory) {
    UniqueFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) throw FromErrno(errno, "Opening", directory);
    struct stat info;
    if (fstat(root.get(), &info) != 0) throw FromErrno(errno, "Reading", directory);
    result_.links->device = info.st_dev;
    below_ = directory.size() + 1;
    Walk(root.get(), directory);
    const size_t most = kMostTouched - result_.touched.size();
    for (std::string& path : MissingStubs(repo_, commits_, directory, untouched_, most, job_)) {
      result_.touched.push_back(std::move(path));
    }
    return std::move(result_);
  }

 private:
  void Walk(int directory, const std::string& path) {
    for (const DirectoryEntry& entry : ReadDirectory(directory, path)) {
      if (entry.type == DT_DIR) {
        job_.ThrowIfCancelled();
        const std::string child = path + "/" + entry.name;
        UniqueFd fd(
            openat(directory, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) throw FromErrno(errno, "Opening", child);
        Walk(fd.get(), child);
      } else if (entry.type == DT_REG) {
        Consider(directory, entry.name, path + "/" + entry.name);
      }
    }
  }

  void Consider(int directory, const std::string& name, const std::string& path) {
    struct stat info;
    if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      throw FromErrno(errno, "Reading", path);
    }
    if (!S_ISREG(info.st_mode)) return;
    const std::string checksum = StubIn(directory, name, path, info);
    if (checksum.empty()) return;
    ++result_.filled;
    // dpkg sets whole seconds; what the kernel sets at a read or a write has a fraction.
    if (info.st_atim.tv_nsec != 0) Touched(path);
    if (info.st_mtim.tv_nsec == 0) untouched_[Binary(checksum)].insert(info.st_ino);
    unlinkat(directory, kTemporary, 0);
    const bool linked = Link(directory, checksum, info, path);
    if (!linked) {
      Copy(directory, checksum, info, path);
      ++result_.copied;
    }
    struct stat made;
    if (fstatat(directory, kTemporary, &made, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(directory, kTemporary, directory, name.c_str()) != 0) {
      throw FromErrno(errno, "Filling", path);
    }
    result_.bytes += static_cast<uint64_t>(made.st_size);
    // A copy with another owner or mode is another object.
    if (linked || same_as_object_) {
      result_.links->files[made.st_ino] = {checksum,     linked,
                                           made.st_uid,  made.st_gid,
                                           made.st_mode, static_cast<uint64_t>(made.st_size),
                                           made.st_mtim};
    }
  }

  // The object that a stub of the packages names; "" for any other file.
  std::string StubIn(int directory, const std::string& name, const std::string& path,
                     const struct stat& info) {
    if (commits_.empty() || info.st_size < static_cast<off_t>(kStubMagic.size()) ||
        info.st_size > kLargestScanned) {
      return "";
    }
    // Another name of the same file must not look as if a script had read it.
    UniqueFd fd(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
    if (!fd) throw FromErrno(errno, "Opening", path);
    content_.resize(static_cast<size_t>(info.st_size));
    size_t size = 0;
    while (size < content_.size()) {
      const ssize_t count = read(fd.get(), content_.data() + size, content_.size() - size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw FromErrno(errno, "Reading", path);
      if (count == 0) break;
      size += static_cast<size_t>(count);
    }
    const std::string_view content(content_.data(), size);
    const std::string checksum = size == kStubSize ? ChecksumOfStub(content_.data()) : "";
    if (!checksum.empty() && allowed_.Has(Binary(checksum))) return checksum;
    if (content.find(kStubMagic) != std::string_view::npos) Touched(path);
    return "";
  }

  void Touched(const std::string& path) {
    if (result_.touched.size() < kMostTouched) result_.touched.push_back(path.substr(below_));
  }

  static Digest Binary(const std::string& checksum) {
    Digest digest;
    ostree_checksum_inplace_to_bytes(checksum.c_str(), digest.data());
    return digest;
  }

  // Another name for the object, where its owner and mode are those that dpkg gave the stub.
  bool Link(int directory, const std::string& checksum, const struct stat& stub,
            const std::string& path) {
    const std::string object = checksum.substr(0, 2) + "/" + checksum.substr(2) + ".file";
    struct stat info;
    same_as_object_ = false;
    if (fstatat(objects_.get(), object.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    same_as_object_ =
        info.st_uid == stub.st_uid && info.st_gid == stub.st_gid && info.st_mode == stub.st_mode;
    if (!same_as_object_) return false;
    if (linkat(objects_.get(), object.c_str(), directory, kTemporary, 0) == 0) return true;
    // Too many links, or another file system.
    if (errno == EMLINK || errno == EXDEV || errno == EPERM) return false;
    throw FromErrno(errno, "Linking", path);
  }

  void Copy(int directory, const std::string& checksum, const struct stat& stub,
            const std::string& path) {
    // Names of one file stay names of one file.
    const auto known = copies_.find(stub.st_ino);
    if (known != copies_.end()) {
      const std::string self = "/proc/self/fd/" + std::to_string(known->second.get());
      if (linkat(AT_FDCWD, self.c_str(), directory, kTemporary, AT_SYMLINK_FOLLOW) != 0) {
        throw FromErrno(errno, "Linking", path);
      }
      return;
    }
    GObjectPtr<GInputStream> stream;
    GError* error = nullptr;
    if (!ostree_repo_load_file(repo_, checksum.c_str(), stream.out(), nullptr, nullptr,
                               job_.cancellable(), &error)) {
      throw FromGError(error, "Reading the content of a stub").Detail("path", path);
    }
    if (!stream) {
      throw NativeError("ERR_COMPOSE_LAYOUT", "A stub names something else than a file: " + path)
          .Detail("path", path);
    }
    UniqueFd fd(
        openat(directory, kTemporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) throw FromErrno(errno, "Writing", path);
    auto buffer = std::make_unique<char[]>(kChunk);
    while (true) {
      const gssize count =
          g_input_stream_read(stream.get(), buffer.get(), kChunk, job_.cancellable(), &error);
      if (count < 0) throw FromGError(error, "Reading the content of a stub").Detail("path", path);
      if (count == 0) break;
      for (gssize done = 0; done < count;) {
        const ssize_t written =
            write(fd.get(), buffer.get() + done, static_cast<size_t>(count - done));
        if (written < 0 && errno != EINTR) throw FromErrno(errno, "Writing", path);
        if (written > 0) done += written;
      }
    }
    // Mode last: changing the owner clears set-user-id.
    if (fchown(fd.get(), stub.st_uid, stub.st_gid) != 0 ||
        fchmod(fd.get(), stub.st_mode & 07777) != 0) {
      throw FromErrno(errno, "Writing", path);
    }
    if (stub.st_nlink > 1) copies_[stub.st_ino] = std::move(fd);
  }

  OstreeRepo* repo_;
  JobContext& job_;
  const std::vector<std::string>& commits_;
  PackageContent allowed_;
  UntouchedStubs untouched_;
  std::string content_;
  UniqueFd objects_;
  FillResult result_;
  bool same_as_object_ = false;
  // Where the part of a path below the directory begins.
  size_t below_ = 0;
  std::unordered_map<ino_t, UniqueFd> copies_;
};

}  // namespace

FillResult FillLayer(OstreeRepo* repo, const std::string& directory,
                     const std::vector<std::string>& commits, JobContext& job) {
  if (ostree_repo_get_mode(repo) != OSTREE_REPO_MODE_BARE) {
    throw NativeError("ERR_OSTREE_NOT_SUPPORTED",
                      "Layers can be filled only from a repository of mode bare");
  }
  return Filler(repo, commits, job).Run(directory);
}

}  // namespace apt_ostree
