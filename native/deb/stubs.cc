#include "deb/stubs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/gobject.h"
#include "deb/hollow.h"
#include "deb/source.h"
#include "deb/tar.h"
#include "deb/tree_builder.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr char kInfo[] = "var/lib/dpkg/info/";

struct Stub {
  Digest checksum;
  std::string path;
};

struct Package {
  std::string name;
  std::string architecture;
  std::vector<Stub> stubs;
};

class StreamSource : public ByteSource {
 public:
  StreamSource(GInputStream* stream, JobContext& job)
      : stream_(stream), job_(job), buffer_(std::make_unique<char[]>(kChunk)) {}

  size_t Read(char* buffer, size_t size) override {
    if (begin_ == end_) {
      GError* error = nullptr;
      const gssize count =
          g_input_stream_read(stream_, buffer_.get(), kChunk, job_.cancellable(), &error);
      if (count < 0) throw FromGError(error, "Reading a hollow package");
      begin_ = 0;
      end_ = static_cast<size_t>(count);
    }
    const size_t count = std::min(size, end_ - begin_);
    std::memcpy(buffer, buffer_.get() + begin_, count);
    begin_ += count;
    return count;
  }

 private:
  GInputStream* stream_;
  JobContext& job_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

std::string Text(GVariant* metadata, const char* key) {
  const char* text = nullptr;
  return g_variant_lookup(metadata, key, "&s", &text) ? text : "";
}

// The stubs that dpkg was given; names of one file count once.
Package ReadPackage(OstreeRepo* repo, const std::string& checksum, JobContext& job) {
  Package package;
  SoundTrees(repo, job.cancellable()).Commit(checksum);
  GError* error = nullptr;
  VariantPtr commit;
  GObjectPtr<GFile> root;
  if (!ostree_repo_load_commit(repo, checksum.c_str(), commit.out(), nullptr, &error) ||
      !ostree_repo_read_commit(repo, checksum.c_str(), root.out(), nullptr, job.cancellable(),
                               &error)) {
    throw FromGError(error, "Reading a package's commit").Detail("ref", checksum);
  }
  const auto metadata = VariantPtr::Take(g_variant_get_child_value(commit.get(), 0));
  package.name = Text(metadata.get(), "apt-ostree.package");
  package.architecture = Text(metadata.get(), "apt-ostree.architecture");
  const auto file =
      GObjectPtr<GFile>::Take(g_file_resolve_relative_path(root.get(), "deb/hollow.tar"));
  GObjectPtr<GInputStream> stream;
  if (!ostree_repo_file_ensure_resolved(OSTREE_REPO_FILE(file.get()), &error) ||
      !ostree_repo_load_file(repo, ostree_repo_file_get_checksum(OSTREE_REPO_FILE(file.get())),
                             stream.out(), nullptr, nullptr, job.cancellable(), &error)) {
    throw FromGError(error, "Reading a hollow package").Detail("ref", checksum);
  }
  if (!stream) {
    throw NativeError("ERR_INVALID_ARG_VALUE", "Not the commit of a package: " + checksum)
        .Detail("ref", checksum);
  }
  StreamSource source(stream.get(), job);
  TarReader tar(source);
  TarEntry entry;
  while (tar.Next(entry)) {
    if (entry.type != TarEntry::Type::kFile || entry.size != kStubSize) continue;
    char bytes[kStubSize];
    if (!tar.ReadExactly(bytes, sizeof bytes, "a hollow package")) continue;
    const std::string object = ChecksumOfStub(bytes);
    if (object.empty()) continue;
    Stub stub;
    ostree_checksum_inplace_to_bytes(object.c_str(), stub.checksum.data());
    stub.path = CleanPath(entry.name);
    package.stubs.push_back(std::move(stub));
  }
  return package;
}

bool ReadWhole(const std::string& path, std::string* text) {
  // Scripts may have put anything there.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  text->resize(static_cast<size_t>(info.st_size));
  for (size_t done = 0; done < text->size();) {
    const ssize_t count = read(fd.get(), text->data() + done, text->size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw FromErrno(errno, "Reading", path);
    if (count == 0) text->resize(done);
    done += static_cast<size_t>(count);
  }
  return true;
}

// The paths in dpkg's list of the package, which has the architecture in its name where packages
// can be installed for several.
std::unordered_set<std::string> Owned(const std::string& directory, const Package& package) {
  const std::string base = directory + "/" + kInfo + package.name;
  std::string text;
  std::unordered_set<std::string> paths;
  if (!ReadWhole(base + ".list", &text) &&
      !ReadWhole(base + ":" + package.architecture + ".list", &text)) {
    return paths;
  }
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    if (end > begin + 1) paths.insert(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  return paths;
}

}  // namespace

std::vector<std::string> MissingStubs(OstreeRepo* repo, const std::vector<std::string>& commits,
                                      const std::string& directory, const UntouchedStubs& found,
                                      size_t most, JobContext& job) {
  std::vector<Package> packages;
  std::unordered_map<Digest, size_t, HashOfDigest> expected;
  for (const std::string& commit : commits) {
    job.ThrowIfCancelled();
    packages.push_back(ReadPackage(repo, commit, job));
    for (const Stub& stub : packages.back().stubs) ++expected[stub.checksum];
  }
  const auto is_short = [&](const Digest& checksum) {
    const auto there = found.find(checksum);
    return (there == found.end() ? 0 : there->second.size()) < expected[checksum];
  };
  // Lists are read only where something seems to be missing.
  for (const Package& package : packages) {
    bool whole = true;
    for (const Stub& stub : package.stubs) whole = whole && !is_short(stub.checksum);
    if (whole) continue;
    const auto owned = Owned(directory, package);
    for (const Stub& stub : package.stubs) {
      if (!owned.contains(stub.path)) --expected[stub.checksum];
    }
  }
  std::vector<std::string> missing;
  for (const Package& package : packages) {
    for (const Stub& stub : package.stubs) {
      if (missing.size() == most) return missing;
      if (is_short(stub.checksum)) missing.push_back(stub.path);
    }
  }
  return missing;
}

}  // namespace apt_ostree
