#include "ostree/fsck_objects.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "core/sha256.h"
#include "ostree/sound.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = size_t{256} * 1024;
// Fewer objects are not worth another thread.
constexpr size_t kObjectsPerThread = 32;
constexpr size_t kMostThreads = 8;

NativeError Damaged(const ObjectName& name, const std::string& what) {
  return NativeError("ERR_OSTREE_FAILED", "The object " + name.text() + " is damaged: " + what);
}

void CheckContent(OstreeRepo* repo, const ObjectName& name, char* buffer,
                  GCancellable* cancellable) {
  GObjectPtr<GInputStream> input;
  GObjectPtr<GFileInfo> info;
  VariantPtr xattrs;
  GError* error = nullptr;
  if (!ostree_repo_load_file(repo, name.checksum.c_str(), input.out(), info.out(), xattrs.out(),
                             cancellable, &error)) {
    throw FromGError(error, "Reading " + name.text());
  }
  const guint32 mode = g_file_info_get_attribute_uint32(info.get(), "unix::mode");
  if (!ostree_validate_structureof_file_mode(mode, &error)) {
    throw FromGError(error, "Reading " + name.text());
  }
  if (!input) {
    // A symbolic link: all of it is in the header.
    if (!ostree_repo_fsck_object(repo, name.type, name.checksum.c_str(), cancellable, &error)) {
      throw FromGError(error, "Reading " + name.text());
    }
    return;
  }
  // A content object's checksum is that of its header and its content.
  GObjectPtr<GInputStream> stream;
  guint64 length = 0;
  if (!ostree_raw_file_to_content_stream(input.get(), info.get(), xattrs.get(), stream.out(),
                                         &length, cancellable, &error)) {
    throw FromGError(error, "Reading " + name.text());
  }
  Sha256 hash;
  for (gssize got;
       (got = g_input_stream_read(stream.get(), buffer, kChunk, cancellable, &error)) != 0;) {
    if (got < 0) throw FromGError(error, "Reading " + name.text());
    hash.Update(buffer, static_cast<size_t>(got));
  }
  const std::string actual = hash.Hex();
  if (actual != name.checksum) throw Damaged(name, "its checksum is " + actual);
}

void Check(OstreeRepo* repo, const ObjectName& name, char* buffer, GCancellable* cancellable) {
  if (name.type == OSTREE_OBJECT_TYPE_FILE) {
    CheckContent(repo, name, buffer, cancellable);
    return;
  }
  GError* error = nullptr;
  if (!ostree_repo_fsck_object(repo, name.type, name.checksum.c_str(), cancellable, &error)) {
    throw FromGError(error, "Reading " + name.text());
  }
}

class Gatherer {
 public:
  Gatherer(OstreeRepo* repo, const JobContext& job, ObjectKeys* objects)
      : repo_(repo), job_(job), objects_(objects) {}

  void Commit(const std::string& checksum) {
    if (!objects_->insert(KeyOf(checksum.c_str(), OSTREE_OBJECT_TYPE_COMMIT)).second) return;
    const VariantPtr commit = Load(checksum, OSTREE_OBJECT_TYPE_COMMIT);
    if (!commit || !ostree_validate_structureof_commit(commit.get(), nullptr)) return;
    Directory(BytesAt(commit.get(), 6), BytesAt(commit.get(), 7));
    // A loop, not recursion: trees from elsewhere may be deep.
    while (!waiting_.empty()) {
      job_.ThrowIfCancelled();
      const std::string next = std::move(waiting_.back());
      waiting_.pop_back();
      Entries(next);
    }
  }

 private:
  using Bytes = std::array<uint8_t, 32>;

  VariantPtr Load(const std::string& checksum, OstreeObjectType type) {
    VariantPtr variant;
    if (!ostree_repo_load_variant(repo_, type, checksum.c_str(), variant.out(), nullptr)) return {};
    return Untrusted(variant.get());
  }

  // The structure has been validated: 32 bytes.
  static Bytes BytesOf(GVariant* value) {
    gsize length = 0;
    const auto* data =
        static_cast<const uint8_t*>(g_variant_get_fixed_array(value, &length, sizeof(uint8_t)));
    Bytes bytes = {};
    std::memcpy(bytes.data(), data, std::min(length, bytes.size()));
    return bytes;
  }
  static Bytes BytesAt(GVariant* tuple, gsize index) {
    const VariantPtr child = VariantPtr::Take(g_variant_get_child_value(tuple, index));
    return BytesOf(child.get());
  }

  void Directory(const Bytes& contents, const Bytes& metadata) {
    objects_->insert({metadata, static_cast<uint8_t>(OSTREE_OBJECT_TYPE_DIR_META)});
    const ObjectKey key = {contents, static_cast<uint8_t>(OSTREE_OBJECT_TYPE_DIR_TREE)};
    if (objects_->insert(key).second) waiting_.push_back(key.name().checksum);
  }

  void Entries(const std::string& checksum) {
    const VariantPtr tree = Load(checksum, OSTREE_OBJECT_TYPE_DIR_TREE);
    if (!tree || !ostree_validate_structureof_dirtree(tree.get(), nullptr)) return;
    const VariantPtr files = VariantPtr::Take(g_variant_get_child_value(tree.get(), 0));
    const gsize file_count = g_variant_n_children(files.get());
    for (gsize i = 0; i < file_count; ++i) {
      const VariantPtr entry = VariantPtr::Take(g_variant_get_child_value(files.get(), i));
      objects_->insert({BytesAt(entry.get(), 1), static_cast<uint8_t>(OSTREE_OBJECT_TYPE_FILE)});
    }
    const VariantPtr directories = VariantPtr::Take(g_variant_get_child_value(tree.get(), 1));
    const gsize directory_count = g_variant_n_children(directories.get());
    for (gsize i = 0; i < directory_count; ++i) {
      const VariantPtr entry = VariantPtr::Take(g_variant_get_child_value(directories.get(), i));
      Directory(BytesAt(entry.get(), 1), BytesAt(entry.get(), 2));
    }
  }

  OstreeRepo* repo_;
  const JobContext& job_;
  ObjectKeys* objects_;
  std::vector<std::string> waiting_;
};

}  // namespace

ObjectName ObjectKey::name() const {
  char text[65];
  ostree_checksum_inplace_from_bytes(checksum.data(), text);
  return {text, static_cast<OstreeObjectType>(type)};
}

size_t ObjectKeyHash::operator()(const ObjectKey& key) const {
  size_t value = 0;
  std::memcpy(&value, key.checksum.data(), sizeof value);
  return value ^ key.type;
}

ObjectKey KeyOf(const char* checksum, OstreeObjectType type) {
  ObjectKey key;
  ostree_checksum_inplace_to_bytes(checksum, key.checksum.data());
  key.type = static_cast<uint8_t>(type);
  return key;
}

void GatherObjects(OstreeRepo* repo, const std::string& commit, const JobContext& job,
                   ObjectKeys* objects) {
  Gatherer(repo, job, objects).Commit(commit);
}

void CheckObject(OstreeRepo* repo, const ObjectName& name, GCancellable* cancellable) {
  const auto buffer = std::make_unique<char[]>(kChunk);
  Check(repo, name, buffer.get(), cancellable);
}

std::vector<ObjectFault> CheckObjects(OstreeRepo* repo, const ObjectKeys& objects, bool all,
                                      const JobContext& job, size_t* checked) {
  const std::vector<ObjectKey> list(objects.begin(), objects.end());
  Turns turns(list.size());
  std::atomic<size_t> done{0};
  std::mutex mutex;
  std::vector<ObjectFault> faults;
  TakeTurns(turns, kObjectsPerThread, kMostThreads, [&] {
    const auto buffer = std::make_unique<char[]>(kChunk);
    for (size_t i = 0; turns.Next(&i);) {
      job.ThrowIfCancelled();
      try {
        Check(repo, list[i].name(), buffer.get(), job.cancellable());
      } catch (const NativeError& error) {
        job.ThrowIfCancelled();
        const bool missing = error.code() == "ENOENT";
        if (!all && !missing) turns.Stop();
        std::lock_guard<std::mutex> guard(mutex);
        faults.push_back({list[i], missing, error.message()});
      }
      const size_t count = ++done;
      job.Report([count, total = list.size()](Napi::Env env) -> Napi::Value {
        Napi::Object event = Napi::Object::New(env);
        event.Set("phase", "objects");
        event.Set("done", static_cast<double>(count));
        event.Set("total", static_cast<double>(total));
        return event;
      });
    }
  });
  *checked += done;
  return faults;
}

}  // namespace apt_ostree
