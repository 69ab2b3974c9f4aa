// What this library and its program for downloads tell each other: messages of a kind and fields,
// each field as long as it says. Both are of one build, so nothing says what a field means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apt/acquire.h"
#include "apt/context.h"
#include "apt/source_packages.h"
#include "fetch/work.h"

namespace apt_ostree::apt {

enum class MessageKind : uint64_t {
  // To the program.
  kUpdate,
  kFetch,
  kFetchSource,
  kFetchChangelog,
  // From it: any number of the first three, then one of the others.
  kProgress,
  kItem,
  kListsChange,
  kResult,
  kFailure,
};

class Writer {
 public:
  explicit Writer(MessageKind kind) { *this << static_cast<uint64_t>(kind); }
  Writer& operator<<(uint64_t number);
  Writer& operator<<(bool flag) { return *this << static_cast<uint64_t>(flag ? 1 : 0); }
  Writer& operator<<(const std::string& text);
  Writer& operator<<(const char* text) { return *this << std::string(text); }
  template <typename T>
  Writer& operator<<(const std::vector<T>& list) {
    *this << static_cast<uint64_t>(list.size());
    for (const T& one : list) *this << one;
    return *this;
  }
  Writer& operator<<(const std::optional<std::string>& text);
  // False where nobody reads any more.
  bool Send(int socket) const;

 private:
  std::string bytes_;
};

// Throws Failure where a message has less than is asked for: a part of it would be as wrong.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  Reader& operator>>(uint64_t& number);
  Reader& operator>>(bool& flag);
  Reader& operator>>(std::string& text);
  template <typename T>
  Reader& operator>>(std::vector<T>& list) {
    uint64_t count = 0;
    *this >> count;
    for (; count > 0; --count) *this >> list.emplace_back();
    return *this;
  }
  Reader& operator>>(std::optional<std::string>& text);
  MessageKind Kind();

 private:
  std::string bytes_;
  size_t place_ = 0;
};

// Puts messages together again.
class Inbox {
 public:
  explicit Inbox(int socket) : socket_(socket) {}
  // Waits for more; false at the end.
  bool Fill();
  std::optional<Reader> Next();

 private:
  const int socket_;
  std::string bytes_;
};

// The types that travel, member by member.
Writer& operator<<(Writer& out, const ContextOptions& options);
Reader& operator>>(Reader& in, ContextOptions& options);
Writer& operator<<(Writer& out, const FetchProgress& progress);
Reader& operator>>(Reader& in, FetchProgress& progress);
Writer& operator<<(Writer& out, const Message& message);
Reader& operator>>(Reader& in, Message& message);
Writer& operator<<(Writer& out, const UpdateResult& result);
Reader& operator>>(Reader& in, UpdateResult& result);
Writer& operator<<(Writer& out, const WantedPackage& wanted);
Reader& operator>>(Reader& in, WantedPackage& wanted);
Writer& operator<<(Writer& out, const WantedVersion& wanted);
Reader& operator>>(Reader& in, WantedVersion& wanted);
Writer& operator<<(Writer& out, const FetchedPackage& package);
Reader& operator>>(Reader& in, FetchedPackage& package);
Writer& operator<<(Writer& out, const FetchedSource& source);
Reader& operator>>(Reader& in, FetchedSource& source);

// Of a failure, all but data that is more than texts: no download has any.
Writer& operator<<(Writer& out, const Failure& failure);
Failure ReadFailure(Reader& in);

}  // namespace apt_ostree::apt
