#include "ostree/directory_import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "core/directory.h"
#include "core/error.h"
#include "ostree/content.h"
#include "ostree/file_import.h"
#include "ostree/names.h"

namespace apt_ostree {

namespace {

// Files go to the threads in handfuls, of one directory each, and only so many wait: both the
// memory and the open directories of an import stay small, whatever it imports.
constexpr size_t kBatch = 32;
constexpr size_t kMostWaiting = 64;
constexpr uint64_t kReportEvery = 64;

struct Batch {
  std::shared_ptr<const UniqueFd> directory;
  GObjectPtr<OstreeMutableTree> tree;
  std::vector<FileItem> files;
};

// Threads that import batches. The thread that walks the directories is one of them whenever
// there is too much waiting, and at the end.
class Importers {
 public:
  Importers(OstreeRepo* repo, const JobContext& job, const ImportRules& rules, unsigned threads)
      : own_(repo, job, rules.skip_xattrs(), rules.xattrs()) {
    try {
      for (unsigned i = 1; i < threads; ++i) {
        threads_.emplace_back([this, repo, &job, &rules] {
          FileImporter importer(repo, job, rules.skip_xattrs(), rules.xattrs());
          Help(importer);
        });
      }
    } catch (const std::system_error&) {
      // No more threads to be had: those that run do the work.
    }
  }

  ~Importers() {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      waiting_.clear();
      closed_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Importers(const Importers&) = delete;
  Importers& operator=(const Importers&) = delete;

  void Add(Batch batch) {
    std::optional<Batch> mine;
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      if (failure_) std::rethrow_exception(failure_);
      waiting_.push_back(std::move(batch));
      if (threads_.empty() || waiting_.size() > kMostWaiting) mine = Take();
    }
    wake_.notify_one();
    if (mine) Run(own_, std::move(*mine));
  }

  // Throws the first failure of any thread.
  std::vector<Batch> TakeDone() {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    return std::exchange(done_, {});
  }

  // Until everything that was added is done.
  void Finish() {
    while (true) {
      std::unique_lock<std::mutex> lock(mutex_);
      if (std::optional<Batch> batch = Take()) {
        lock.unlock();
        Run(own_, std::move(*batch));
        continue;
      }
      idle_.wait(lock, [this] { return running_ == 0; });
      return;
    }
  }

 private:
  // With the lock held.
  std::optional<Batch> Take() {
    if (waiting_.empty()) return std::nullopt;
    Batch batch = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    return batch;
  }

  void Help(FileImporter& importer) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
      std::optional<Batch> batch = Take();
      if (!batch) return;
      lock.unlock();
      Run(importer, std::move(*batch));
      lock.lock();
    }
  }

  void Run(FileImporter& importer, Batch batch) {
    std::exception_ptr failure;
    try {
      for (FileItem& file : batch.files) importer.Import(batch.directory->get(), file);
      batch.directory.reset();
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard<std::mutex> guard(mutex_);
    --running_;
    if (failure) {
      if (!failure_) failure_ = failure;
      waiting_.clear();
    } else {
      done_.push_back(std::move(batch));
    }
    if (running_ == 0) idle_.notify_all();
  }

  FileImporter own_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Batch> waiting_;
  std::vector<Batch> done_;
  size_t running_ = 0;
  bool closed_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

unsigned ThreadsFor(const ImportOptions& options) {
  if (options.threads != 0) return options.threads;
  return std::max(1U, std::thread::hardware_concurrency());
}

class DirectoryImport {
 public:
  DirectoryImport(OstreeRepo* repo, const ImportOptions& options, const JobContext& job)
      : repo_(repo),
        options_(options),
        job_(job),
        rules_(options, repo, job),
        skip_xattrs_(rules_.skip_xattrs()),
        writer_(repo, job),
        importers_(repo, job, rules_, ThreadsFor(options)) {
    if (options.scan_hardlinks) links_.emplace(repo, job);
  }

  ImportResult Run(const std::string& path, OstreeMutableTree* tree) {
    auto fd = Open(AT_FDCWD, path, path);
    struct stat info;
    if (fstat(fd->get(), &info) != 0) throw FromErrno(errno, "Reading", path);
    ImportEntry root = Entry("/", info);
    rules_.Apply({&root});
    if (!root.skip) Directory(std::move(fd), tree, root, options_.depth);
    importers_.Finish();
    Collect();
    Report(true);
    result_.unmatched = rules_.Unmatched();
    return std::move(result_);
  }

 private:
  // A name of a directory, as the rules left it.
  struct Child {
    FileItem item;
    bool directory = false;
  };

  static std::shared_ptr<UniqueFd> Open(int parent, const std::string& name,
                                        const std::string& path) {
    UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw FromErrno(errno, "Opening", path);
    return std::make_shared<UniqueFd>(std::move(fd));
  }

  static ImportEntry Entry(std::string path, const struct stat& info) {
    ImportEntry entry;
    entry.path = std::move(path);
    entry.uid = info.st_uid;
    entry.gid = info.st_gid;
    entry.mode = info.st_mode;
    entry.size = S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
    return entry;
  }

  void Directory(std::shared_ptr<const UniqueFd> fd, OstreeMutableTree* tree,
                 const ImportEntry& entry, size_t depth) {
    job_.ThrowIfCancelled();
    RequireDepth(depth, entry.path);
    ostree_mutable_tree_set_metadata_checksum(tree, Metadata(fd->get(), entry).c_str());
    ++result_.directories;
    std::vector<Child> children = Children(fd->get(), entry.path);
    Batch batch{fd, GObjectPtr<OstreeMutableTree>::Share(tree), {}};
    for (Child& child : children) {
      if (child.directory || child.item.entry.skip) continue;
      if (UseKnown(tree, child.item)) continue;
      batch.files.push_back(std::move(child.item));
      if (batch.files.size() < kBatch) continue;
      importers_.Add(std::exchange(batch, {fd, GObjectPtr<OstreeMutableTree>::Share(tree), {}}));
      Collect();
    }
    if (!batch.files.empty()) importers_.Add(std::move(batch));
    Collect();
    // Only directories are kept while what is below them is walked.
    std::erase_if(children,
                  [](const Child& child) { return !child.directory || child.item.entry.skip; });
    children.shrink_to_fit();
    for (Child& child : children) {
      GObjectPtr<OstreeMutableTree> subtree;
      GError* error = nullptr;
      if (!ostree_mutable_tree_ensure_dir(tree, child.item.name.c_str(), subtree.out(), &error)) {
        throw FromGError(error, "Importing a directory").Detail("path", child.item.entry.path);
      }
      Directory(Open(fd->get(), child.item.name, child.item.entry.path), subtree.get(),
                child.item.entry, depth + 1);
    }
  }

  std::vector<Child> Children(int fd, const std::string& path) {
    std::vector<Child> children;
    const std::string prefix = path == "/" ? "/" : path + "/";
    for (DirectoryEntry& name : ReadDirectory(fd, path)) {
      struct stat info;
      Child child;
      child.item.entry.path = prefix + name.name;
      if (fstatat(fd, name.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        throw FromErrno(errno, "Reading", child.item.entry.path);
      }
      child.item.name = std::move(name.name);
      child.item.entry = Entry(std::move(child.item.entry.path), info);
      child.directory = S_ISDIR(info.st_mode);
      if (!child.directory && links_) child.item.known = links_->Find(info);
      if (child.item.known != nullptr && !options_.devino_canonical) LoadSource(child.item);
      children.push_back(std::move(child));
    }
    std::vector<ImportEntry*> entries;
    for (Child& child : children) {
      // Trusted for what it was: no rule sees it.
      if (child.item.known != nullptr && options_.devino_canonical) continue;
      entries.push_back(&child.item.entry);
    }
    rules_.Apply(entries);
    for (const Child& child : children) {
      if (!child.item.entry.skip && !child.directory) CheckKind(child.item);
    }
    return children;
  }

  static void CheckKind(const FileItem& item) {
    if (!S_ISREG(item.entry.mode) && !S_ISLNK(item.entry.mode)) {
      throw NativeError("ERR_OSTREE_FAILED", "Not a regular file or symlink: " + item.entry.path)
          .Detail("path", item.entry.path);
    }
    if (!g_utf8_validate(item.name.data(), static_cast<gssize>(item.name.size()), nullptr)) {
      throw NativeError("ERR_OSTREE_FAILED",
                        "OSTree cannot hold a name that is not UTF-8: " + item.entry.path)
          .Detail("path", item.entry.path);
    }
  }

  // A repository of mode bare-user keeps owner, mode and attributes beside the file.
  void LoadSource(FileItem& item) {
    item.source = {item.entry.uid, item.entry.gid, item.entry.mode, nullptr};
    if (ostree_repo_get_mode(repo_) != OSTREE_REPO_MODE_BARE_USER) return;
    GObjectPtr<GFileInfo> info;
    GError* error = nullptr;
    if (!ostree_repo_load_file(repo_, item.known->c_str(), nullptr, info.out(),
                               item.source_xattrs.out(), job_.cancellable(), &error)) {
      throw FromGError(error, "Reading an object").Detail("path", item.entry.path);
    }
    item.entry.uid = g_file_info_get_attribute_uint32(info.get(), "unix::uid");
    item.entry.gid = g_file_info_get_attribute_uint32(info.get(), "unix::gid");
    item.entry.mode = g_file_info_get_attribute_uint32(info.get(), "unix::mode");
    item.source = {item.entry.uid, item.entry.gid, item.entry.mode, nullptr};
  }

  // A file that is an object of the repository already need not be read.
  bool UseKnown(OstreeMutableTree* tree, FileItem& item) {
    if (item.known == nullptr) return false;
    const bool changed = item.source.uid != item.entry.uid || item.source.gid != item.entry.gid ||
                         item.source.mode != item.entry.mode || !item.entry.xattr_rules.empty();
    if (!options_.devino_canonical && (changed || skip_xattrs_)) return false;
    item.checksum = *item.known;
    Put(tree, item);
    ++result_.files;
    ++result_.known;
    return true;
  }

  std::string Metadata(int fd, const ImportEntry& entry) {
    VariantPtr xattrs;
    if (!skip_xattrs_) {
      GError* error = nullptr;
      xattrs = VariantPtr::Take(ostree_fs_get_all_xattrs(fd, job_.cancellable(), &error));
      if (!xattrs) {
        throw FromGError(error, "Reading extended attributes").Detail("path", entry.path);
      }
    }
    if (!entry.xattr_rules.empty()) {
      xattrs = rules_.xattrs().Apply(entry.xattr_rules, xattrs.get());
    }
    if (xattrs && g_variant_n_children(xattrs.get()) != 0) {
      return writer_.Directory({entry.uid, entry.gid, entry.mode, xattrs.get()});
    }
    std::string& checksum = metadata_[{entry.uid, entry.gid, entry.mode}];
    if (checksum.empty()) {
      checksum = writer_.Directory({entry.uid, entry.gid, entry.mode, nullptr});
    }
    return checksum;
  }

  static void Put(OstreeMutableTree* tree, const FileItem& item) {
    GError* error = nullptr;
    if (!ostree_mutable_tree_replace_file(tree, item.name.c_str(), item.checksum.c_str(), &error)) {
      throw FromGError(error, "Importing a file").Detail("path", item.entry.path);
    }
  }

  void Collect() {
    for (const Batch& batch : importers_.TakeDone()) {
      for (const FileItem& item : batch.files) {
        Put(batch.tree.get(), item);
        ++result_.files;
        if (!item.read) continue;
        ++result_.hashed;
        result_.bytes += item.entry.size;
      }
    }
    Report(false);
  }

  void Report(bool last) {
    if (!last && result_.files < reported_ + kReportEvery) return;
    reported_ = result_.files;
    job_.Report([directories = result_.directories, files = result_.files,
                 bytes = result_.bytes](Napi::Env env) -> Napi::Value {
      Napi::Object event = Napi::Object::New(env);
      event.Set("directories", static_cast<double>(directories));
      event.Set("files", static_cast<double>(files));
      event.Set("bytes", static_cast<double>(bytes));
      return event;
    });
  }

  OstreeRepo* repo_;
  const ImportOptions& options_;
  const JobContext& job_;
  ImportRules rules_;
  bool skip_xattrs_;
  ContentWriter writer_;
  std::optional<ObjectLinks> links_;
  ImportResult result_;
  uint64_t reported_ = 0;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, std::string> metadata_;
  // Last, so that its threads end before what they use.
  Importers importers_;
};

}  // namespace

bool CanImportDirectory(OstreeRepo* repo, const ImportOptions& options) {
  // Sharing payloads between objects is done by libostree while it hashes.
  const bool payload_links = g_key_file_has_key(ostree_repo_get_config(repo), "core",
                                                "payload-link-threshold", nullptr) != FALSE;
  return !options.consume && !options.generate_sizes && !options.devino && !options.labels() &&
         !payload_links && ostree_repo_get_mode(repo) != OSTREE_REPO_MODE_BARE_SPLIT_XATTRS;
}

ImportResult ImportDirectory(OstreeRepo* repo, const std::string& path, OstreeMutableTree* tree,
                             const ImportOptions& options, const JobContext& job) {
  return DirectoryImport(repo, options, job).Run(path, tree);
}

}  // namespace apt_ostree
