// Starting of programs. child_process.spawn and libraries fork, which copies the page tables of the
// whole process while everything that touches new memory waits; posix_spawn shares them until the
// exec, and only the thread that calls it waits for that.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

struct Command {
  // Looked for along PATH where it has no slash.
  std::string file;
  // With the program's name.
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  // Descriptors of the child, by number, all from 200 on; owned here, so that the other ends see
  // the end of file when the child's copies are gone.
  std::vector<UniqueFd> descriptors;
  // Whether it leads a process group of its own.
  bool own_group = false;
};

// Its pid, or the errno of what failed.
int Spawn(Command& command, pid_t* pid);

}  // namespace apt_ostree
