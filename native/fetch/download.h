// What all downloads through libapt-pkg have in common.
#pragma once

#include <apt-pkg/acquire-item.h>
#include <apt-pkg/acquire.h>
#include <apt-pkg/hashes.h>

#include <cstdint>
#include <string>

#include "apt/acquire.h"
#include "apt/session.h"

namespace apt_ostree::apt {

// Microseconds between two looks at progress and at the wish to stop.
constexpr int kPulse = 50000;

inline bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}
std::string WithoutPassword(const std::string& uri);

// Tells a listener what happens, and stops when it wants to.
class Status : public pkgAcquireStatus {
 public:
  // With `stop_at_damage`, one file of wrong content ends the whole download.
  Status(FetchListener& listener, bool stop_at_damage)
      : listener_(listener), stop_at_damage_(stop_at_damage) {}

  bool MediaChange(std::string, std::string) override { return false; }
  void Fetch(pkgAcquire::ItemDesc& item) override { Tell(item, "started"); }
  void Done(pkgAcquire::ItemDesc& item) override { Tell(item, "done"); }
  void IMSHit(pkgAcquire::ItemDesc& item) override { Tell(item, "hit"); }
  void Fail(pkgAcquire::ItemDesc& item) override;
  bool Pulse(pkgAcquire* owner) override;

 private:
  void Tell(const pkgAcquire::ItemDesc& item, const char* status);

  FetchListener& listener_;
  const bool stop_at_damage_;
  bool damaged_ = false;
};

// Throws ENOSPC where `directory` has less than that many bytes.
void CheckSpace(const std::string& directory, uint64_t needed);
// Whether a finished file has these hashes: the library trusts its size.
bool Verified(const std::string& path, const HashStringList& hashes);
// What went wrong with a file of `package`; `what` names it in the message.
[[noreturn]] void ThrowForDownload(const pkgAcquire::Item& item, const std::string& what,
                                   const std::string& package, Session& session);

}  // namespace apt_ostree::apt
