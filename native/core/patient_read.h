// Reading a descriptor that may stay empty for long, such as a pipe, without outliving the job.
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

namespace apt_ostree {

// As read(2), again after EINTR; fails with ECANCELED soon after the job is cancelled.
ssize_t PatientRead(int fd, void* buffer, size_t length, GCancellable* cancellable);

}  // namespace apt_ostree
