#include "ostree/pull_options.h"

#include <algorithm>
#include <cstring>

#include "core/arguments.h"
#include "core/values.h"
#include "ostree/names.h"

namespace apt_ostree {

namespace {

enum class Kind {
  kFlag,            // sets bits of `flags`
  kBoolean,         // b
  kDepth,           // i, from -1
  kUnsigned,        // u
  kPositive,        // u, from 1
  kSize,            // t
  kString,          // s
  kRemote,          // s
  kRev,             // s
  kRefs,            // as: refs, refspecs or commits
  kCommits,         // as: commits, or "" for the newest
  kTreePaths,       // as, with a leading slash
  kPaths,           // as
  kHeaders,         // a(ss)
  kCollectionRefs,  // a(sss): id, ref, commit or ""
  kKeyrings,        // a(sss): id, ref, remote
  kBytes,           // ay
};

struct Option {
  const char* name;
  const char* key;
  Kind kind;
  int flag = 0;
  // The release of libostree that knows it, where that is after 2022.7.
  guint year = 0;
  guint release = 0;
};

// Left out: "subdir", which "subdirs" includes, and "max-outstanding-fetcher-requests", which
// libostree documents as a number but reads as a boolean, so that no number gets through.
constexpr Option kOptions[] = {
    {"refs", "refs", Kind::kRefs},
    {"collectionRefs", "collection-refs", Kind::kCollectionRefs},
    {"mirror", "", Kind::kFlag, OSTREE_REPO_PULL_FLAGS_MIRROR},
    {"commitOnly", "", Kind::kFlag, OSTREE_REPO_PULL_FLAGS_COMMIT_ONLY},
    {"untrusted", "", Kind::kFlag, OSTREE_REPO_PULL_FLAGS_UNTRUSTED},
    {"bareUserOnlyFiles", "", Kind::kFlag, OSTREE_REPO_PULL_FLAGS_BAREUSERONLY_FILES},
    {"trustedHttp", "", Kind::kFlag, OSTREE_REPO_PULL_FLAGS_TRUSTED_HTTP},
    {"subdirs", "subdirs", Kind::kTreePaths},
    {"remote", "override-remote-name", Kind::kRemote},
    {"gpgVerify", "gpg-verify", Kind::kBoolean},
    {"gpgVerifySummary", "gpg-verify-summary", Kind::kBoolean},
    {"disableSignVerify", "disable-sign-verify", Kind::kBoolean},
    {"disableSignVerifySummary", "disable-sign-verify-summary", Kind::kBoolean},
    {"depth", "depth", Kind::kDepth},
    {"perObjectFsync", "per-object-fsync", Kind::kBoolean},
    {"disableStaticDeltas", "disable-static-deltas", Kind::kBoolean},
    {"requireStaticDeltas", "require-static-deltas", Kind::kBoolean},
    {"overrideCommits", "override-commit-ids", Kind::kCommits},
    {"timestampCheck", "timestamp-check", Kind::kBoolean},
    {"timestampCheckFromRev", "timestamp-check-from-rev", Kind::kRev},
    {"maxMetadataSize", "max-metadata-size", Kind::kSize},
    {"dryRun", "dry-run", Kind::kBoolean},
    {"overrideUrl", "override-url", Kind::kString},
    {"inheritTransaction", "inherit-transaction", Kind::kBoolean},
    {"httpHeaders", "http-headers", Kind::kHeaders},
    {"updateFrequency", "update-frequency", Kind::kPositive},
    {"localCacheRepos", "localcache-repos", Kind::kPaths},
    {"appendUserAgent", "append-user-agent", Kind::kString},
    {"networkRetries", "n-network-retries", Kind::kUnsigned},
    {"refKeyrings", "ref-keyring-map", Kind::kKeyrings},
    {"summaryBytes", "summary-bytes", Kind::kBytes},
    {"summarySignatureBytes", "summary-sig-bytes", Kind::kBytes},
    {"disableVerifyBindings", "disable-verify-bindings", Kind::kBoolean},
    {"lowSpeedLimitBytes", "low-speed-limit-bytes", Kind::kUnsigned, 0, 2023, 7},
    {"lowSpeedTimeSeconds", "low-speed-time-seconds", Kind::kUnsigned, 0, 2023, 7},
    {"retryAllNetworkErrors", "retry-all-network-errors", Kind::kBoolean, 0, 2023, 7},
};

Napi::Array CheckedList(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), name, "an instance of Array", value);
  }
  return value.As<Napi::Array>();
}

bool CheckedBoolean(Napi::Value value, const std::string& name) {
  if (!value.IsBoolean()) throw InvalidArgumentType(value.Env(), name, "of type boolean", value);
  return value.As<Napi::Boolean>();
}

VariantPtr StringVariant(const std::string& text) {
  return VariantPtr::Sink(g_variant_new_string(text.c_str()));
}

VariantPtr RefsVariant(Napi::Value value, const std::string& name) {
  std::vector<std::string> refs;
  Napi::Array list = CheckedList(value, name);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    refs.push_back(CheckedString(list.Get(i), name));
    if (!IsChecksum(refs.back())) CheckedRefspec(list.Get(i), name);
  }
  return StringsVariant(refs);
}

VariantPtr CommitsVariant(Napi::Value value, const std::string& name) {
  std::vector<std::string> commits = CheckedStrings(value, name);
  for (const std::string& commit : commits) {
    if (!commit.empty() && !IsChecksum(commit)) {
      throw InvalidArgumentValue(value.Env(), name,
                                 "must hold checksums of 64 hexadecimal digits, or ''");
    }
  }
  return StringsVariant(commits);
}

VariantPtr TreePathsVariant(Napi::Value value, const std::string& name) {
  std::vector<std::string> paths;
  Napi::Array list = CheckedList(value, name);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    paths.push_back(TreePathText(CheckedTreePath(list.Get(i), name)));
  }
  return StringsVariant(paths);
}

// libcurl would put line breaks on the wire as they are: headers of the caller's data.
bool IsHeaderText(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

VariantPtr HeadersVariant(Napi::Value value, const std::string& name) {
  GVariantBuilder builder;
  std::vector<std::vector<std::string>> headers;
  Napi::Array list = CheckedList(value, name);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    headers.push_back(CheckedStrings(list.Get(i), name));
    const std::vector<std::string>& pair = headers.back();
    if (pair.size() != 2 || pair[0].empty() || pair[0].find(':') != std::string::npos ||
        !IsHeaderText(pair[0]) || !IsHeaderText(pair[1])) {
      throw InvalidArgumentValue(value.Env(), name, "must hold pairs of a name and a value");
    }
  }
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ss)"));
  for (const auto& pair : headers) {
    g_variant_builder_add(&builder, "(ss)", pair[0].c_str(), pair[1].c_str());
  }
  return VariantPtr::Sink(g_variant_builder_end(&builder));
}

// `[{collectionId, ref, commit | remote}]`
VariantPtr TriplesVariant(Napi::Value value, const std::string& name, bool keyrings) {
  std::vector<std::vector<std::string>> triples;
  Napi::Array list = CheckedList(value, name);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Options entry(value.Env(), list.Get(i), name);
    std::string third;
    if (keyrings) {
      third = CheckedRemoteName(entry.Raw("remote"), name + ".remote");
    } else if (entry.Has("commit")) {
      third = CheckedChecksum(entry.Raw("commit"), name + ".commit");
    }
    triples.push_back({CheckedCollectionId(entry.Raw("collectionId"), name + ".collectionId"),
                       CheckedRefName(entry.Raw("ref"), name + ".ref"), std::move(third)});
  }
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a(sss)"));
  for (const auto& t : triples) {
    g_variant_builder_add(&builder, "(sss)", t[0].c_str(), t[1].c_str(), t[2].c_str());
  }
  return VariantPtr::Sink(g_variant_builder_end(&builder));
}

VariantPtr BytesVariant(Napi::Value value, const std::string& name) {
  const SharedBytes bytes = CheckedBytes(value, name);
  return VariantPtr::Sink(g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes.get(), TRUE));
}

VariantPtr UnsignedVariant(Napi::Value value, const std::string& name, int64_t minimum) {
  return VariantPtr::Sink(
      g_variant_new_uint32(static_cast<guint32>(CheckedInteger(value, name, minimum, UINT32_MAX))));
}

VariantPtr HeaderString(Napi::Value value, const std::string& name) {
  const std::string text = CheckedString(value, name);
  if (text.empty() || !IsHeaderText(text)) {
    throw InvalidArgumentValue(value.Env(), name, "must be text without control characters");
  }
  return StringVariant(text);
}

VariantPtr OptionVariant(const Option& option, Napi::Value value, const std::string& name) {
  switch (option.kind) {
    case Kind::kFlag:
      break;
    case Kind::kBoolean:
      return VariantPtr::Sink(g_variant_new_boolean(CheckedBoolean(value, name)));
    case Kind::kDepth:
      return VariantPtr::Sink(
          g_variant_new_int32(static_cast<gint32>(CheckedInteger(value, name, -1, INT32_MAX))));
    case Kind::kUnsigned:
      return UnsignedVariant(value, name, 0);
    case Kind::kPositive:
      return UnsignedVariant(value, name, 1);
    case Kind::kSize:
      return VariantPtr::Sink(g_variant_new_uint64(
          static_cast<guint64>(CheckedInteger(value, name, 0, INT64_C(9007199254740991)))));
    case Kind::kString:
      return HeaderString(value, name);
    case Kind::kRemote:
      return StringVariant(CheckedRemoteName(value, name));
    case Kind::kRev:
      return StringVariant(CheckedRev(value, name));
    case Kind::kRefs:
      return RefsVariant(value, name);
    case Kind::kCommits:
      return CommitsVariant(value, name);
    case Kind::kTreePaths:
      return TreePathsVariant(value, name);
    case Kind::kPaths:
      return StringsVariant(CheckedStrings(value, name));
    case Kind::kHeaders:
      return HeadersVariant(value, name);
    case Kind::kCollectionRefs:
      return TriplesVariant(value, name, false);
    case Kind::kKeyrings:
      return TriplesVariant(value, name, true);
    case Kind::kBytes:
      return BytesVariant(value, name);
  }
  return VariantPtr();
}

bool IsTrue(const PullOptions& options, const char* key) {
  return std::any_of(options.entries.begin(), options.entries.end(), [key](const auto& entry) {
    return entry.first == key && g_variant_get_boolean(entry.second.get()) != FALSE;
  });
}

gsize Count(const PullOptions& options, const char* key) {
  for (const auto& [name, value] : options.entries) {
    if (name == key) return g_variant_n_children(value.get());
  }
  return 0;
}

std::vector<std::string> StringsOf(const PullOptions& options, const char* key) {
  std::vector<std::string> strings;
  for (const auto& [name, value] : options.entries) {
    if (name != key) continue;
    const gsize count = g_variant_n_children(value.get());
    for (gsize i = 0; i < count; ++i) {
      const VariantPtr text = VariantPtr::Take(g_variant_get_child_value(value.get(), i));
      strings.emplace_back(g_variant_get_string(text.get(), nullptr));
    }
  }
  return strings;
}

// Each of these is a failed precondition inside libostree, which gives no error.
void CheckTogether(Napi::Env env, const std::string& name, const PullOptions& options) {
  const auto require = [&](bool good, const char* problem) {
    if (!good) throw InvalidArgumentValue(env, name, problem);
  };
  require(!options.Has("collection-refs") ||
              !(options.Has("refs") || options.Has("override-commit-ids")),
          "cannot have collectionRefs together with refs or overrideCommits");
  require(!options.Has("override-commit-ids") || options.Has("refs"),
          "can have overrideCommits only with refs");
  require(!options.Has("override-commit-ids") ||
              Count(options, "refs") == Count(options, "override-commit-ids"),
          "must have one entry of overrideCommits for each of refs");
  require(!(IsTrue(options, "disable-static-deltas") && IsTrue(options, "require-static-deltas")),
          "cannot both disable and require static deltas");
  require(!IsTrue(options, "dry-run") || IsTrue(options, "require-static-deltas"),
          "can have dryRun only with requireStaticDeltas");
  require(options.Has("summary-bytes") == options.Has("summary-sig-bytes"),
          "must have summaryBytes and summarySignatureBytes together");
  if (IsTrue(options, "timestamp-check")) {
    for (const auto& [key, value] : options.entries) {
      require(key != "depth" || g_variant_get_int32(value.get()) == 0,
              "can have timestampCheck only with a depth of 0");
    }
  }
}

}  // namespace

bool PullOptions::Has(const std::string& name) const {
  return std::any_of(entries.begin(), entries.end(),
                     [&name](const auto& entry) { return entry.first == name; });
}

std::vector<std::string> PullOptions::Refs() const { return StringsOf(*this, "refs"); }

std::vector<std::string> PullOptions::CacheRepos() const {
  return StringsOf(*this, "localcache-repos");
}

int PullOptions::Depth() const {
  for (const auto& [name, value] : entries) {
    if (name == "depth") return g_variant_get_int32(value.get());
  }
  return 0;
}

VariantPtr PullOptions::Build() const {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "flags", g_variant_new_int32(flags));
  for (const auto& [key, value] : entries) {
    g_variant_builder_add(&builder, "{sv}", key.c_str(), value.get());
  }
  return VariantPtr::Sink(g_variant_builder_end(&builder));
}

PullOptions CheckedPullOptions(Napi::Value value, const std::string& name) {
  PullOptions result;
  if (value.IsUndefined()) return result;
  Napi::Env env = value.Env();
  // For the check of the type alone.
  const Options checked(env, value, name);
  Napi::Array keys = value.As<Napi::Object>().GetPropertyNames();
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string key = keys.Get(i).ToString().Utf8Value();
    const auto* option = std::find_if(std::begin(kOptions), std::end(kOptions),
                                      [&key](const Option& known) { return key == known.name; });
    if (option == std::end(kOptions)) {
      throw InvalidArgumentValue(env, name, "has an unknown member: " + key);
    }
    Napi::Value member = checked.Raw(option->name);
    if (member.IsUndefined()) continue;
    if (option->year != 0 && !ostree_check_version(option->year, option->release)) {
      throw InvalidArgument(env, "ERR_OSTREE_NOT_SUPPORTED",
                            "This libostree has no pull option " + key);
    }
    const std::string full = name + "." + key;
    if (option->kind == Kind::kFlag) {
      if (CheckedBoolean(member, full)) result.flags |= option->flag;
      continue;
    }
    result.Add(option->key, OptionVariant(*option, member, full));
  }
  result.has_refs = result.Has("refs") || result.Has("collection-refs");
  result.inherit_transaction = IsTrue(result, "inherit-transaction");
  CheckTogether(env, name, result);
  return result;
}

}  // namespace apt_ostree
