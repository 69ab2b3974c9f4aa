// Directories by file descriptor, names as bytes.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace apt_ostree {

struct DirectoryEntry {
  std::string name;
  unsigned char type;  // DT_DIR, DT_REG, ...
  ino_t inode;
};

// Everything but "." and "..", sorted by name. `path` is for messages.
std::vector<DirectoryEntry> ReadDirectory(int directory, const std::string& path);

}  // namespace apt_ostree
