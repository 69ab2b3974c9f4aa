#include "ostree/archive_import.h"

#include <archive.h>
#include <gio/gio.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/gobject.h"
#include "core/patient_read.h"
#include "core/utf8_locale.h"

namespace apt_ostree {

namespace {

constexpr size_t kBlock = 256 * 1024;

using ArchivePtr = std::unique_ptr<struct archive, FreeWith<archive_read_free>>;
using RegexPtr = std::unique_ptr<GRegex, FreeWith<g_regex_unref>>;

NativeError ArchiveError(struct archive* archive, const std::string& name) {
  const char* text = archive_error_string(archive);
  GStringPtr valid(g_utf8_make_valid(text != nullptr ? text : "failed", -1));
  return NativeError("ERR_OSTREE_FAILED", std::string("Reading an archive: ") + valid.get())
      .Domain("archive", archive_errno(archive))
      .Detail("path", name);
}

RegexPtr Compile(const std::string& pattern, GError** error) {
  return RegexPtr(g_regex_new(pattern.c_str(), static_cast<GRegexCompileFlags>(0),
                              static_cast<GRegexMatchFlags>(0), error));
}

// Paths are relative here, without "./" before them.
class PathMap {
 public:
  explicit PathMap(const ArchiveOptions& options) : options_(options) {
    if (options.pattern) regex_ = Compile(options.pattern->first, nullptr);
  }

  // g_malloc'ed, as libostree frees it; null leaves the path.
  static char* Translate(OstreeRepo*, const struct stat*, const char* path, gpointer data) {
    if (path == nullptr) return nullptr;
    const std::string text = static_cast<const PathMap*>(data)->Map(path);
    return g_strndup(text.data(), text.size());
  }

 private:
  std::string Map(std::string path) const {
    if (regex_) {
      GError* error = nullptr;
      GStringPtr replaced(g_regex_replace(regex_.get(), path.c_str(), -1, 0,
                                          options_.pattern->second.c_str(),
                                          static_cast<GRegexMatchFlags>(0), &error));
      // Not UTF-8, say: the name stays and libostree says what it thinks of it.
      g_clear_error(&error);
      if (replaced) path = replaced.get();
    }
    for (const auto& [from, to] : options_.moves) {
      if (Move(path, from, to)) break;
    }
    if (options_.usr_etc) Move(path, "etc", "usr/etc");
    return path;
  }

  static bool Move(std::string& path, const std::string& from, const std::string& to) {
    if (path.compare(0, from.size(), from) != 0) return false;
    if (path.size() != from.size() && path[from.size()] != '/') return false;
    path = to + path.substr(from.size());
    if (!path.empty() && path[0] == '/') path.erase(0, 1);
    return true;
  }

  const ArchiveOptions& options_;
  RegexPtr regex_;
};

// What libarchive needs to read a descriptor and to stop when the job does.
struct Source {
  int fd;
  const JobContext* job;
  std::unique_ptr<char[]> buffer = std::make_unique<char[]>(kBlock);

  static la_ssize_t Read(struct archive* archive, void* data, const void** buffer) {
    auto* source = static_cast<Source*>(data);
    *buffer = source->buffer.get();
    const ssize_t count =
        PatientRead(source->fd, source->buffer.get(), kBlock, source->job->cancellable());
    if (count < 0) archive_set_error(archive, errno, "%s", g_strerror(errno));
    return count;
  }
};

}  // namespace

ArchiveOptions CheckedArchive(const Options& options, Napi::Env env) {
  ArchiveOptions archive;
  archive.create_parents = options.Bool("createParents", true);
  archive.skip_devices = options.Bool("skipDevices", false);
  archive.usr_etc = options.Bool("usrEtc", false);
  const std::vector<std::string> moves = options.Strings("moves");
  if (moves.size() % 2 != 0) throw InvalidArgumentValue(env, "moves", "must be pairs");
  for (size_t i = 0; i < moves.size(); i += 2) archive.moves.emplace_back(moves[i], moves[i + 1]);
  if (auto pattern = options.OptionalString("pattern")) {
    GError* error = nullptr;
    const std::string replacement = options.OptionalString("replacement").value_or("");
    const bool usable = Compile(*pattern, &error) != nullptr &&
                        g_regex_check_replacement(replacement.c_str(), nullptr, &error) != FALSE;
    if (!usable) {
      GStringPtr text(g_utf8_make_valid(error != nullptr ? error->message : "", -1));
      g_clear_error(&error);
      throw InvalidArgumentValue(env, "pattern",
                                 std::string("is not a regular expression: ") + text.get());
    }
    archive.pattern.emplace(std::move(*pattern), replacement);
  }
  return archive;
}

void ImportArchive(OstreeRepo* repo, int fd, const std::string& name, OstreeMutableTree* tree,
                   CommitModifier& modifier, const ArchiveOptions& options, const JobContext& job) {
  const Utf8Locale locale;
  ArchivePtr archive(archive_read_new());
  if (!archive) throw NativeError("ENOMEM", "Out of memory");
  archive_read_support_filter_all(archive.get());
  archive_read_support_format_all(archive.get());
  Source source{fd, &job};
  if (archive_read_open(archive.get(), &source, nullptr, Source::Read, nullptr) != ARCHIVE_OK) {
    job.ThrowIfCancelled();
    throw ArchiveError(archive.get(), name);
  }
  PathMap map(options);
  OstreeRepoImportArchiveOptions import = {};
  import.autocreate_parents = options.create_parents;
  import.ignore_unsupported_content = options.skip_devices;
  if (!options.moves.empty() || options.pattern || options.usr_etc) {
    import.translate_pathname = PathMap::Translate;
    import.translate_pathname_user_data = &map;
  }
  GError* error = nullptr;
  const bool imported =
      ostree_repo_import_archive_to_mtree(repo, &import, archive.get(), tree, modifier.get(),
                                          job.cancellable(), &error) != FALSE;
  try {
    modifier.Check();
    if (!imported) job.ThrowIfCancelled();
  } catch (...) {
    g_clear_error(&error);
    throw;
  }
  if (!imported) throw FromGError(error, "Importing an archive").Detail("path", name);
}

}  // namespace apt_ostree
