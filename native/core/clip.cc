#include "core/clip.h"

namespace apt_ostree {

std::string Clip(const std::string& message) {
  constexpr size_t kLongest = 4096;
  if (message.size() <= kLongest) return message;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0U) == 0x80U) --end;
  return message.substr(0, end) + "...";
}

}  // namespace apt_ostree
