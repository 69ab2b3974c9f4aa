#include "apt/kernels.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/version.h>
#include <sys/utsname.h>

#include <cctype>
#include <cstring>
#include <map>
#include <set>

namespace apt_ostree::apt {

namespace {

constexpr const char* kPatterns = "APT::VersionedKernelPackages";

std::string HostRelease() {
  utsname name = {};
  return uname(&name) == 0 ? name.release : "";
}

// What `uname -r` says where the kernel of this package runs; empty for other packages.
std::string ReleaseOf(const std::string& package) {
  for (const std::string prefix : {"linux-image-", "kfreebsd-image-", "gnumach-image-"}) {
    if (package.rfind(prefix, 0) != 0) continue;
    std::string release = package.substr(prefix.size());
    const size_t digits = release.find_first_not_of("0123456789");
    const size_t debug = release.rfind("-dbg");
    const bool number = digits != 0 && digits != std::string::npos && release[digits] == '.';
    const bool symbols = debug != std::string::npos &&
                         (release.substr(debug) == "-dbg" || release.substr(debug) == "-dbgsym");
    return number && !symbols ? release : "";
  }
  return "";
}

struct ByVersion {
  pkgCache* cache;
  bool operator()(const std::string& a, const std::string& b) const {
    return cache->VS->CmpVersion(a, b) < 0;
  }
};

// Releases of installed kernels by the versions of their packages.
using Kernels = std::map<std::string, std::vector<std::string>, ByVersion>;

Kernels InstalledKernels(pkgCache& cache) {
  Kernels kernels(ByVersion{&cache});
  // Every kernel's package provides this.
  pkgCache::PkgIterator kernel = cache.FindPkg("$kernel", "any");
  if (kernel.end()) return kernels;
  for (pkgCache::PrvIterator provides = kernel.ProvidesList(); !provides.end(); ++provides) {
    pkgCache::PkgIterator package = provides.OwnerPkg();
    if (package->CurrentVer == 0) continue;
    const std::string release = ReleaseOf(package.Name());
    if (!release.empty()) kernels[package.CurrentVer().VerStr()].push_back(release);
  }
  return kernels;
}

// The one that runs and the newest, or the two newest.
std::set<std::string> KeptReleases(const Kernels& kernels, const std::string& running) {
  std::set<std::string> kept;
  std::set<std::string> versions;
  for (const auto& [version, releases] : kernels) {
    for (const std::string& release : releases) {
      if (release == running) versions.insert(version);
    }
  }
  versions.insert(kernels.rbegin()->first);
  if (versions.size() < 2 && kernels.size() > 1)
    versions.insert(std::next(kernels.rbegin())->first);
  for (const std::string& version : versions) {
    kept.insert(kernels.at(version).begin(), kernels.at(version).end());
  }
  if (!running.empty()) kept.insert(running);
  return kept;
}

// Packages of the kernel of this machine, which is one of the root's too.
bool HasPackagesOf(pkgCache& cache, const std::string& release) {
  const std::string end = "-" + release;
  for (pkgCache::PkgIterator package = cache.PkgBegin(); !package.end(); ++package) {
    if (package->CurrentVer == 0) continue;
    const std::string name = package.Name();
    if (name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0) {
      return true;
    }
  }
  return false;
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (std::strchr(".+*?()[]{}|^$\\", c) != nullptr) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

KernelsOf::KernelsOf(pkgCache& cache, const std::string& running) {
  const std::string host = HostRelease();
  if (running == host || (running.empty() && !HasPackagesOf(cache, host))) return;
  const Kernels kernels = InstalledKernels(cache);
  if (kernels.empty()) return;
  before_ = _config->FindVector(kPatterns);
  if (before_.empty()) return;
  // The library adds the release of this machine to each pattern, and looks for
  // "^pattern-release$". So the one pattern has all names in front of something that no name begins
  // with. Where several packages of one source version provide the same modules, those of other
  // kernels stay as well.
  std::string names;
  for (const std::string& pattern : before_) {
    for (const std::string& release : KeptReleases(kernels, running)) {
      names += pattern + "-" + Escaped(release) + "$|^";
    }
  }
  _config->Clear(kPatterns);
  _config->Set(std::string(kPatterns) + "::", names + "/");
}

KernelsOf::~KernelsOf() {
  if (before_.empty()) return;
  _config->Clear(kPatterns);
  for (const std::string& pattern : before_) {
    _config->Set(std::string(kPatterns) + "::", pattern);
  }
}

}  // namespace apt_ostree::apt
