#include "apt/context.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "apt/expression.h"
#include "apt/session.h"

namespace apt_ostree::apt {

namespace {

void MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) return;
  struct stat info;
  if (errno != EEXIST) throw SystemFailure(errno, "Creating", path);
  if (stat(path.c_str(), &info) != 0) throw SystemFailure(errno, "Reading", path);
  if (!S_ISDIR(info.st_mode)) throw SystemFailure(ENOTDIR, "Using", path);
}

void MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    MakeDirectory(path.substr(0, slash), 0755);
  }
  MakeDirectory(path, 0755);
}

// An unchanged file keeps its time: libapt-pkg compares it with that of its binary cache.
void WriteIfChanged(const std::string& path, const std::string& text) {
  {
    std::ifstream old(path, std::ios::binary);
    std::ostringstream content;
    content << old.rdbuf();
    if (old.good() && content.str() == text) return;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw SystemFailure(errno != 0 ? errno : EIO, "Writing", path);
}

// Not fcntl's classic locks: these belong to the process, and closing any descriptor of the
// file would drop them.
std::unique_ptr<FileDescriptor> LockDirectory(const std::string& directory) {
  const std::string path = directory + "/lock";
  auto file =
      std::make_unique<FileDescriptor>(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (file->get() < 0) throw SystemFailure(errno, "Opening", path);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(file->get(), F_OFD_SETLK, &lock) == 0) {
    // Such locks name no holder, so the file does.
    const std::string holder = std::to_string(getpid()) + "\n";
    if (ftruncate(file->get(), 0) != 0 ||
        pwrite(file->get(), holder.data(), holder.size(), 0) < 0) {
      throw SystemFailure(errno, "Writing", path);
    }
    return file;
  }
  if (errno != EAGAIN && errno != EACCES) throw SystemFailure(errno, "Locking", path);
  std::array<char, 16> holder{};
  const ssize_t length = pread(file->get(), holder.data(), holder.size() - 1, 0);
  const long pid = length > 0 ? std::strtol(holder.data(), nullptr, 10) : 0;
  std::string text = "Another context uses " + directory;
  if (pid > 0) text += ": process " + std::to_string(pid);
  if (pid == getpid()) text += ", which is this one";
  Failure failure("ERR_APT_LOCKED", text);
  if (pid > 0) failure.Data("pid", static_cast<double>(pid));
  throw failure.Detail("path", path);
}

// Whether `user` can reach `directory`: every part of the path lets it through.
bool Reachable(const std::string& directory, uid_t user) {
  for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
    const std::string part = directory.substr(0, slash);
    struct stat info;
    if (stat(part.c_str(), &info) != 0) return false;
    const mode_t bit = info.st_uid == user ? S_IXUSR : S_IXOTH;
    if ((info.st_mode & bit) == 0) return false;
    if (slash == std::string::npos) return true;
  }
}

std::optional<uid_t> SandboxUser() {
  struct passwd entry;
  struct passwd* found = nullptr;
  std::array<char, 4096> buffer;
  if (getpwnam_r("_apt", &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return entry.pw_uid;
}

// A directory for unfinished downloads that belongs to the user the methods run as, with what
// an earlier run left in it.
void GivePartial(const std::string& path, uid_t user) {
  MakeDirectory(path, 0700);
  if (geteuid() != 0) return;
  if (chown(path.c_str(), user, 0) != 0) throw SystemFailure(errno, "Changing", path);
  if (chmod(path.c_str(), 0700) != 0) throw SystemFailure(errno, "Changing", path);
  std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) throw SystemFailure(errno, "Reading", path);
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_type != DT_REG) continue;
    if (fchownat(dirfd(directory.get()), entry->d_name, user, 0, AT_SYMLINK_NOFOLLOW) != 0) {
      throw SystemFailure(errno, "Changing", path + "/" + entry->d_name);
    }
  }
}

bool StartsWith(const std::string& text, const char* prefix) {
  return strncasecmp(text.c_str(), prefix, std::strlen(prefix)) == 0;
}

constexpr size_t kLongestOption = 256;

bool ContainsIgnoringCase(const std::string& text, const std::string& part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(), [](char a, char b) {
           return tolower(static_cast<unsigned char>(a)) == tolower(static_cast<unsigned char>(b));
         }) != text.end();
}

constexpr size_t kMostArchitectures = 64;
constexpr size_t kLongestSourceWord = 32768;

}  // namespace

bool IsArchitecture(const std::string& name) {
  constexpr size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

namespace {

bool AllowedOption(const std::string& name) {
  if (name.size() > kLongestOption) return false;
  // Commands: proxy detection, hooks, options of programs. And checks: of repositories, of a
  // server's certificate, of hashes.
  for (const char* word :
       {"proxy-auto-detect", "proxyautodetect", "invoke", "allowinsecure", "allowweak",
        "allowdowngradetoinsecure", "indextargets", "acquire::cdrom", "acquire::gpgv",
        "acquire::sqv", "acquire::rsh", "acquire::ssh", "verify-", "forcehash", "allow-insecure",
        "allow-weak", "allow-downgrade", "sslforceversion", "::options"}) {
    if (ContainsIgnoringCase(name, word)) return false;
  }
  for (const char* prefix : {"Acquire::",
                             "APT::Default-Release",
                             "APT::Install-",
                             "APT::NeverAutoRemove",
                             "APT::Never-MarkAuto-Sections",
                             "APT::Move-Autobit-Sections",
                             "APT::AutoRemove::",
                             "APT::Immediate-Configure",
                             "APT::Force-LoopBreak",
                             "APT::Get::Phase-Policy",
                             "APT::Get::Always-Include-Phased-Updates",
                             "APT::Get::Never-Include-Phased-Updates",
                             "APT::Machine-ID",
                             "APT::Build-Profiles",
                             "APT::Update::Error-Mode",
                             "APT::Cache-",
                             "APT::Ignore-",
                             "pkgProblemResolver::",
                             "OrderList::",
                             "PackageManager::UnpackAll"}) {
    if (StartsWith(name, prefix)) return true;
  }
  return false;
}

}  // namespace

bool AllowedSetting(const std::pair<std::string, std::string>& setting) {
  const auto& [name, value] = setting;
  // Which of them are regular expressions is the library's business.
  if (name != "#clear") return AllowedOption(name) && ProblemOfValue(value).empty();
  // Not a whole branch: the library's defaults are in it.
  return AllowedOption(value) && value.compare(value.size() - 2, 2, "::") != 0;
}

void CheckOptions(const ContextOptions& options) {
  const auto refuse = [](const std::string& name, const std::string& problem) {
    throw Failure("ERR_INVALID_ARG_VALUE", "The argument '" + name + "' " + problem);
  };
  for (const std::string& name : options.architectures) {
    if (!IsArchitecture(name)) refuse("options.architectures", "must be names of architectures");
  }
  if (!IsArchitecture(options.architecture) || options.architectures.size() > kMostArchitectures) {
    refuse("options.architecture", "must be an architecture, one of a few");
  }
  for (const auto& setting : options.config) {
    if (AllowedSetting(setting)) continue;
    const auto& [name, value] = setting;
    refuse("options.config",
           "must not set " + (name == "#clear" ? value : name) +
               ": it may run programs, move directories or weaken checks, or has a value that "
               "cannot be used");
  }
  // What uname(2) has room for; it becomes part of a regular expression.
  if (options.running_kernel.size() > 64) refuse("options.runningKernel", "is too long");
  if (options.preferences.has_value()) {
    CheckPreferences(*options.preferences, "options.preferences", "ERR_INVALID_ARG_VALUE");
  }
  std::istringstream words(options.sources);
  for (std::string word; words >> word;) {
    if (word.size() > kLongestSourceWord) refuse("options.sources", "has a word that is too long");
    for (const char* scheme : {"cdrom:", "rsh:", "ssh:"}) {
      if (StartsWith(word, scheme)) {
        refuse("options.sources", std::string("must not use ") + scheme + " it runs programs");
      }
    }
  }
}

Context::Context(ContextOptions options, Holder holder) : options_(std::move(options)) {
  if (holder == Holder::kThis) MakeContents();
  Configure();
  if (holder == Holder::kThis && options_.root_config) ReadRoot();
  Apply(options_.config);
  options_.recommends = configuration_.FindB("APT::Install-Recommends", true);
}

void Context::ReadRoot() {
  const Session session(configuration_);
  RootConfig read =
      ReadRootConfig(options_.root.value_or(""), options_.directory + "/etc/root.conf");
  ignored_ = std::move(read.ignored);
  // A caller's own come last, so they win.
  read.settings.insert(read.settings.end(), options_.config.begin(), options_.config.end());
  options_.config = std::move(read.settings);
}

void Context::Apply(const Settings& settings) {
  for (const auto& [name, value] : settings) {
    if (name == "#clear") {
      configuration_.Clear(value);
    } else {
      configuration_.Set(name, value);
    }
  }
}

void Context::MakeContents() {
  const std::string& directory = options_.directory;
  MakeDirectories(directory);
  lock_ = LockDirectory(directory);
  for (const char* name : {"/lists", "/lists/auxfiles", "/archives", "/etc", "/etc/empty"}) {
    MakeDirectory(directory + name, 0755);
  }
  WriteIfChanged(directory + "/etc/context.sources", options_.sources);
  WriteIfChanged(directory + "/etc/preferences", options_.preferences.value_or(""));
  WriteLogins();
}

// One file, because libapt-pkg takes one beside a directory: the root's own comes after ours.
void Context::WriteLogins() {
  const std::string path = options_.directory + "/etc/auth.conf";
  if (unlink(path.c_str()) != 0 && errno != ENOENT) throw SystemFailure(errno, "Removing", path);
  if (!options_.auth.has_value()) return;
  std::string text = *options_.auth;
  if (options_.root.has_value()) {
    std::ifstream theirs(*options_.root + "/etc/apt/auth.conf", std::ios::binary);
    std::ostringstream content;
    content << theirs.rdbuf();
    text += content.str();
  }
  const FileDescriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) throw SystemFailure(errno, "Creating", path);
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(file.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) throw SystemFailure(errno, "Writing", path);
    if (count > 0) done += static_cast<size_t>(count);
  }
}

void Context::Configure() {
  Configuration& set = configuration_;
  const std::string& own = options_.directory;
  const bool rooted = options_.root.has_value();
  const std::string etc = rooted ? *options_.root + "/etc/apt" : own + "/etc/empty";
  // What pkgInitConfig sets. It is not called: it reads $APT_CONFIG and the host's apt.conf.
  set.Set("APT::Architecture", options_.architecture);
  for (const std::string& name : options_.architectures) set.Set("APT::Architectures::", name);
  set.Set("APT::Build-Essential::", "build-essential");
  set.Set("APT::Install-Recommends", options_.recommends ? "true" : "false");
  set.Set("APT::Install-Suggests", "false");
  set.Set("APT::System", "Debian dpkg interface");
  // RootDir would move the methods and dpkg's tables too.
  set.Set("Dir", rooted ? *options_.root + "/" : "/");
  set.Set("Dir::State", own + "/");
  set.Set("Dir::State::lists", own + "/lists/");
  set.Set("Dir::State::cdroms", own + "/cdroms.list");
  set.Set("Dir::State::status", options_.dpkg_status.value_or(own + "/etc/empty/status"));
  set.Set("Dir::State::extended_states", options_.extended_states.value_or("/dev/null"));
  set.Set("Dir::Cache", own + "/");
  set.Set("Dir::Cache::archives", own + "/archives/");
  set.Set("Dir::Cache::srcpkgcache", "srcpkgcache.bin");
  // Named after the status file when a cache is opened.
  set.Set("Dir::Cache::pkgcache", "");
  set.Set("Dir::Etc", etc);
  set.Set("Dir::Etc::sourcelist", own + "/etc/context.sources");
  set.Set("Dir::Etc::sourceparts", "/dev/null");
  set.Set("Dir::Etc::main", "/dev/null");
  set.Set("Dir::Etc::parts", "/dev/null");
  const std::string logins = rooted ? "auth.conf" : "/dev/null";
  set.Set("Dir::Etc::netrc", options_.auth.has_value() ? own + "/etc/auth.conf" : logins);
  set.Set("Dir::Etc::netrcparts", rooted ? "auth.conf.d" : "/dev/null");
  const bool own_preferences = options_.preferences.has_value() || !rooted;
  set.Set("Dir::Etc::preferences", own_preferences ? own + "/etc/preferences" : "preferences");
  set.Set("Dir::Etc::preferencesparts", own_preferences ? own + "/etc/empty" : "preferences.d");
  set.Set("Dir::Etc::trusted", rooted ? "trusted.gpg" : "/dev/null");
  set.Set("Dir::Etc::trustedparts", rooted ? "trusted.gpg.d" : own + "/etc/empty");
  set.Set("Dir::Bin::methods", "/usr/lib/apt/methods");
  set.Set("Dir::Bin::solvers::", "/usr/lib/apt/solvers");
  set.Set("Dir::Bin::planners::", "/usr/lib/apt/planners");
  set.Set("Dir::Bin::dpkg", "/usr/bin/dpkg");
  set.Set("Dir::Media::MountPath", "/media/apt");
  set.Set("Dir::Log", "/dev/null");
  set.Set("Dir::Log::Terminal", "/dev/null");
  set.Set("Dir::Log::History", "/dev/null");
  set.Set("Dir::Log::Planner", "/dev/null");
  for (const char* pattern : {"~$", "\\.disabled$", "\\.bak$", "\\.dpkg-[a-z]+$", "\\.ucf-[a-z]+$",
                              "\\.save$", "\\.orig$", "\\.distUpgrade$"}) {
    set.Set("Dir::Ignore-Files-Silently::", pattern);
  }
  set.Set("Acquire::AllowInsecureRepositories", "false");
  set.Set("Acquire::AllowWeakRepositories", "false");
  set.Set("Acquire::AllowDowngradeToInsecureRepositories", "false");
  set.Set("Acquire::cdrom::mount", "/media/cdrom/");
  set.Set("Acquire::Languages", "none");
  const std::string target = "Acquire::IndexTargets::deb::Packages::";
  set.Set(target + "MetaKey", "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages");
  set.Set(target + "flatMetaKey", "Packages");
  set.Set(target + "ShortDescription", "Packages");
  set.Set(target + "Description", "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages");
  set.Set(target + "flatDescription", "$(RELEASE) Packages");
  set.Set(target + "Optional", "false");
  const std::string texts = "Acquire::IndexTargets::deb::Translations::";
  set.Set(texts + "MetaKey", "$(COMPONENT)/i18n/Translation-$(LANGUAGE)");
  set.Set(texts + "flatMetaKey", "$(LANGUAGE)");
  set.Set(texts + "ShortDescription", "Translation-$(LANGUAGE)");
  set.Set(texts + "Description", "$(RELEASE)/$(COMPONENT) Translation-$(LANGUAGE)");
  set.Set(texts + "flatDescription", "$(RELEASE) Translation-$(LANGUAGE)");
  const std::string sources = "Acquire::IndexTargets::deb-src::Sources::";
  set.Set(sources + "MetaKey", "$(COMPONENT)/source/Sources");
  set.Set(sources + "flatMetaKey", "Sources");
  set.Set(sources + "ShortDescription", "Sources");
  set.Set(sources + "Description", "$(RELEASE)/$(COMPONENT) Sources");
  set.Set(sources + "flatDescription", "$(RELEASE) Sources");
  set.Set(sources + "Optional", "false");
  // Where the archives that do not say so themselves have their changelogs. Never those of
  // installed packages below Dir: that may be this machine's root.
  const std::string changelogs = "Acquire::Changelogs::URI::Origin::";
  set.Set(changelogs + "Debian",
          "https://metadata.ftp-master.debian.org/changelogs/@CHANGEPATH@_changelog");
  set.Set(changelogs + "Ubuntu",
          "https://changelogs.ubuntu.com/changelogs/pool/@CHANGEPATH@/changelog");
  set.Set("Acquire::Changelogs::AlwaysOnline", "true");
  // A root that speaks for itself has them, or does without.
  if (!options_.root_config) ConfigureLists();
  // The library's own locks hold once per process, whatever the root; see LockDirectory.
  set.Set("Debug::NoLocking", "true");
}

// Shipped as a file of apt.conf.d, so not among the library's defaults.
void Context::ConfigureLists() {
  Configuration& set = configuration_;
  for (const char* pattern : {"^firmware-linux.*", "^linux-firmware$", "^linux-image-[a-z0-9]*$",
                              "^linux-image-[a-z0-9]*-[a-z0-9]*$"}) {
    set.Set("APT::NeverAutoRemove::", pattern);
  }
  for (const char* pattern : {"linux-.*", "kfreebsd-.*", "gnumach-.*", ".*-modules", ".*-kernel"}) {
    set.Set("APT::VersionedKernelPackages::", pattern);
  }
  for (const char* section : {"metapackages", "tasks"}) {
    set.Set("APT::Never-MarkAuto-Sections::", section);
  }
  set.Set("APT::Move-Autobit-Sections::", "oldlibs");
}

void Context::PrepareDownloads() {
  const std::optional<uid_t> sandbox = SandboxUser();
  const bool root = geteuid() == 0;
  const bool separate = root && sandbox.has_value() && Reachable(options_.directory, *sandbox);
  // Only what talks to strangers runs as another user; left to itself the library would also write
  // the lists as that one.
  configuration_.Set("APT::Sandbox::User", root ? "root" : "");
  for (const char* method : {"http", "https"}) {
    configuration_.Set(std::string("Binary::") + method + "::APT::Sandbox::User",
                       separate ? "_apt" : "root");
  }
  const uid_t owner = separate ? *sandbox : geteuid();
  GivePartial(options_.directory + "/lists/partial", owner);
  GivePartial(options_.directory + "/archives/partial", owner);
}

}  // namespace apt_ostree::apt
