// Control files (deb822) and the names that a package has in the repository.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace apt_ostree {

// Fields of the first paragraph, keys in lower case; lines of a long value joined by '\n'.
// Throws ERR_DEB_DAMAGED for a line that is none.
std::map<std::string, std::string> ParseControl(const std::string& text);

// Paths named by a `conffiles` member that the archive itself should have, without the leading
// slash.
std::vector<std::string> ParseConffiles(const std::string& text);

// Characters that refs cannot have become `_XX` (hex, upper case), and so does `_` itself.
std::string EscapeRef(const std::string& text);

// apt-ostree/pkg/<name>/<version>_<architecture>
std::string PackageRef(const std::string& name, const std::string& version,
                       const std::string& architecture);

}  // namespace apt_ostree
