#include "apt/root_config.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "apt/context.h"

namespace apt_ostree::apt {

namespace {

// More than anybody writes by hand.
constexpr size_t kLargestFile = 1 << 20;

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// `name` itself, or something below it.
bool Covers(std::string_view option, std::string_view name) {
  if (!EqualIgnoringCase(name.substr(0, option.size()), option)) return false;
  return name.size() == option.size() || name.substr(option.size(), 2) == "::";
}

int OpenBelow(const FileDescriptor& root, const std::string& path, int flags) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how));
}

// Files by the rules of run-parts that apt has for such directories.
bool IsPart(const std::string& name) {
  if (name.empty() || name.front() == '.') return false;
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos && name.compare(dot, std::string::npos, ".conf") != 0) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_-:.", c) != nullptr;
  });
}

std::vector<std::string> ListParts(const FileDescriptor& root, const std::string& path,
                                   const std::string& shown) {
  std::vector<std::string> names;
  const int fd = OpenBelow(root, path, O_DIRECTORY);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return names;
    throw SystemFailure(errno, "Reading", shown + "/" + path);
  }
  std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
  if (directory == nullptr) {
    close(fd);
    throw SystemFailure(errno, "Reading", shown + "/" + path);
  }
  while (const dirent* entry = readdir(directory.get())) {
    if (IsPart(entry->d_name)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> ReadBelow(const FileDescriptor& root, const std::string& path,
                                     const std::string& shown) {
  const std::string whole = shown + "/" + path;
  const FileDescriptor file(OpenBelow(root, path, 0));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw SystemFailure(errno, "Reading", whole);
  }
  struct stat info;
  if (fstat(file.get(), &info) != 0) throw SystemFailure(errno, "Reading", whole);
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0) throw SystemFailure(errno, "Reading", whole);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > kLargestFile) throw SystemFailure(EFBIG, "Reading", whole);
  }
}

// Makes comments of directives that would have the parser open other files. Each keeps its length.
bool MaskDirectives(std::string& text) {
  bool found = false;
  for (const std::string_view word : {"#include", "#x-apt-configure-index"}) {
    const auto same = [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == b;
    };
    for (auto place = text.begin();;) {
      place = std::search(place, text.end(), word.begin(), word.end(), same);
      if (place == text.end()) break;
      *(place + 1) = '-';
      found = true;
    }
  }
  return found;
}

void Parse(Configuration& parsed, const std::string& text, const std::string& scratch,
           const std::string& shown) {
  std::ofstream file(scratch, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw SystemFailure(errno != 0 ? errno : EIO, "Writing", scratch);
  const bool good = ReadConfigFile(parsed, scratch);
  unlink(scratch.c_str());
  if (good && !_error->PendingError()) return;
  std::string problem = "it cannot be parsed";
  while (!_error->empty() && !_error->PopMessage(problem)) {
  }
  _error->Discard();
  const size_t place = problem.find(scratch);
  if (place != std::string::npos) problem.replace(place, scratch.size(), shown);
  Failure failure("ERR_APT_FAILED", "Reading the configuration of the root: " + problem);
  throw failure.Detail("path", shown);
}

}  // namespace

bool AllowedRootOption(const std::string& name) {
  for (const char* option : {"APT::Install-Recommends",
                             "APT::Install-Recommends-Sections",
                             "APT::Install-Suggests",
                             "APT::Install-Suggests-Sections",
                             "APT::Default-Release",
                             "APT::NeverAutoRemove",
                             "APT::Never-MarkAuto-Sections",
                             "APT::Move-Autobit-Sections",
                             "APT::VersionedKernelPackages",
                             "APT::Protect-Kernels",
                             "APT::AutoRemove",
                             "APT::Immediate-Configure",
                             "APT::Get::Phase-Policy",
                             "APT::Get::Always-Include-Phased-Updates",
                             "APT::Get::Never-Include-Phased-Updates",
                             "APT::Machine-ID",
                             "APT::Build-Profiles",
                             "APT::Ignore-Hold",
                             "pkgProblemResolver",
                             "OrderList::Score",
                             "Acquire::Languages",
                             "Acquire::Retries",
                             "Acquire::Queue-Mode",
                             "Acquire::PDiffs",
                             "Acquire::By-Hash",
                             "Acquire::GzipIndexes",
                             "Acquire::Check-Valid-Until",
                             "Acquire::Check-Date",
                             "Acquire::Max-ValidTime",
                             "Acquire::Min-ValidTime",
                             "Acquire::Max-FutureTime",
                             "Acquire::CompressionTypes::Order",
                             "Acquire::ForceIPv4",
                             "Acquire::ForceIPv6",
                             "Acquire::EnableSrvRecords"}) {
    if (Covers(option, name)) return true;
  }
  for (const char* scheme : {"http", "https"}) {
    for (const char* option :
         {"Proxy", "Timeout", "Pipeline-Depth", "Dl-Limit", "User-Agent", "No-Cache", "No-Store",
          "Max-Age", "AllowRedirect", "ForceIPv4", "ForceIPv6", "ConnectionAttemptDelayMsec"}) {
      if (Covers(std::string("Acquire::") + scheme + "::" + option, name)) return true;
    }
  }
  return false;
}

RootConfig ReadRootConfig(const std::string& root, const std::string& scratch) {
  RootConfig result;
  const FileDescriptor top(
      open(root.empty() ? "/" : root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (top.get() < 0) throw SystemFailure(errno, "Reading", root);
  // In apt's order: what comes later counts.
  std::vector<std::string> files;
  const std::string parts = "etc/apt/apt.conf.d";
  for (const std::string& name : ListParts(top, parts, root)) files.push_back(parts + "/" + name);
  files.emplace_back("etc/apt/apt.conf");
  Configuration parsed;
  std::set<std::string> ignored;
  for (const std::string& file : files) {
    std::optional<std::string> text = ReadBelow(top, file, root);
    if (!text.has_value()) continue;
    if (MaskDirectives(*text)) ignored.insert("#include");
    Parse(parsed, *text, scratch, root + "/" + file);
  }
  for (const Configuration::Item* item = parsed.Tree(nullptr); item != nullptr;) {
    const std::string name = item->FullTag();
    const bool allowed = AllowedRootOption(name);
    const bool is_list = item->Child != nullptr && item->Child->Tag.empty();
    // What only has others below it.
    const bool bare = item->Value.empty() && (item->Child != nullptr || item->Tag.empty());
    // The root's list takes the place of a default.
    if (is_list && allowed) result.settings.emplace_back("#clear", name);
    if (!bare && allowed) result.settings.emplace_back(name, item->Value);
    if (!bare && !allowed) ignored.insert(name);
    if (item->Child != nullptr) {
      item = item->Child;
      continue;
    }
    while (item != nullptr && item->Next == nullptr) item = item->Parent;
    if (item != nullptr) item = item->Next;
  }
  result.ignored.assign(ignored.begin(), ignored.end());
  return result;
}

}  // namespace apt_ostree::apt
