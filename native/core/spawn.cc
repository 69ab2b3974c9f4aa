#include "core/spawn.h"

#include <spawn.h>

#include <csignal>

namespace apt_ostree {

namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnSetup {
 public:
  explicit SpawnSetup(const Command& command) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // The thread blocks all signals and Node ignores some: a program expects neither.
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    const int group = command.own_group ? POSIX_SPAWN_SETPGROUP : 0;
    const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group;
    posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
    // Through high numbers first: a source may itself have the number of another target.
    const int base = 100;
    int number = 0;
    for (const UniqueFd& fd : command.descriptors) {
      posix_spawn_file_actions_adddup2(&actions_, fd.get(), base + number++);
    }
    for (int target = 0; target < number; ++target) {
      posix_spawn_file_actions_adddup2(&actions_, base + target, target);
    }
    // Whatever else Node or a library left open without close-on-exec stays out of the child.
    posix_spawn_file_actions_addclosefrom_np(&actions_, number);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

int Spawn(Command& command, pid_t* pid) {
  SpawnSetup setup(command);
  return posix_spawnp(pid, command.file.c_str(), setup.actions(), setup.attributes(),
                      Pointers(command.arguments).data(), Pointers(command.environment).data());
}

}  // namespace apt_ostree
