// Writing the objects of files that lie on disk: attributes and content are read, hashed by us
// (core/sha256.h) and handed to libostree with their checksum. Safe on several threads at once.
#pragma once

#include <ostree.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/gobject.h"
#include "core/job.h"
#include "ostree/content.h"
#include "ostree/import_filter.h"
#include "ostree/xattrs.h"

namespace apt_ostree {

// The content objects of a repository by inode, on its device: files that are hard links of them
// need not be read.
class ObjectLinks {
 public:
  ObjectLinks(OstreeRepo* repo, const JobContext& job);
  // Null where `info` is no link of an object.
  const std::string* Find(const struct stat& info) const;

 private:
  dev_t device_ = 0;
  std::unordered_map<ino_t, std::string> objects_;
};

// A regular file or symbolic link of a directory, and what became of it.
struct FileItem {
  std::string name;
  ImportEntry entry;                   // as the rules left it
  const std::string* known = nullptr;  // the object that it is a link of
  FileAttributes source;               // owner and mode before the rules, where it is known
  VariantPtr source_xattrs;            // of `known`, where the file does not show them
  std::string checksum;                // the result
  bool read = false;                   // content was hashed
};

// One thread's means.
class FileImporter {
 public:
  FileImporter(OstreeRepo* repo, const JobContext& job, bool skip_xattrs, const XattrRules& rules);
  // Fills `checksum`; `directory` is the open directory of the file.
  void Import(int directory, FileItem& item);

 private:
  void Regular(int directory, FileItem& item);
  void Link(int directory, FileItem& item);
  void Small(int fd, FileItem& item, GVariant* xattrs);
  void Large(int fd, FileItem& item, GVariant* xattrs);
  void Write(FileItem& item, GInputStream* object, uint64_t length);
  size_t Read(int fd, char* buffer, size_t length, const std::string& path);

  OstreeRepo* repo_;
  const JobContext& job_;
  bool skip_xattrs_;
  const XattrRules& rules_;
  ContentWriter writer_;
  std::vector<char> buffer_;
};

// The header that libostree hashes and stores before the content of a regular file.
std::string FileHeader(uint32_t uid, uint32_t gid, uint32_t mode, GVariant* xattrs);

}  // namespace apt_ostree
