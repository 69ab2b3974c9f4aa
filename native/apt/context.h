// A libapt-pkg configuration of its own for one root: sources, keys, state directory.
#pragma once

#include <apt-pkg/configuration.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apt/failure.h"
#include "apt/root_config.h"

namespace apt_ostree::apt {

struct ContextOptions {
  std::string directory;
  std::optional<std::string> root;
  std::optional<std::string> dpkg_status;
  std::optional<std::string> extended_states;
  std::string architecture;
  std::vector<std::string> architectures;
  std::string sources;              // deb822
  std::optional<std::string> auth;  // apt_auth.conf(5)
  std::optional<std::string> preferences;
  bool recommends = true;
  std::string running_kernel;  // see KernelsOf
  // Whether the root's own apt.conf counts, as far as it may.
  bool root_config = false;
  // The caller's; of a context also what its root has, before them.
  Settings config;
};

// Whether a caller may set this option: none that runs a program, moves a directory or weakens a
// check, and no value that costs too much as a regular expression.
bool AllowedSetting(const std::pair<std::string, std::string>& setting);
// Looks at what a caller gave for a context. Throws ERR_INVALID_ARG_VALUE.
void CheckOptions(const ContextOptions& options);

// Debian's name of an architecture: letters, digits, hyphens.
bool IsArchitecture(const std::string& name);

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class Context {
 public:
  enum class Holder { kThis, kOther };
  // Creates the directory's contents and locks it, unless another process that waits for this one
  // has done so. Throws Failure.
  explicit Context(ContextOptions options, Holder holder = Holder::kThis);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Configuration& configuration() { return configuration_; }
  const ContextOptions& options() const { return options_; }
  // Options of the root's apt.conf that do not count.
  const std::vector<std::string>& ignored() const { return ignored_; }
  std::string lists() const { return options_.directory + "/lists/"; }
  std::string archives() const { return options_.directory + "/archives/"; }

  // Grows with each update; a cache of an earlier generation is stale.
  unsigned long generation() const { return generation_; }
  void NextGeneration() { ++generation_; }

  // Directories as the download methods need them. The methods for http(s) run as _apt where
  // they can reach the directory.
  void PrepareDownloads();

 private:
  void MakeContents();
  void Configure();
  void ConfigureLists();
  void ReadRoot();
  void Apply(const Settings& settings);
  void WriteLogins();

  ContextOptions options_;
  std::vector<std::string> ignored_;
  std::unique_ptr<FileDescriptor> lock_;
  Configuration configuration_;
  std::atomic<unsigned long> generation_ = 0;
};

}  // namespace apt_ostree::apt
