// Opening files that callers name, which may be anything.
#pragma once

#include <string>

#include "core/gobject.h"

namespace apt_ostree {

// Opens a file to read. Never waits for the writer of a FIFO; poll before reading one. Throws the
// error of the system with the detail `path`.
UniqueFd OpenToRead(const std::string& path, const std::string& what);
// The same, and refuses with EINVAL (or EISDIR) what is no regular file.
UniqueFd OpenRegular(const std::string& path, const std::string& what);
// Opens a file to write, made where it is missing and empty; refuses what is no regular file, and
// never waits for the reader of a FIFO.
UniqueFd OpenToReplace(const std::string& path, const std::string& what);

}  // namespace apt_ostree
