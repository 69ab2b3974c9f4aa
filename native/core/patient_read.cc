#include "core/patient_read.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace apt_ostree {

namespace {

constexpr int kPatience = 100;  // milliseconds

}  // namespace

ssize_t PatientRead(int fd, void* buffer, size_t length, GCancellable* cancellable) {
  while (true) {
    if (g_cancellable_is_cancelled(cancellable)) {
      errno = ECANCELED;
      return -1;
    }
    pollfd waiting = {fd, POLLIN, 0};
    if (poll(&waiting, 1, kPatience) == 0) continue;
    const ssize_t count = read(fd, buffer, length);
    if (count >= 0 || (errno != EINTR && errno != EAGAIN)) return count;
  }
}

}  // namespace apt_ostree
