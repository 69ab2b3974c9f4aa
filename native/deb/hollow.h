// Hollow packages: what dpkg unpacks in place of the real ones (see deb/import.h).
#pragma once

#include <ostree.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/job.h"

namespace apt_ostree {

// A stub is this, the 64 hex digits of the content object, and a newline.
inline constexpr std::string_view kStubMagic = "apt-ostree-hollow:1:";
inline constexpr size_t kStubSize = kStubMagic.size() + 64 + 1;

std::string StubOf(const std::string& checksum);
// The checksum in a stub of kStubSize bytes; "" where it is none.
std::string ChecksumOfStub(const char* bytes);

struct HollowRequest {
  std::string commit;
  std::string destination;
};

// Writes a .deb for each commit made by ImportDeb, without compression, replacing the file.
void WriteHollowDebs(OstreeRepo* repo, const std::vector<HollowRequest>& requests,
                     bool with_preinst, JobContext& job);

}  // namespace apt_ostree
