// Owning pointers for GLib's reference-counted and allocated types.
#pragma once

#include <gio/gio.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace apt_ostree {

// Owns one reference of a GObject. `Take` adopts a reference, `Share` adds one.
template <typename T>
class GObjectPtr {
 public:
  GObjectPtr() = default;
  static GObjectPtr Take(T* object) { return GObjectPtr(object); }
  static GObjectPtr Share(T* object) {
    if (object != nullptr) g_object_ref(object);
    return GObjectPtr(object);
  }
  GObjectPtr(const GObjectPtr& other) : object_(other.object_) {
    if (object_ != nullptr) g_object_ref(object_);
  }
  GObjectPtr(GObjectPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  GObjectPtr& operator=(GObjectPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~GObjectPtr() {
    if (object_ != nullptr) g_object_unref(object_);
  }
  T* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  // For `T** out` parameters that hand over a reference.
  T** out() {
    g_clear_object(&object_);
    return &object_;
  }
  void reset() { g_clear_object(&object_); }

 private:
  explicit GObjectPtr(T* object) : object_(object) {}
  T* object_ = nullptr;
};

// Owns one reference of a GVariant; a floating one is sunk.
class VariantPtr {
 public:
  VariantPtr() = default;
  static VariantPtr Take(GVariant* variant) { return VariantPtr(variant); }
  static VariantPtr Sink(GVariant* variant) { return VariantPtr(g_variant_ref_sink(variant)); }
  VariantPtr(const VariantPtr& other) : variant_(other.variant_) {
    if (variant_ != nullptr) g_variant_ref(variant_);
  }
  VariantPtr(VariantPtr&& other) noexcept : variant_(std::exchange(other.variant_, nullptr)) {}
  VariantPtr& operator=(VariantPtr other) noexcept {
    std::swap(variant_, other.variant_);
    return *this;
  }
  ~VariantPtr() {
    if (variant_ != nullptr) g_variant_unref(variant_);
  }
  GVariant* get() const { return variant_; }
  explicit operator bool() const { return variant_ != nullptr; }
  GVariant** out() {
    g_clear_pointer(&variant_, g_variant_unref);
    return &variant_;
  }

 private:
  explicit VariantPtr(GVariant* variant) : variant_(variant) {}
  GVariant* variant_ = nullptr;
};

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

using GStringPtr = std::unique_ptr<char, FreeWith<g_free>>;
using GStrvPtr = std::unique_ptr<char*, FreeWith<g_strfreev>>;
using GHashTablePtr = std::unique_ptr<GHashTable, FreeWith<g_hash_table_unref>>;
using GPtrArrayPtr = std::unique_ptr<GPtrArray, FreeWith<g_ptr_array_unref>>;
using GBytesPtr = std::unique_ptr<GBytes, FreeWith<g_bytes_unref>>;
using GKeyFilePtr = std::unique_ptr<GKeyFile, FreeWith<g_key_file_unref>>;

// Adapts std::unique_ptr to C functions that fill a `T**`.
template <typename Pointer>
class OutPtr {
 public:
  explicit OutPtr(Pointer& target) : target_(target) {}
  ~OutPtr() {
    if (raw_ != nullptr) target_.reset(raw_);
  }
  OutPtr(const OutPtr&) = delete;
  OutPtr& operator=(const OutPtr&) = delete;
  operator typename Pointer::pointer *() { return &raw_; }

 private:
  Pointer& target_;
  typename Pointer::pointer raw_ = nullptr;
};

template <typename Pointer>
OutPtr<Pointer> Out(Pointer& target) {
  return OutPtr<Pointer>(target);
}

// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace apt_ostree
