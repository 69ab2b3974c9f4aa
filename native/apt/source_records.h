// Finding a source package among the source records, as apt-get does for its name.
#pragma once

#include <apt-pkg/srcrecords.h>

#include <memory>
#include <string>

#include "apt/cache.h"

namespace apt_ostree::apt {

struct FoundSource {
  // What `parser` belongs to.
  std::shared_ptr<pkgSrcRecords> records;
  pkgSrcRecords::Parser* parser = nullptr;
  std::string name;
  std::string release;
};

// `name`, with `:arch`, `=version` and `/release`: the name of a source package or of a binary
// one that is made of it. Throws ERR_APT_UNKNOWN_PACKAGE.
FoundSource FindSource(CacheFile& file, Session& session, const std::string& wanted);

}  // namespace apt_ostree::apt
