// Importing archives: libarchive reads, libostree writes.
#pragma once

#include <ostree.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/job.h"
#include "ostree/import_rules.h"

namespace apt_ostree {

struct ArchiveOptions {
  bool create_parents = true;
  bool skip_devices = false;
  bool usr_etc = false;
  // A directory's old and new name: the first that fits a path counts.
  std::vector<std::pair<std::string, std::string>> moves;
  // A regular expression and what replaces its matches in every path.
  std::optional<std::pair<std::string, std::string>> pattern;
};

ArchiveOptions CheckedArchive(const Options& options, Napi::Env env);

// `fd` is read to its end, from where it stands. `name` is for messages.
void ImportArchive(OstreeRepo* repo, int fd, const std::string& name, OstreeMutableTree* tree,
                   CommitModifier& modifier, const ArchiveOptions& options, const JobContext& job);

}  // namespace apt_ostree
