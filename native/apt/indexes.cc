#include "apt/indexes.h"

#include <apt-pkg/configuration.h>
#include <apt-pkg/debfile.h>
#include <apt-pkg/error.h>
#include <apt-pkg/fileutl.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/sourcelist.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "apt/failure.h"

namespace apt_ostree::apt {

namespace {

// The cache has 16 bits for the length of a text; the library makes some a little longer itself.
constexpr size_t kLongest = 60000;
constexpr size_t kBlock = size_t{256} << 10;

// Fields of packages, translations and releases of which the cache takes all.
constexpr std::string_view kWhole[] = {
    "package",  "version", "architecture", "section",    "source",   "suite",          "archive",
    "codename", "origin",  "label",        "multi-arch", "priority", "description-md5"};
// Fields of which it takes each name and version.
constexpr std::string_view kLists[] = {"depends",   "pre-depends", "recommends", "suggests",
                                       "enhances",  "conflicts",   "breaks",     "replaces",
                                       "obsoletes", "provides"};

// Reads up to `size` bytes; fewer only at the end.
using ReadMore = std::function<size_t(char* to, size_t size)>;

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string Name(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\n");
  if (start == std::string_view::npos) return "";
  text.remove_prefix(start);
  return std::string(text.substr(0, std::min<size_t>(text.find_first_of(" \t\n\r"), 100)));
}

// The longest part of a list of dependencies that the library could take for one text. What is in
// parentheses is a version, whatever else it has.
size_t LongestPart(std::string_view value) {
  size_t longest = 0;
  size_t start = 0;
  bool inside = false;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '(') inside = true;
    if (value[i] == ')') inside = false;
    if (inside || (value[i] != ',' && value[i] != '|')) continue;
    longest = std::max(longest, i - start);
    start = i + 1;
  }
  return std::max(longest, value.size() - start);
}

class IndexCheck {
 public:
  IndexCheck(std::string file, ReadMore read) : file_(std::move(file)), read_(std::move(read)) {}

  // Only fields that are longer than a text may be are looked at, and between these the reader
  // steps from the last beginning of a field in reach to the next such one.
  void Run() {
    while (Fill(kLongest + 1)) {
      size_t place = start_ + kLongest;
      while (place > start_ && !BeginsField(place)) --place;
      if (place == start_) {
        place = EndOfField();
        CheckField(std::string_view(buffer_).substr(start_, place - start_));
      }
      start_ = place;
    }
  }

 private:
  bool BeginsField(size_t place) const {
    return buffer_[place - 1] == '\n' && (buffer_[place] == '\n' || !IsSpace(buffer_[place]));
  }

  // Whether `size` bytes from the start on are there.
  bool Fill(size_t size) {
    // What lies before is kept for the name of the package.
    if (start_ > 4 * kBlock) {
      buffer_.erase(0, start_ - kBlock);
      start_ = kBlock;
    }
    while (buffer_.size() - start_ < size && !ended_) {
      const size_t before = buffer_.size();
      buffer_.resize(before + kBlock);
      const size_t count = read_(buffer_.data() + before, kBlock);
      buffer_.resize(before + count);
      ended_ = count < kBlock;
    }
    return buffer_.size() - start_ >= size;
  }

  size_t EndOfField() {
    for (size_t length = kLongest; Fill(length + 1); ++length) {
      if (BeginsField(start_ + length)) return start_ + length;
    }
    return buffer_.size();
  }

  void CheckField(std::string_view field) const {
    const size_t colon = std::min(field.find(':'), field.size());
    std::string name(field.substr(0, std::min<size_t>(colon, 100)));
    name.erase(name.find_last_not_of(" \t") + 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto is = [&name](std::string_view one) { return name == one; };
    const std::string_view value = field.substr(std::min(colon + 1, field.size()));
    const bool whole = std::any_of(std::begin(kWhole), std::end(kWhole), is);
    const bool list = std::any_of(std::begin(kLists), std::end(kLists), is);
    if (!whole && (!list || LongestPart(value) <= kLongest)) return;
    const std::string package = name == "package" ? Name(value) : PackageBefore();
    std::string text = file_ + ": the field " + name;
    if (!package.empty()) text += " of the package " + package;
    Failure failure("ERR_APT_FAILED", text + " is longer than a cache can hold");
    if (!package.empty()) failure.Detail("package", package);
    throw failure.Detail("path", file_);
  }

  std::string PackageBefore() const {
    constexpr std::string_view kField = "Package:";
    const std::string_view before = std::string_view(buffer_).substr(0, start_);
    const size_t record = before.rfind("\n\n");
    const size_t place = before.rfind(kField);
    const bool here =
        place != std::string_view::npos && (record == std::string_view::npos || place > record);
    return here ? Name(before.substr(place + kField.size())) : "";
  }

  const std::string file_;
  const ReadMore read_;
  std::string buffer_;
  size_t start_ = 0;
  bool ended_ = false;
};

void CheckFile(const std::string& path) {
  _error->PushToStack();
  FileFd file(path, FileFd::ReadOnly, FileFd::Extension);
  const auto read = [&file](char* to, size_t size) -> size_t {
    size_t done = 0;
    while (done < size) {
      unsigned long long count = 0;
      if (!file.Read(to + done, size - done, &count) || count == 0) break;
      done += count;
    }
    return done;
  };
  try {
    if (file.IsOpen() && !file.Failed()) IndexCheck(path, read).Run();
  } catch (...) {
    _error->RevertToStack();
    throw;
  }
  // What cannot be read is for the library to tell.
  file.Close();
  _error->RevertToStack();
}

// The control file of a .deb, which is kept in memory whole.
class ControlText : public debDebFile::MemControlExtract {
 public:
  bool DoItem(Item& item, int& fd) override {
    constexpr unsigned long long kLargest = 1 << 20;
    const std::string_view name = item.Name;
    if (item.Size > kLargest && (name == "control" || name == "./control")) {
      too_large_ = true;
      return false;
    }
    return MemControlExtract::DoItem(item, fd);
  }
  bool too_large() const { return too_large_; }

 private:
  bool too_large_ = false;
};

// Of what is no .deb nothing is said: the library does that.
void CheckDeb(const std::string& path) {
  std::string text;
  bool too_large = false;
  _error->PushToStack();
  {
    FileFd file(path, FileFd::ReadOnly);
    debDebFile deb(file);
    ControlText control;
    control.Read(deb);
    too_large = control.too_large();
    if (control.Control != nullptr) text.assign(control.Control, control.Length);
  }
  _error->RevertToStack();
  if (too_large) {
    throw Failure("ERR_APT_FAILED", path + ": its control file is too large").Detail("path", path);
  }
  size_t place = 0;
  IndexCheck(path, [&text, &place](char* to, size_t size) {
    const size_t count = text.copy(to, size, place);
    place += count;
    return count;
  }).Run();
}

// The files of the lists that go into a cache, all that there are.
std::vector<std::string> Lists(pkgSourceList& sources) {
  std::vector<std::string> files;
  for (const metaIndex* source : sources) {
    for (const IndexTarget& target : source->GetIndexTargets()) {
      if (target.Option(IndexTarget::CREATED_BY) == "Sources") continue;
      files.push_back(target.Option(IndexTarget::EXISTING_FILENAME));
    }
  }
  std::error_code ignored;
  const std::string directory = _config->FindDir("Dir::State::lists");
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    constexpr std::string_view kRelease = "Release";
    if (name.size() > kRelease.size() &&
        name.compare(name.size() - kRelease.size(), kRelease.size(), kRelease) == 0) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// What tells one state of the files from all others.
std::string StateOf(const std::vector<std::string>& files) {
  std::ostringstream text;
  for (const std::string& file : files) {
    struct stat info;
    if (stat(file.c_str(), &info) != 0) continue;
    text << file << ' ' << info.st_dev << ' ' << info.st_ino << ' ' << info.st_size;
    for (const struct timespec& time : {info.st_mtim, info.st_ctim}) {
      text << ' ' << time.tv_sec << '.' << time.tv_nsec;
    }
    text << '\n';
  }
  return text.str();
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

}  // namespace

void CheckIndexes(pkgSourceList& sources) {
  const std::vector<std::string> lists = Lists(sources);
  const std::string state = StateOf(lists);
  const std::string path = _config->FindDir("Dir::State") + "checked";
  if (Content(path) != state) {
    for (const std::string& list : lists) {
      if (RealFileExists(list)) CheckFile(list);
    }
    // Where it cannot be written, the lists are read again the next time.
    std::ofstream(path, std::ios::binary | std::ios::trunc) << state;
  }
  const std::string status = _config->FindFile("Dir::State::status");
  if (RealFileExists(status)) CheckFile(status);
  for (const pkgIndexFile* index : sources.GetVolatileFiles()) {
    const auto* file = dynamic_cast<const pkgDebianIndexRealFile*>(index);
    if (file != nullptr) CheckDeb(file->Describe(false));
  }
}

}  // namespace apt_ostree::apt
