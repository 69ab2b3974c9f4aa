#pragma once

#include <string>

namespace apt_ostree {

// A message without an end that nobody reads: libraries quote what they were given, whatever its
// size.
std::string Clip(const std::string& message);

}  // namespace apt_ostree
