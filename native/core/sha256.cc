// No napi.h here: libapt-pkg's error macros collide with it.
#include "core/sha256.h"

#include <apt-pkg/hashes.h>

#include <mutex>
#include <utility>

namespace apt_ostree {

struct Sha256::Engine {
  Hashes hashes{Hashes::SHA256SUM};
};

Sha256::Sha256() {
  // The first object initialises the library behind it, which must not happen twice at once.
  static std::once_flag initialised;
  std::call_once(initialised, [] { Hashes first(Hashes::SHA256SUM); });
  engine_ = std::make_unique<Engine>();
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(const void* data, size_t length) {
  if (length == 0) return;
  engine_->hashes.Add(static_cast<const unsigned char*>(data), length);
}

std::string Sha256::Hex() { return engine_->hashes.GetHashString(Hashes::SHA256SUM).HashValue(); }

}  // namespace apt_ostree
