// Reads the relations between packages that requests and source records are made of.
#pragma once

#include <apt-pkg/srcrecords.h>

#include <string>
#include <vector>

namespace apt_ostree::apt {

using BuildDependency = pkgSrcRecords::Parser::BuildDepRec;

// What comes between two relations: files written by hand have commas too many.
enum class Commas { kOne, kAny };

// Adds to `dependencies` what `text`, a field of the kind `type`, asks for on `architecture`
// (empty: the configured one). False where it cannot be parsed.
bool ReadRelations(const std::string& text, pkgSrcRecords::Parser::BuildDep type,
                   const std::string& architecture, Commas commas,
                   std::vector<BuildDependency>& dependencies);

// All that `source` asks for, as pkgSrcRecords::Parser::BuildDepends() has it. False, with a reason
// on the error stack, where it cannot be parsed.
bool ReadBuildDependencies(pkgSrcRecords::Parser& source, bool only_arch,
                           std::vector<BuildDependency>& dependencies);

}  // namespace apt_ostree::apt
