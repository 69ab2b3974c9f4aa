#include "deb/deb_file.h"

#include <string>
#include <utility>
#include <vector>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/job.h"
#include "core/pieces.h"
#include "core/values.h"
#include "deb/extract.h"

namespace apt_ostree {

namespace {

// So many take less than the time that a result may hold up the event loop.
constexpr int64_t kMostEntries = 1000;
constexpr int64_t kMostBytes = 1024 * 1024;

const char* TypeName(TarEntry::Type type) {
  switch (type) {
    case TarEntry::Type::kFile:
      return "file";
    case TarEntry::Type::kHardLink:
      return "hardlink";
    case TarEntry::Type::kSymlink:
      return "symlink";
    case TarEntry::Type::kDirectory:
      return "directory";
    case TarEntry::Type::kCharacter:
      return "character";
    case TarEntry::Type::kBlock:
      return "block";
    default:
      return "pipe";
  }
}

Napi::Value EntryToJs(Napi::Env env, const TarEntry& entry) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("type", TypeName(entry.type));
  object.Set("name", entry.name);
  // Text would lose bytes that are no UTF-8.
  if (!g_utf8_validate(entry.name.data(), static_cast<gssize>(entry.name.size()), nullptr)) {
    object.Set("nameBytes", Napi::Buffer<char>::Copy(env, entry.name.data(), entry.name.size()));
  }
  object.Set("mode", entry.mode);
  object.Set("uid", entry.uid);
  object.Set("gid", entry.gid);
  object.Set("user", entry.user);
  object.Set("group", entry.group);
  object.Set("size", static_cast<double>(entry.size));
  object.Set("mtime", static_cast<double>(entry.modified));
  if (entry.type == TarEntry::Type::kSymlink || entry.type == TarEntry::Type::kHardLink) {
    object.Set("link", entry.link);
  }
  if (entry.type == TarEntry::Type::kCharacter || entry.type == TarEntry::Type::kBlock) {
    object.Set("major", entry.major);
    object.Set("minor", entry.minor);
  }
  return object;
}

Napi::Value OpenedToJs(Napi::Env env, const std::shared_ptr<DebSource>& source,
                       const DebReader& reader) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("file", DebFile::Create(env, source));
  object.Set("size", static_cast<double>(reader.size()));
  object.Set("controlCompression", reader.control_compression());
  object.Set("dataCompression", reader.data_compression());
  Napi::Array members = Napi::Array::New(env, reader.control().size());
  uint32_t index = 0;
  for (const ControlMember& member : reader.control()) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("name", member.name);
    one.Set("mode", member.mode);
    one.Set("content", Napi::Buffer<char>::Copy(env, member.content.data(), member.content.size()));
    members.Set(index++, one);
  }
  object.Set("members", members);
  return object;
}

// The reader at its place, made by the first job that wants it.
DebReader& ReaderOf(DebCursorState& state, JobContext& job) {
  if (state.closed) throw NativeError("ERR_CLOSED", "The package's reader is closed");
  if (state.reader == nullptr) state.reader = std::make_unique<DebReader>(*state.source, job);
  return *state.reader;
}

}  // namespace

void DebFile::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             StaticMethod<&DebFile::Open>("open"),
             StaticMethod<&DebFile::Read>("read"),
             InstanceMethod<&DebFile::Extract>("extract"),
             InstanceMethod<&DebFile::Reader>("reader"),
         });
}

Napi::Value DebFile::Open(const Napi::CallbackInfo& info) {
  return Start(info.Env(), {Arguments(info).Path(0, "path"), nullptr});
}

Napi::Value DebFile::Read(const Napi::CallbackInfo& info) {
  return Start(info.Env(), {"", Pieces::Checked(info[0], "bytes")});
}

Napi::Value DebFile::Start(Napi::Env env, DebSource given) {
  auto source = std::make_shared<DebSource>(std::move(given));
  return Job::Start(
      env, AddonData::Of(env).ostree(), nullptr, env.Undefined(),
      [source](JobContext& job) -> ToJs {
        auto reader =
            NamingPath(source->path, [&] { return std::make_shared<DebReader>(*source, job); });
        return [source, reader](Napi::Env now) { return OpenedToJs(now, source, *reader); };
      });
}

// extract(directory, owners)
Napi::Value DebFile::Extract(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Path(0, "directory");
  const bool owners = arguments.Bool(1, "owners");
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), nullptr, info.Env().Undefined(),
      [source = state(), directory = std::move(directory), owners](JobContext& job) -> ToJs {
        const ExtractedDeb done =
            NamingPath(source->path, [&] { return ExtractDeb(*source, directory, owners, job); });
        return [done](Napi::Env env) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("files", static_cast<double>(done.files));
          object.Set("directories", static_cast<double>(done.directories));
          object.Set("links", static_cast<double>(done.links));
          object.Set("bytes", static_cast<double>(done.bytes));
          return object;
        };
      });
}

Napi::Value DebFile::Reader(const Napi::CallbackInfo& info) {
  return DebCursor::Create(info.Env(), std::make_shared<DebCursorState>(state()));
}

void DebCursor::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             InstanceMethod<&DebCursor::Next>("next"),
             InstanceMethod<&DebCursor::Read>("read"),
             InstanceMethod<&DebCursor::ReadArchive>("readArchive"),
             InstanceMethod<&DebCursor::Close>("close"),
         });
}

// next(limit): an empty list at the end.
Napi::Value DebCursor::Next(const Napi::CallbackInfo& info) {
  const int64_t limit = Arguments(info).Integer(0, "limit", 1, kMostEntries);
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), state()->lane, info.Env().Undefined(),
      [state = state(), limit](JobContext& job) -> ToJs {
        auto entries = std::make_shared<std::vector<TarEntry>>();
        NamingPath(state->source->path, [&] {
          DebReader& reader = ReaderOf(*state, job);
          TarEntry entry;
          while (entries->size() < static_cast<size_t>(limit) && reader.Next(entry, job)) {
            entry.raw.clear();
            entries->push_back(std::move(entry));
          }
        });
        return [entries](Napi::Env env) -> Napi::Value {
          Napi::Array array = Napi::Array::New(env, entries->size());
          for (size_t i = 0; i < entries->size(); ++i) {
            array.Set(static_cast<uint32_t>(i), EntryToJs(env, (*entries)[i]));
          }
          return array;
        };
      });
}

Napi::Value DebCursor::Read(const Napi::CallbackInfo& info) {
  return ReadWith(info, &DebReader::Read);
}

Napi::Value DebCursor::ReadArchive(const Napi::CallbackInfo& info) {
  return ReadWith(info, &DebReader::ReadArchive);
}

// read(limit): an empty buffer at the end.
Napi::Value DebCursor::ReadWith(const Napi::CallbackInfo& info,
                                size_t (DebReader::*read)(char*, size_t, JobContext&)) {
  const int64_t limit = Arguments(info).Integer(0, "limit", 1, kMostBytes);
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).ostree(), state()->lane, info.Env().Undefined(),
      [state = state(), limit, read](JobContext& job) -> ToJs {
        auto bytes = std::make_shared<std::string>(static_cast<size_t>(limit), '\0');
        NamingPath(state->source->path, [&] {
          DebReader& reader = ReaderOf(*state, job);
          size_t have = 0;
          while (have < bytes->size()) {
            const size_t got = (reader.*read)(bytes->data() + have, bytes->size() - have, job);
            if (got == 0) break;
            have += got;
          }
          bytes->resize(have);
        });
        return [bytes](Napi::Env env) -> Napi::Value {
          return Napi::Buffer<char>::Copy(env, bytes->data(), bytes->size());
        };
      });
}

// After whatever is under way.
Napi::Value DebCursor::Close(const Napi::CallbackInfo& info) {
  AddonData::Of(info.Env())
      .ostree()
      .Submit(
          [state = state()] {
            state->closed = true;
            state->reader.reset();
          },
          state()->lane);
  return info.Env().Undefined();
}

void InitDebFile(Napi::Env env, Napi::Object exports) {
  DebFile::Init(env, exports);
  DebCursor::Init(env, exports);
}

}  // namespace apt_ostree
