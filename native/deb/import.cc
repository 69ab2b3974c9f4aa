#include "deb/import.h"

#include <sys/stat.h>

#include <array>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "deb/control.h"
#include "deb/hollow.h"
#include "deb/source.h"
#include "deb/tar.h"
#include "deb/tree_builder.h"
#include "ostree/content.h"

namespace apt_ostree {

namespace {

constexpr size_t kChunk = 256 * 1024;
// Control members are held in memory; Debian's largest (md5sums, templates) are far below this.
constexpr uint64_t kLargestMember = 64 * 1024 * 1024;
constexpr std::array kScripts = {"preinst", "postinst", "prerm", "postrm", "config"};

// A path of the archive in the commit: merged-/usr systems have what lies in /bin and its like
// below /usr. The directory itself moves too; a link of that name, as base-files may ship, stays.
std::string PlaceOf(const std::string& path, bool is_directory) {
  static const std::unordered_set<std::string> kMoved = {"bin",   "sbin",  "lib",
                                                         "lib32", "lib64", "libx32"};
  if (path.empty()) return "tree";
  const size_t slash = path.find('/');
  const bool moves =
      (slash != std::string::npos || is_directory) && kMoved.contains(path.substr(0, slash));
  return (moves ? "tree/usr/" : "tree/") + path;
}

bool IsName(const std::string& text, const char* extra) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alnum && std::string_view(extra).find(c) == std::string_view::npos) return false;
  }
  return true;
}

class Importer {
 public:
  Importer(OstreeRepo* repo, const std::string& path, JobContext& job)
      : repo_(repo),
        job_(job),
        file_(path, job),
        content_(repo, job),
        hollow_(repo, job),
        tree_(content_),
        chunk_(std::make_unique<char[]>(kChunk)) {}

  const std::string& package() const { return result_.package; }
  ImportedDeb Run(const std::optional<std::string>& sha256);

 private:
  void ReadControl(ByteSource& source);
  void ReadFields();
  void ReadData(ByteSource& source);
  void AddFile(TarReader& tar, const TarEntry& entry, const std::string& path);
  void AddLink(const TarEntry& entry, const std::string& path);
  void Hollow(const std::string& bytes) { hollow_.Append(bytes.data(), bytes.size()); }
  std::string Inline(const std::string& content, uint32_t mode);
  void WriteCommit();

  OstreeRepo* repo_;
  JobContext& job_;
  FileSource file_;
  ContentWriter content_;
  ContentWriter hollow_;
  TreeBuilder tree_;
  std::unique_ptr<char[]> chunk_;
  ImportedDeb result_;

  struct Member {
    std::string content;
    uint32_t mode = 0;
  };
  std::map<std::string, Member> control_;
  std::unordered_set<std::string> conffiles_;
  struct Known {
    std::string checksum;
    std::string md5;
  };
  // What hard links can name: by path in the archive.
  std::unordered_map<std::string, Known> known_;
  bool make_md5sums_ = false;
  std::string md5sums_;
};

// "data.tar.xz" -> ".xz" for stem "data.tar"; absent for other members.
std::optional<std::string> SuffixAfter(const std::string& name, const std::string& stem) {
  if (name.compare(0, stem.size(), stem) != 0) return std::nullopt;
  const std::string suffix = name.substr(stem.size());
  if (!suffix.empty() && suffix[0] != '.') return std::nullopt;
  return suffix;
}

ImportedDeb Importer::Run(const std::optional<std::string>& sha256) {
  ArReader ar(file_);
  if (!ar.Next() || ar.name() != "debian-binary") throw Damaged("no debian-binary member");
  char version[4] = {};
  if (!ar.ReadExactly(version, 3, "debian-binary") || version[0] < '0' || version[0] > '9') {
    throw Damaged("debian-binary has no version");
  }
  if (version[0] != '2' || version[1] != '.') throw Unsupported("its format is not 2.x");
  bool have_control = false;
  bool have_data = false;
  while (!have_data && ar.Next()) {
    if (const auto suffix = SuffixAfter(ar.name(), "control.tar"); suffix && !have_control) {
      auto source = Decompressed(ar, *suffix);
      ReadControl(*source);
      source->Drain();
      ReadFields();
      have_control = true;
    } else if (const auto data = SuffixAfter(ar.name(), "data.tar"); data && have_control) {
      auto source = Decompressed(ar, *data);
      ReadData(*source);
      source->Drain();
      // What the decompressor did not want is still part of the member.
      ar.Drain();
      have_data = true;
    } else if (ar.name().empty() || ar.name()[0] != '_') {
      throw Damaged("unexpected member " + ar.name());
    }
  }
  if (!have_control) throw Damaged("no control archive");
  if (!have_data) throw Damaged("no data archive");
  file_.Drain();
  result_.size = file_.size();
  result_.sha256 = file_.Sha256Hex();
  if (sha256 && *sha256 != result_.sha256) {
    throw Damaged("its SHA-256 is " + result_.sha256 + ", not " + *sha256);
  }
  WriteCommit();
  return std::move(result_);
}

void Importer::ReadControl(ByteSource& source) {
  TarReader tar(source);
  TarEntry entry;
  while (tar.Next(entry)) {
    const std::string name = CleanPath(entry.name);
    if (entry.type == TarEntry::Type::kDirectory && name.empty()) continue;
    if (entry.type != TarEntry::Type::kFile || name.find('/') != std::string::npos) {
      throw Unsupported("the control archive has more than plain files: " + entry.name);
    }
    if (entry.size > kLargestMember) throw Unsupported("control member " + name + " is too large");
    Member member;
    member.mode = entry.mode & 0777;
    member.content.resize(entry.size);
    if (entry.size > 0) tar.ReadExactly(member.content.data(), entry.size, name.c_str());
    control_[name] = std::move(member);
  }
}

void Importer::ReadFields() {
  const auto control = control_.find("control");
  if (control == control_.end()) throw Damaged("no control file");
  auto fields = ParseControl(control->second.content);
  result_.package = fields["package"];
  result_.version = fields["version"];
  result_.architecture = fields["architecture"];
  // They become parts of refs and file names.
  if (!IsName(result_.package, "+-.") || !IsName(result_.version, ".+-:~") ||
      !IsName(result_.architecture, "-")) {
    throw Damaged("its control file has no proper package, version and architecture");
  }
  result_.pre_depends = fields["pre-depends"];
  if (!g_utf8_validate(result_.pre_depends.c_str(), -1, nullptr)) {
    throw Damaged("its control file is not UTF-8");
  }
  result_.essential = fields["essential"] == "yes";
  for (const char c : fields["installed-size"]) {
    if (c < '0' || c > '9' || result_.installed_size > (UINT64_MAX >> 20)) break;
    result_.installed_size = result_.installed_size * 10 + static_cast<uint64_t>(c - '0');
  }
  result_.installed_size *= 1024;
  for (const char* script : kScripts) {
    if (control_.contains(script)) result_.scripts.push_back(script);
  }
  if (const auto conffiles = control_.find("conffiles"); conffiles != control_.end()) {
    for (const std::string& path : ParseConffiles(conffiles->second.content)) {
      conffiles_.insert(CleanPath(path));
      result_.conffiles.push_back("/" + path);
    }
  }
  make_md5sums_ = !control_.contains("md5sums");
}

void Importer::ReadData(ByteSource& source) {
  hollow_.Begin({0, 0, S_IFREG | 0644, nullptr});
  tree_.Directory("tree", 0, 0, 0755);
  TarReader tar(source);
  TarEntry entry;
  while (tar.Next(entry)) {
    const std::string path = CleanPath(entry.name);
    switch (entry.type) {
      case TarEntry::Type::kDirectory:
        tree_.Directory(PlaceOf(path, true), entry.uid, entry.gid, entry.mode);
        Hollow(entry.raw);
        break;
      case TarEntry::Type::kSymlink: {
        if (!g_utf8_validate(entry.link.data(), static_cast<gssize>(entry.link.size()), nullptr)) {
          throw Unsupported("the target of " + path + " is not UTF-8");
        }
        if (entry.link.empty()) throw Damaged("the link " + path + " has no target");
        const std::string checksum = content_.Symlink(entry.uid, entry.gid, nullptr, entry.link);
        tree_.File(PlaceOf(path, false), checksum);
        known_[path] = {checksum, ""};
        Hollow(entry.raw);
        break;
      }
      case TarEntry::Type::kHardLink:
        AddLink(entry, path);
        break;
      case TarEntry::Type::kFile:
        AddFile(tar, entry, path);
        break;
      case TarEntry::Type::kCharacter:
      case TarEntry::Type::kBlock:
        throw Unsupported("device node " + entry.name);
      case TarEntry::Type::kPipe:
        throw Unsupported("named pipe " + entry.name);
    }
  }
  Hollow(std::string(2 * kTarBlock, '\0'));
}

void Importer::AddLink(const TarEntry& entry, const std::string& path) {
  const auto target = known_.find(CleanPath(entry.link));
  if (target == known_.end()) {
    throw Damaged("hard link " + path + " to " + entry.link + ", which does not come before it");
  }
  const Known known = target->second;
  tree_.File(PlaceOf(path, false), known.checksum);
  if (make_md5sums_ && !known.md5.empty()) {
    md5sums_ += known.md5 + "  " + path + "\n";
  }
  known_[path] = known;
  ++result_.hardlinks;
  Hollow(entry.raw);
}

void Importer::AddFile(TarReader& tar, const TarEntry& entry, const std::string& path) {
  const bool real = entry.size == 0 || conffiles_.contains(path);
  std::unique_ptr<GChecksum, FreeWith<g_checksum_free>> md5;
  if (make_md5sums_) md5.reset(g_checksum_new(G_CHECKSUM_MD5));
  if (real) Hollow(entry.raw);
  content_.Begin({entry.uid, entry.gid, S_IFREG | entry.mode, nullptr});
  while (const size_t count = tar.Read(chunk_.get(), kChunk)) {
    content_.Append(chunk_.get(), count);
    if (md5) {
      g_checksum_update(md5.get(), reinterpret_cast<const guchar*>(chunk_.get()),
                        static_cast<gssize>(count));
    }
    if (real) hollow_.Append(chunk_.get(), count);
  }
  const std::string checksum = content_.Finish();
  if (real) {
    Hollow(TarPadding(entry.size));
  } else {
    Hollow(TarHeaderWithSize(entry.raw, kStubSize));
    Hollow(StubOf(checksum));
    Hollow(TarPadding(kStubSize));
  }
  tree_.File(PlaceOf(path, false), checksum);
  Known known{checksum, md5 ? g_checksum_get_string(md5.get()) : ""};
  if (md5) md5sums_ += known.md5 + "  " + path + "\n";
  known_[path] = std::move(known);
  ++result_.files;
  result_.bytes += entry.size;
}

std::string Importer::Inline(const std::string& content, uint32_t mode) {
  content_.Begin({0, 0, S_IFREG | mode, nullptr});
  content_.Append(content.data(), content.size());
  return content_.Finish();
}

void Importer::WriteCommit() {
  // dpkg writes this file itself where a package has none, from content that hollow packages
  // do not have.
  if (make_md5sums_) control_["md5sums"] = {md5sums_, 0644};
  for (const auto& [name, member] : control_) {
    tree_.File("deb/control/" + name, Inline(member.content, member.mode));
  }
  tree_.File("deb/hollow.tar", hollow_.Finish());
  GError* error = nullptr;
  GObjectPtr<GFile> root;
  if (!ostree_repo_write_mtree(repo_, tree_.root(), root.out(), job_.cancellable(), &error)) {
    throw FromGError(error, "Writing a package's tree");
  }

  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  const auto text = [&builder](const char* key, const std::string& value) {
    g_variant_builder_add(&builder, "{sv}", key, g_variant_new_string(value.c_str()));
  };
  const auto number = [&builder](const char* key, uint64_t value) {
    g_variant_builder_add(&builder, "{sv}", key, g_variant_new_uint64(value));
  };
  const auto texts = [&builder](const char* key, const std::vector<std::string>& values) {
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE_STRING_ARRAY);
    for (const std::string& value : values) g_variant_builder_add(&list, "s", value.c_str());
    g_variant_builder_add(&builder, "{sv}", key, g_variant_builder_end(&list));
  };
  // All of ImportedDeb, so that it need not be imported again to be known.
  text("apt-ostree.architecture", result_.architecture);
  number("apt-ostree.bytes", result_.bytes);
  texts("apt-ostree.conffiles", result_.conffiles);
  g_variant_builder_add(&builder, "{sv}", "apt-ostree.essential",
                        g_variant_new_boolean(result_.essential));
  number("apt-ostree.files", result_.files);
  g_variant_builder_add(&builder, "{sv}", "apt-ostree.format", g_variant_new_uint32(1));
  number("apt-ostree.hardlinks", result_.hardlinks);
  number("apt-ostree.installed-size", result_.installed_size);
  text("apt-ostree.package", result_.package);
  text("apt-ostree.pre-depends", result_.pre_depends);
  texts("apt-ostree.scripts", result_.scripts);
  text("apt-ostree.sha256", result_.sha256);
  number("apt-ostree.size", result_.size);
  text("apt-ostree.version", result_.version);
  auto metadata = VariantPtr::Sink(g_variant_builder_end(&builder));

  GStringPtr commit;
  const std::string subject = result_.package + " " + result_.version + " " + result_.architecture;
  // Time 0 and no parent: the same package is the same commit everywhere.
  if (!ostree_repo_write_commit_with_time(repo_, nullptr, subject.c_str(), nullptr, metadata.get(),
                                          OSTREE_REPO_FILE(root.get()), 0, Out(commit),
                                          job_.cancellable(), &error)) {
    throw FromGError(error, "Writing a package's commit");
  }
  result_.commit = commit.get();
  result_.ref = PackageRef(result_.package, result_.version, result_.architecture);
  job_.ThrowIfCancelled();
  ostree_repo_transaction_set_ref(repo_, nullptr, result_.ref.c_str(), result_.commit.c_str());
}

}  // namespace

ImportedDeb ImportDeb(OstreeRepo* repo, const std::string& path,
                      const std::optional<std::string>& sha256, JobContext& job) {
  std::string package;
  try {
    Importer importer(repo, path, job);
    try {
      return importer.Run(sha256);
    } catch (...) {
      package = importer.package();
      throw;
    }
  } catch (NativeError& error) {
    if (error.code() != "ABORT_ERR") {
      error.Detail("path", path);
      if (!package.empty()) error.Detail("package", package);
    }
    throw;
  }
}

}  // namespace apt_ostree
