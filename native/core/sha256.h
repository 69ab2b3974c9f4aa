// SHA-256 by the fastest code that is linked already: libapt-pkg's hash class (libgcrypt or
// OpenSSL with the CPU's own instructions), several times faster than GLib's GChecksum.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace apt_ostree {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(const void* data, size_t length);
  // 64 lower-case hex digits; nothing may be added afterwards.
  std::string Hex();

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace apt_ostree
