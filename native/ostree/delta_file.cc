#include "ostree/delta_file.h"

#include <ostree.h>
#include <sys/stat.h>

#include <cstring>

#include "core/error.h"
#include "core/open.h"

namespace apt_ostree {

namespace {

constexpr const char* kSuperblock =
    "(a{sv}tayay" OSTREE_COMMIT_GVARIANT_STRING "aya(uayttay)a(yaytt))";
constexpr const char* kSigned = "(taya{sv})";
constexpr char kSignedMagic[] = "OSTSGNDT";
constexpr gsize kMagicSize = 8;
// The type of an object and its checksum.
constexpr gsize kObjectSize = 33;
// More than any part that libostree makes (max-chunk-size) and less than what would exhaust the
// memory of a machine: parts are unpacked in memory.
constexpr uint64_t kMaxPart = UINT64_C(4) << 30;

struct Reader {
  const std::string& path;
  bool swap = false;

  [[noreturn]] void Fail(const char* problem) const {
    throw NativeError("ERR_INVALID_ARG_VALUE", std::string("This is no static delta: ") + problem)
        .Detail("path", path);
  }
  uint64_t Size(guint64 value) const { return swap ? GUINT64_SWAP_LE_BE(value) : value; }

  // A checksum, or "" for no bytes.
  std::string Checksum(GVariant* bytes, bool optional) const {
    const gsize count = g_variant_n_children(bytes);
    if (count == 0 && optional) return std::string();
    if (count != OSTREE_SHA256_DIGEST_LEN) Fail("a checksum has the wrong length");
    const GStringPtr text(ostree_checksum_from_bytes_v(bytes));
    return text.get();
  }

  std::string Member(GVariant* tuple, gsize index, bool optional) const {
    const VariantPtr bytes = VariantPtr::Take(g_variant_get_child_value(tuple, index));
    return Checksum(bytes.get(), optional);
  }
};

std::string Base64(const std::string& checksum) {
  guchar bytes[OSTREE_SHA256_DIGEST_LEN];
  ostree_checksum_inplace_to_bytes(checksum.c_str(), bytes);
  const GStringPtr text(ostree_checksum_b64_from_bytes(bytes));
  return text.get();
}

// As libostree names the parts inside the head.
std::string PartName(const DeltaHead& head, size_t index) {
  std::string name = head.from ? Base64(*head.from) + "-" + Base64(head.to) : Base64(head.to);
  return "deltas/" + name.substr(0, 2) + "/" + name.substr(2) + "/" + std::to_string(index);
}

// Old deltas do not say in which order their numbers are: these make sense in the other one only.
bool IsSwapped(GVariant* parts) {
  const gsize count = g_variant_n_children(parts);
  bool strange = false;
  for (gsize i = 0; i < count; ++i) {
    guint64 size = 0;
    g_variant_get_child(parts, i, "(u@aytt@ay)", nullptr, nullptr, &size, nullptr, nullptr);
    if (GUINT64_SWAP_LE_BE(size) > kMaxPart) return false;
    if (size > kMaxPart) strange = true;
  }
  return strange;
}

void ReadParts(const Reader& reader, GVariant* metadata, GVariant* list, DeltaHead* head) {
  const gsize count = g_variant_n_children(list);
  for (gsize i = 0; i < count; ++i) {
    DeltaPart part;
    GVariant *checksum_raw = nullptr, *objects_raw = nullptr;
    guint64 size = 0, uncompressed = 0;
    guint32 version = 0;
    g_variant_get_child(list, i, "(u@aytt@ay)", &version, &checksum_raw, &size, &uncompressed,
                        &objects_raw);
    const VariantPtr checksum = VariantPtr::Take(checksum_raw);
    const VariantPtr objects = VariantPtr::Take(objects_raw);
    part.version = reader.swap ? GUINT32_SWAP_LE_BE(version) : version;
    part.checksum = reader.Checksum(checksum.get(), false);
    part.size = reader.Size(size);
    part.uncompressed_size = reader.Size(uncompressed);
    const gsize bytes = g_variant_n_children(objects.get());
    if (bytes % kObjectSize != 0) reader.Fail("a list of objects is cut");
    part.objects = bytes / kObjectSize;
    if (part.size > kMaxPart) reader.Fail("a part is too large");
    const std::string name = PartName(*head, i);
    const VariantPtr data =
        VariantPtr::Take(g_variant_lookup_value(metadata, name.c_str(), G_VARIANT_TYPE("(yay)")));
    part.is_inline = static_cast<bool>(data);
    head->parts.push_back(std::move(part));
  }
}

void ReadFallbacks(const Reader& reader, GVariant* list, DeltaHead* head) {
  const gsize count = g_variant_n_children(list);
  for (gsize i = 0; i < count; ++i) {
    guchar type = 0;
    GVariant* checksum_raw = nullptr;
    guint64 size = 0, uncompressed = 0;
    g_variant_get_child(list, i, "(y@aytt)", &type, &checksum_raw, &size, &uncompressed);
    const VariantPtr checksum = VariantPtr::Take(checksum_raw);
    if (type < OSTREE_OBJECT_TYPE_FILE || type > OSTREE_OBJECT_TYPE_LAST) {
      reader.Fail("an object has an unknown type");
    }
    head->fallbacks.push_back({ostree_object_type_to_string(static_cast<OstreeObjectType>(type)),
                               reader.Checksum(checksum.get(), false), reader.Size(size),
                               reader.Size(uncompressed)});
  }
}

}  // namespace

std::string DeltaHeadFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) throw FromErrno(errno, "Reading a static delta", path);
  return S_ISDIR(info.st_mode) ? path + "/superblock" : path;
}

DeltaHead ReadDeltaHead(const std::string& path, GCancellable* cancellable) {
  const std::string file = DeltaHeadFile(path);
  OpenRegular(file, "Reading a static delta");
  auto source = GObjectPtr<GFile>::Take(g_file_new_for_path(file.c_str()));
  GError* error = nullptr;
  const GBytesPtr bytes(g_file_load_bytes(source.get(), cancellable, nullptr, &error));
  if (!bytes) throw FromGError(error, "Reading a static delta").Detail("path", file);
  Reader reader{path};
  DeltaHead head;
  gsize size = 0;
  const auto* data = static_cast<const char*>(g_bytes_get_data(bytes.get(), &size));
  VariantPtr superblock;
  head.is_signed = size >= kMagicSize && std::memcmp(data, kSignedMagic, kMagicSize) == 0;
  if (head.is_signed) {
    const VariantPtr outer =
        VariantPtr::Sink(g_variant_new_from_bytes(G_VARIANT_TYPE(kSigned), bytes.get(), FALSE));
    if (!g_variant_is_normal_form(outer.get())) reader.Fail("it is damaged");
    const VariantPtr inner = VariantPtr::Take(g_variant_get_child_value(outer.get(), 1));
    const GBytesPtr inner_bytes(g_variant_get_data_as_bytes(inner.get()));
    superblock = VariantPtr::Sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE(kSuperblock), inner_bytes.get(), FALSE));
  } else {
    superblock =
        VariantPtr::Sink(g_variant_new_from_bytes(G_VARIANT_TYPE(kSuperblock), bytes.get(), FALSE));
  }
  GVariant* root = superblock.get();
  if (size == 0 || !g_variant_is_normal_form(root)) reader.Fail("it is damaged");
  const VariantPtr metadata = VariantPtr::Take(g_variant_get_child_value(root, 0));
  guint64 timestamp = 0;
  g_variant_get_child(root, 1, "t", &timestamp);
  head.timestamp = GUINT64_FROM_BE(timestamp);
  const std::string from = reader.Member(root, 2, true);
  if (!from.empty()) head.from = from;
  head.to = reader.Member(root, 3, false);
  const VariantPtr parts = VariantPtr::Take(g_variant_get_child_value(root, 6));
  guchar endianness = 0;
  if (g_variant_lookup(metadata.get(), "ostree.endianness", "y", &endianness)) {
    if (endianness != 'l' && endianness != 'B') reader.Fail("its byte order is unknown");
    head.endianness = endianness == 'l' ? "little" : "big";
    reader.swap = (endianness == 'l') != (G_BYTE_ORDER == G_LITTLE_ENDIAN);
  } else {
    reader.swap = IsSwapped(parts.get());
  }
  const VariantPtr fallbacks = VariantPtr::Take(g_variant_get_child_value(root, 7));
  ReadParts(reader, metadata.get(), parts.get(), &head);
  ReadFallbacks(reader, fallbacks.get(), &head);
  return head;
}

Napi::Value DeltaHeadToJs(Napi::Env env, const DeltaHead& head) {
  Napi::Object object = Napi::Object::New(env);
  if (head.from) object.Set("from", *head.from);
  object.Set("to", head.to);
  object.Set("signed", Napi::Boolean::New(env, head.is_signed));
  if (!head.endianness.empty()) object.Set("endianness", head.endianness);
  object.Set("timestamp", static_cast<double>(head.timestamp));
  Napi::Array parts = Napi::Array::New(env, head.parts.size());
  for (size_t i = 0; i < head.parts.size(); ++i) {
    const DeltaPart& part = head.parts[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("checksum", part.checksum);
    entry.Set("version", part.version);
    entry.Set("size", static_cast<double>(part.size));
    entry.Set("uncompressedSize", static_cast<double>(part.uncompressed_size));
    entry.Set("objects", static_cast<double>(part.objects));
    entry.Set("inline", Napi::Boolean::New(env, part.is_inline));
    parts.Set(static_cast<uint32_t>(i), entry);
  }
  object.Set("parts", parts);
  Napi::Array fallbacks = Napi::Array::New(env, head.fallbacks.size());
  for (size_t i = 0; i < head.fallbacks.size(); ++i) {
    const DeltaFallback& fallback = head.fallbacks[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("type", fallback.type);
    entry.Set("checksum", fallback.checksum);
    entry.Set("size", static_cast<double>(fallback.size));
    entry.Set("uncompressedSize", static_cast<double>(fallback.uncompressed_size));
    fallbacks.Set(static_cast<uint32_t>(i), entry);
  }
  object.Set("fallbacks", fallbacks);
  return object;
}

}  // namespace apt_ostree
