#include "fetch/download.h"

#include <apt-pkg/acquire-worker.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/strutl.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

namespace apt_ostree::apt {

std::string WithoutPassword(const std::string& uri) { return URI::NoUserPassword(uri); }

void Status::Fail(pkgAcquire::ItemDesc& item) {
  // Idle means that another address of the same file is tried next.
  if (item.Owner->Status == pkgAcquire::Item::StatIdle) return;
  listener_.Item(WithoutPassword(item.URI), "failed", item.Owner->ErrorText);
  if (item.Owner->Status == pkgAcquire::Item::StatAuthError) damaged_ = true;
}

bool Status::Pulse(pkgAcquire* owner) {
  pkgAcquireStatus::Pulse(owner);
  FetchProgress progress;
  progress.bytes_done = CurrentBytes;
  progress.bytes_total = TotalBytes;
  progress.items_done = CurrentItems;
  progress.items_total = TotalItems;
  progress.bytes_per_second = CurrentCPS;
  for (pkgAcquire::Worker* worker = owner->WorkersBegin(); worker != nullptr;
       worker = owner->WorkerStep(worker)) {
    if (worker->CurrentItem != nullptr) {
      progress.current = worker->CurrentItem->ShortDesc;
      break;
    }
  }
  listener_.Progress(progress);
  return !listener_.Cancelled() && !(stop_at_damage_ && damaged_);
}

void Status::Tell(const pkgAcquire::ItemDesc& item, const char* status) {
  listener_.Item(WithoutPassword(item.URI), status, "");
}

void CheckSpace(const std::string& directory, uint64_t needed) {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) return;
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  if (needed <= free) return;
  Failure failure("ENOSPC", "The packages need " + std::to_string(needed) + " bytes in " +
                                directory + " and there are " + std::to_string(free));
  throw failure.Detail("path", directory);
}

bool Verified(const std::string& path, const HashStringList& hashes) {
  // Opening what is not there would leave an error on the stack.
  if (access(path.c_str(), F_OK) != 0) return false;
  FileFd file(path, FileFd::ReadOnly, FileFd::None);
  if (!file.IsOpen()) return false;
  Hashes sums(hashes);
  return sums.AddFD(file) && sums.GetHashStringList() == hashes;
}

namespace {

bool DamagedText(const std::string& text) {
  return Contains(text, "Hash Sum mismatch") || Contains(text, "unexpected size") ||
         Contains(text, "File has unexpected size");
}

}  // namespace

void ThrowForDownload(const pkgAcquire::Item& item, const std::string& what,
                      const std::string& package, Session& session) {
  const std::string uri = WithoutPassword(item.DescURI());
  std::string text = item.ErrorText;
  std::vector<Message> messages = session.TakeMessages();
  if (!text.empty()) messages.push_back({"error", text});
  const char* code = "ERR_APT_FAILED";
  if (DamagedText(text) || item.Status == pkgAcquire::Item::StatAuthError) {
    code = "ERR_APT_HASH_MISMATCH";
  } else if (IsDiskFull(text)) {
    code = "ENOSPC";
  } else if (item.Status == pkgAcquire::Item::StatTransientNetworkError ||
             uri.rfind("http", 0) == 0) {
    code = "ERR_APT_NETWORK";
  }
  if (text.empty()) text = "The download did not finish";
  Failure failure(code, "Fetching " + what + " from " + uri + ": " + text);
  failure.Messages(std::move(messages)).Detail("package", package).Detail("uri", uri);
  throw failure;
}

}  // namespace apt_ostree::apt
