#include "deb/tar.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace apt_ostree {

namespace {

struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[8];  // "ustar\0" "00", or GNU's "ustar  \0"
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(Header) == kTarBlock);

// Longest name that Linux takes, with room to spare.
constexpr uint64_t kLongest = 64 * 1024;

uint64_t Number(const char* field, size_t size, const char* what) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(field);
  uint64_t value = 0;
  // GNU: the first bit marks a big-endian binary number.
  if ((bytes[0] & 0x80) != 0) {
    if (bytes[0] != 0x80) throw Damaged(std::string("negative or too large ") + what);
    for (size_t i = 1; i < size; ++i) {
      if (value >> 55 != 0) throw Damaged(std::string("too large ") + what);
      value = value << 8 | bytes[i];
    }
    return value;
  }
  size_t i = 0;
  while (i < size && field[i] == ' ') ++i;
  for (; i < size && field[i] != ' ' && field[i] != '\0'; ++i) {
    if (field[i] < '0' || field[i] > '7') throw Damaged(std::string("bad number for ") + what);
    value = value * 8 + static_cast<uint64_t>(field[i] - '0');
  }
  return value;
}

uint32_t Number32(const char* field, size_t size, const char* what) {
  const uint64_t value = Number(field, size, what);
  if (value > UINT32_MAX) throw Damaged(std::string("too large ") + what);
  return static_cast<uint32_t>(value);
}

// Times before 1970 are binary and negative; no package needs to be refused for one.
int64_t Time(const char* field, size_t size) {
  if (static_cast<unsigned char>(field[0]) == 0xff) {
    uint64_t value = UINT64_MAX;
    for (size_t i = 1; i < size; ++i) value = value << 8 | static_cast<unsigned char>(field[i]);
    return static_cast<int64_t>(value);
  }
  const uint64_t value = Number(field, size, "time");
  return value > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value);
}

std::string Text(const char* field, size_t size) {
  return std::string(field, strnlen(field, size));
}

uint32_t SumOf(const Header& header) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  uint32_t sum = 0;
  for (size_t i = 0; i < sizeof header; ++i) {
    const bool in_sum =
        i >= offsetof(Header, checksum) && i < offsetof(Header, checksum) + sizeof header.checksum;
    sum += in_sum ? ' ' : bytes[i];
  }
  return sum;
}

void Seal(Header& header) {
  char text[8];
  std::snprintf(text, sizeof text, "%06o", SumOf(header));
  std::memcpy(header.checksum, text, 7);
  header.checksum[7] = ' ';
}

void Octal(char* field, size_t size, uint64_t value) {
  for (size_t i = size - 1; i-- > 0; value >>= 3) field[i] = static_cast<char>('0' + (value & 7));
  field[size - 1] = '\0';
}

void SetSize(Header& header, uint64_t size) {
  // Eleven octal digits hold 8 GiB; beyond that GNU's binary form.
  if (size >> 33 == 0) {
    Octal(header.size, sizeof header.size, size);
    return;
  }
  std::memset(header.size, 0, sizeof header.size);
  header.size[0] = static_cast<char>(0x80);
  for (size_t i = sizeof header.size; i-- > 4; size >>= 8) {
    header.size[i] = static_cast<char>(size & 0xff);
  }
}

size_t PaddingOf(uint64_t size) {
  return static_cast<size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

}  // namespace

size_t TarReader::Read(char* buffer, size_t size) {
  if (left_ == 0) return 0;
  const size_t got = source_.Read(buffer, static_cast<size_t>(std::min<uint64_t>(left_, size)));
  if (got == 0) throw Damaged("truncated in a file's content");
  left_ -= got;
  return got;
}

std::string TarReader::LongName(uint64_t size, TarEntry& entry) {
  if (size == 0 || size > kLongest) throw Damaged("bad length of a long name");
  std::string text(size + PaddingOf(size), '\0');
  if (!source_.ReadExactly(text.data(), text.size(), "a long name")) {
    throw Damaged("truncated in a long name");
  }
  entry.raw += text;
  return text.substr(0, strnlen(text.data(), size));
}

bool TarReader::Next(TarEntry& entry) {
  Drain();
  if (padding_ > 0) {
    char rest[kTarBlock];
    if (!source_.ReadExactly(rest, padding_, "padding")) throw Damaged("truncated in padding");
    padding_ = 0;
  }
  entry = TarEntry();
  std::string long_name;
  std::string long_link;
  while (true) {
    Header header;
    auto* bytes = reinterpret_cast<char*>(&header);
    if (!source_.ReadExactly(bytes, sizeof header, "a tar header")) {
      throw Damaged("the tar archive has no end mark");
    }
    if (std::all_of(bytes, bytes + sizeof header, [](char c) { return c == '\0'; })) {
      if (!entry.raw.empty()) throw Damaged("a long name without its entry");
      return false;
    }
    if (Number(header.checksum, sizeof header.checksum, "a header's check sum") != SumOf(header)) {
      throw Damaged("wrong check sum of a tar header");
    }
    entry.raw.append(bytes, sizeof header);
    const uint64_t size = Number(header.size, sizeof header.size, "size");
    if (header.type == 'L' || header.type == 'K') {
      std::string text = LongName(size, entry);
      (header.type == 'L' ? long_name : long_link) = std::move(text);
      continue;
    }
    entry.name = Text(header.name, sizeof header.name);
    if (std::memcmp(header.magic, "ustar\0", 6) == 0 && header.prefix[0] != '\0') {
      entry.name = Text(header.prefix, sizeof header.prefix) + "/" + entry.name;
    }
    if (!long_name.empty()) entry.name = std::move(long_name);
    entry.link = long_link.empty() ? Text(header.link, sizeof header.link) : std::move(long_link);
    entry.mode = Number32(header.mode, sizeof header.mode, "mode") & 07777;
    entry.uid = Number32(header.uid, sizeof header.uid, "user id");
    entry.gid = Number32(header.gid, sizeof header.gid, "group id");
    entry.user = Text(header.user, sizeof header.user);
    entry.group = Text(header.group, sizeof header.group);
    entry.modified = Time(header.mtime, sizeof header.mtime);
    switch (header.type) {
      case '\0':
      case '0':
      case '7':
        // v7 has no type for directories.
        entry.type = !entry.name.empty() && entry.name.back() == '/' ? TarEntry::Type::kDirectory
                                                                     : TarEntry::Type::kFile;
        break;
      case '1':
        entry.type = TarEntry::Type::kHardLink;
        break;
      case '2':
        entry.type = TarEntry::Type::kSymlink;
        break;
      case '5':
        entry.type = TarEntry::Type::kDirectory;
        break;
      case '3':
      case '4':
        entry.type = header.type == '3' ? TarEntry::Type::kCharacter : TarEntry::Type::kBlock;
        entry.major = Number32(header.major, sizeof header.major, "device number");
        entry.minor = Number32(header.minor, sizeof header.minor, "device number");
        break;
      case '6':
        entry.type = TarEntry::Type::kPipe;
        break;
      default:
        throw Unsupported(std::string("tar entry of type '") + header.type + "'");
    }
    if (entry.type == TarEntry::Type::kFile) {
      entry.size = left_ = size;
      padding_ = PaddingOf(size);
    }
    return true;
  }
}

std::string TarHeaderWithSize(std::string raw, uint64_t size) {
  Header header;
  char* last = raw.data() + raw.size() - sizeof header;
  std::memcpy(&header, last, sizeof header);
  SetSize(header, size);
  Seal(header);
  std::memcpy(last, &header, sizeof header);
  return raw;
}

std::string TarHeader(const std::string& name, uint32_t mode, uint64_t size) {
  Header header;
  std::memset(&header, 0, sizeof header);
  if (name.size() > sizeof header.name) throw Unsupported("too long a name: " + name);
  std::memcpy(header.name, name.data(), name.size());
  Octal(header.mode, sizeof header.mode, mode);
  Octal(header.uid, sizeof header.uid, 0);
  Octal(header.gid, sizeof header.gid, 0);
  Octal(header.mtime, sizeof header.mtime, 0);
  SetSize(header, size);
  header.type = !name.empty() && name.back() == '/' ? '5' : '0';
  std::memcpy(header.magic, "ustar  ", 8);
  std::memcpy(header.user, "root", 4);
  std::memcpy(header.group, "root", 4);
  Seal(header);
  return std::string(reinterpret_cast<char*>(&header), sizeof header);
}

std::string TarPadding(uint64_t size) { return std::string(PaddingOf(size), '\0'); }

}  // namespace apt_ostree
