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
  std::vector<std::pair<std::string, std::string>> config;
};

// Whether a caller may set this option: none that runs a program or moves a directory.
bool AllowedOption(const std::string& name);

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
  void WriteLogins();

  const ContextOptions options_;
  std::unique_ptr<FileDescriptor> lock_;
  Configuration configuration_;
  std::atomic<unsigned long> generation_ = 0;
};

}  // namespace apt_ostree::apt
