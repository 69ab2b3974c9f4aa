#include "fetch/wire.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace apt_ostree::apt {

Writer& Writer::operator<<(uint64_t number) {
  std::array<char, sizeof(number)> raw;
  std::memcpy(raw.data(), &number, sizeof(number));
  bytes_.append(raw.data(), raw.size());
  return *this;
}

Writer& Writer::operator<<(const std::string& text) {
  *this << static_cast<uint64_t>(text.size());
  bytes_ += text;
  return *this;
}

Writer& Writer::operator<<(const std::optional<std::string>& text) {
  return *this << text.has_value() << text.value_or("");
}

bool Writer::Send(int socket) const {
  const auto size = static_cast<uint64_t>(bytes_.size());
  std::string message(reinterpret_cast<const char*>(&size), sizeof(size));
  message += bytes_;
  for (size_t done = 0; done < message.size();) {
    const ssize_t count = send(socket, message.data() + done, message.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<size_t>(count);
  }
  return true;
}

Reader& Reader::operator>>(uint64_t& number) {
  if (bytes_.size() - place_ < sizeof(number)) {
    throw Failure("ERR_INTERNAL", "A message about a download has less than it says");
  }
  std::memcpy(&number, bytes_.data() + place_, sizeof(number));
  place_ += sizeof(number);
  return *this;
}

Reader& Reader::operator>>(bool& flag) {
  uint64_t number = 0;
  *this >> number;
  flag = number != 0;
  return *this;
}

Reader& Reader::operator>>(std::string& text) {
  uint64_t size = 0;
  *this >> size;
  if (bytes_.size() - place_ < size) {
    throw Failure("ERR_INTERNAL", "A message about a download has less than it says");
  }
  text.assign(bytes_, place_, size);
  place_ += size;
  return *this;
}

Reader& Reader::operator>>(std::optional<std::string>& text) {
  bool present = false;
  std::string value;
  *this >> present >> value;
  if (present) text = std::move(value);
  return *this;
}

MessageKind Reader::Kind() {
  uint64_t kind = 0;
  *this >> kind;
  return static_cast<MessageKind>(kind);
}

bool Inbox::Fill() {
  std::array<char, 16384> part;
  ssize_t count;
  do {
    count = recv(socket_, part.data(), part.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  bytes_.append(part.data(), static_cast<size_t>(count));
  return true;
}

std::optional<Reader> Inbox::Next() {
  uint64_t size = 0;
  if (bytes_.size() < sizeof(size)) return std::nullopt;
  std::memcpy(&size, bytes_.data(), sizeof(size));
  if (bytes_.size() - sizeof(size) < size) return std::nullopt;
  Reader message(bytes_.substr(sizeof(size), size));
  bytes_.erase(0, sizeof(size) + size);
  return message;
}

namespace {

Writer& operator<<(Writer& out, const std::pair<std::string, std::string>& pair) {
  return out << pair.first << pair.second;
}

Reader& operator>>(Reader& in, std::pair<std::string, std::string>& pair) {
  return in >> pair.first >> pair.second;
}

Writer& operator<<(Writer& out, const SourceResult& source) {
  return out << source.uri << source.suite << source.ok << source.kind << source.message;
}

Reader& operator>>(Reader& in, SourceResult& source) {
  return in >> source.uri >> source.suite >> source.ok >> source.kind >> source.message;
}

}  // namespace

Writer& operator<<(Writer& out, const ContextOptions& options) {
  out << options.directory << options.root << options.dpkg_status << options.extended_states;
  out << options.architecture << options.architectures << options.sources << options.auth;
  out << options.preferences << options.recommends << options.root_config;
  out << static_cast<uint64_t>(options.config.size());
  for (const auto& pair : options.config) out << pair;
  return out;
}

Reader& operator>>(Reader& in, ContextOptions& options) {
  in >> options.directory >> options.root >> options.dpkg_status >> options.extended_states;
  in >> options.architecture >> options.architectures >> options.sources >> options.auth;
  uint64_t count = 0;
  in >> options.preferences >> options.recommends >> options.root_config >> count;
  for (; count > 0; --count) in >> options.config.emplace_back();
  return in;
}

Writer& operator<<(Writer& out, const FetchProgress& progress) {
  return out << progress.bytes_done << progress.bytes_total << progress.items_done
             << progress.items_total << progress.bytes_per_second << progress.current;
}

Reader& operator>>(Reader& in, FetchProgress& progress) {
  return in >> progress.bytes_done >> progress.bytes_total >> progress.items_done >>
         progress.items_total >> progress.bytes_per_second >> progress.current;
}

Writer& operator<<(Writer& out, const Message& message) {
  return out << message.severity << message.text;
}

Reader& operator>>(Reader& in, Message& message) { return in >> message.severity >> message.text; }

Writer& operator<<(Writer& out, const UpdateResult& result) {
  out << static_cast<uint64_t>(result.sources.size());
  for (const SourceResult& source : result.sources) out << source;
  return out << result.warnings;
}

Reader& operator>>(Reader& in, UpdateResult& result) {
  uint64_t count = 0;
  for (in >> count; count > 0; --count) in >> result.sources.emplace_back();
  return in >> result.warnings;
}

Writer& operator<<(Writer& out, const WantedPackage& wanted) {
  return out << wanted.name << wanted.architecture << wanted.version;
}

Reader& operator>>(Reader& in, WantedPackage& wanted) {
  return in >> wanted.name >> wanted.architecture >> wanted.version;
}

Writer& operator<<(Writer& out, const WantedVersion& wanted) {
  return out << static_cast<uint64_t>(wanted.id) << wanted.package;
}

Reader& operator>>(Reader& in, WantedVersion& wanted) {
  uint64_t id = 0;
  in >> id >> wanted.package;
  wanted.id = static_cast<uint32_t>(id);
  return in;
}

Writer& operator<<(Writer& out, const FetchedPackage& package) {
  return out << package.name << package.architecture << package.version << package.path
             << package.sha256;
}

Reader& operator>>(Reader& in, FetchedPackage& package) {
  return in >> package.name >> package.architecture >> package.version >> package.path >>
         package.sha256;
}

Writer& operator<<(Writer& out, const FetchedSource& source) {
  return out << source.name << source.version << source.directory << source.files;
}

Reader& operator>>(Reader& in, FetchedSource& source) {
  return in >> source.name >> source.version >> source.directory >> source.files;
}

Writer& operator<<(Writer& out, const Failure& failure) {
  out << failure.code() << failure.message() << failure.messages();
  out << static_cast<uint64_t>(failure.details().size());
  for (const auto& [key, value] : failure.details()) out << key << value;
  return out;
}

Failure ReadFailure(Reader& in) {
  std::string code;
  std::string message;
  std::vector<Message> messages;
  uint64_t count = 0;
  in >> code >> message >> messages >> count;
  Failure failure(code, message);
  failure.Messages(std::move(messages));
  for (; count > 0; --count) {
    std::string key;
    std::string value;
    in >> key >> value;
    failure.Detail(key, value);
  }
  return failure;
}

}  // namespace apt_ostree::apt
