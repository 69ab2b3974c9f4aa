// Repo: remotes, their options and their keyrings.
#include <algorithm>
#include <cctype>

#include "core/arguments.h"
#include "core/error.h"
#include "core/values.h"
#include "ostree/names.h"
#include "ostree/repo.h"

namespace apt_ostree {

namespace {

OstreeRepoRemoteChange CheckedChange(Napi::Value value) {
  const std::string text = CheckedString(value, "change");
  if (text == "add") return OSTREE_REPO_REMOTE_CHANGE_ADD;
  if (text == "add-if-not-exists") return OSTREE_REPO_REMOTE_CHANGE_ADD_IF_NOT_EXISTS;
  if (text == "replace") return OSTREE_REPO_REMOTE_CHANGE_REPLACE;
  if (text == "delete") return OSTREE_REPO_REMOTE_CHANGE_DELETE;
  if (text == "delete-if-exists") return OSTREE_REPO_REMOTE_CHANGE_DELETE_IF_EXISTS;
  throw InvalidArgumentValue(value.Env(), "change", "is not a change of a remote");
}

std::string CheckedOptionName(Napi::Value value, const std::string& name) {
  std::string text = CheckedString(value, name);
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!good) throw InvalidArgumentValue(value.Env(), name, "is not the name of an option");
  return text;
}

// `[[name, value], ...]` with values of type string, boolean or string[]: the only ones that
// libostree writes; undefined gives null.
VariantPtr CheckedRemoteOptions(Napi::Value value) {
  if (value.IsUndefined()) return VariantPtr();
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), "options", "an instance of Array", value);
  }
  std::vector<std::pair<std::string, VariantPtr>> entries;
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    Napi::Value pair = array.Get(i);
    if (!pair.IsArray()) {
      throw InvalidArgumentType(value.Env(), "options", "a list of pairs", pair);
    }
    std::string key = CheckedOptionName(pair.As<Napi::Array>().Get(0u), "options");
    Napi::Value member = pair.As<Napi::Array>().Get(1u);
    if (member.IsBoolean()) {
      entries.emplace_back(
          key, VariantPtr::Sink(g_variant_new_boolean(member.As<Napi::Boolean>().Value())));
    } else if (member.IsArray()) {
      const std::vector<std::string> texts = CheckedStrings(member, key);
      entries.emplace_back(key, StringsVariant(texts));
    } else {
      const std::string text = CheckedString(member, key);
      entries.emplace_back(key, VariantPtr::Sink(g_variant_new_string(text.c_str())));
    }
  }
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  for (const auto& [key, entry] : entries) {
    g_variant_builder_add(&builder, "{sv}", key.c_str(), entry.get());
  }
  return VariantPtr::Sink(g_variant_builder_end(&builder));
}

enum class OptionType { kString, kBoolean, kList };

struct RemoteOption {
  std::string name;
  OptionType type;
  // What was found.
  bool present = false;
  std::string text;
  bool flag = false;
  std::vector<std::string> list;
};

// `[[name, "string" | "boolean" | "list"], ...]`
std::vector<RemoteOption> CheckedQueries(Napi::Value value) {
  if (!value.IsArray()) {
    throw InvalidArgumentType(value.Env(), "queries", "an instance of Array", value);
  }
  std::vector<RemoteOption> queries;
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const std::vector<std::string> pair = CheckedStrings(array.Get(i), "queries");
    if (pair.size() != 2) throw InvalidArgumentValue(value.Env(), "queries", "must hold pairs");
    RemoteOption query;
    query.name = CheckedOptionName(array.Get(i).As<Napi::Array>().Get(0u), "queries");
    query.type = pair[1] == "boolean" ? OptionType::kBoolean
                 : pair[1] == "list"  ? OptionType::kList
                                      : OptionType::kString;
    queries.push_back(std::move(query));
  }
  return queries;
}

void ReadOption(OstreeRepo* repo, const std::string& remote, RemoteOption* option) {
  GError* error = nullptr;
  GStringPtr text;
  // Reading it as text first tells a key that is not there from one with the default value.
  if (!ostree_repo_get_remote_option(repo, remote.c_str(), option->name.c_str(), nullptr, Out(text),
                                     &error)) {
    throw FromGError(error, "Reading a remote").Detail("remote", remote);
  }
  option->present = text != nullptr;
  if (!option->present) return;
  if (option->type == OptionType::kString) option->text = text.get();
  if (option->type == OptionType::kBoolean) {
    gboolean flag = FALSE;
    if (!ostree_repo_get_remote_boolean_option(repo, remote.c_str(), option->name.c_str(), FALSE,
                                               &flag, &error)) {
      throw FromGError(error, "Reading a remote").Detail("remote", remote);
    }
    option->flag = flag != FALSE;
  }
  if (option->type == OptionType::kList) {
    GStrvPtr list;
    if (!ostree_repo_get_remote_list_option(repo, remote.c_str(), option->name.c_str(), Out(list),
                                            &error)) {
      throw FromGError(error, "Reading a remote").Detail("remote", remote);
    }
    for (char** item = list.get(); item != nullptr && *item != nullptr; ++item) {
      option->list.emplace_back(*item);
    }
  }
}

Napi::Value OptionToJs(Napi::Env env, const RemoteOption& option) {
  if (!option.present) return env.Undefined();
  if (option.type == OptionType::kBoolean) return Napi::Boolean::New(env, option.flag);
  if (option.type == OptionType::kList) return StringsToJs(env, option.list);
  return Napi::String::New(env, option.text);
}

}  // namespace

Napi::Value Repo::RemoteChange(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const OstreeRepoRemoteChange change = CheckedChange(arguments.Raw(0));
  std::string name = CheckedRemoteName(arguments.Raw(1), "name");
  std::optional<std::string> url = arguments.OptionalString(2, "url");
  VariantPtr options = CheckedRemoteOptions(arguments.Raw(3));
  return StartAlone(
      info,
      [state = state(), change, name = std::move(name), url = std::move(url),
       options](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const auto alone = state->ConfigAlone(job.cancellable());
        // libostree has no code of its own for a name that is taken.
        GError* error = nullptr;
        GStringPtr old;
        const bool exists = ostree_repo_get_remote_option(repo.get(), name.c_str(), "url", nullptr,
                                                          Out(old), &error) != FALSE;
        g_clear_error(&error);
        const bool adding = change == OSTREE_REPO_REMOTE_CHANGE_ADD ||
                            change == OSTREE_REPO_REMOTE_CHANGE_ADD_IF_NOT_EXISTS;
        if (!ostree_repo_remote_change(repo.get(), nullptr, change, name.c_str(),
                                       url ? url->c_str() : nullptr, options.get(),
                                       job.cancellable(), &error)) {
          NativeError failure = FromGError(error, "Changing a remote");
          const bool taken = change == OSTREE_REPO_REMOTE_CHANGE_ADD && exists;
          throw(taken ? NativeError("EEXIST", failure.message()) : failure).Detail("remote", name);
        }
        const bool changed = change == OSTREE_REPO_REMOTE_CHANGE_REPLACE || adding != exists;
        return [changed](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, changed); };
      });
}

Napi::Value Repo::RemoteList(const Napi::CallbackInfo& info) {
  return StartAlone(info, [state = state()](JobContext&) -> ToJs {
    auto repo = state->Use();
    GStrvPtr names(ostree_repo_remote_list(repo.get(), nullptr));
    std::vector<std::string> list;
    for (char** name = names.get(); name != nullptr && *name != nullptr; ++name) {
      list.emplace_back(*name);
    }
    std::sort(list.begin(), list.end());
    return [list = std::move(list)](Napi::Env env) { return StringsToJs(env, list); };
  });
}

Napi::Value Repo::RemoteUrl(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  return StartAlone(info, [state = state(), name = std::move(name)](JobContext&) -> ToJs {
    auto repo = state->Use();
    GStringPtr url;
    GError* error = nullptr;
    if (!ostree_repo_remote_get_url(repo.get(), name.c_str(), Out(url), &error)) {
      throw FromGError(error, "Reading a remote").Detail("remote", name);
    }
    return [text = std::string(url ? url.get() : "")](Napi::Env env) -> Napi::Value {
      return Napi::String::New(env, text);
    };
  });
}

Napi::Value Repo::RemoteOptions(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  std::vector<RemoteOption> options = CheckedQueries(info[1]);
  return StartAlone(info,
                    [state = state(), name = std::move(name),
                     options = std::move(options)](JobContext&) mutable -> ToJs {
                      auto repo = state->Use();
                      for (RemoteOption& option : options) ReadOption(repo.get(), name, &option);
                      return [options = std::move(options)](Napi::Env env) -> Napi::Value {
                        Napi::Array values = Napi::Array::New(env, options.size());
                        for (size_t i = 0; i < options.size(); ++i) {
                          values.Set(static_cast<uint32_t>(i), OptionToJs(env, options[i]));
                        }
                        return values;
                      };
                    });
}

Napi::Value Repo::RemoteGpgVerify(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  return StartAlone(info, [state = state(), name = std::move(name)](JobContext&) -> ToJs {
    auto repo = state->Use();
    gboolean commits = TRUE, summary = TRUE;
    GError* error = nullptr;
    if (!ostree_repo_remote_get_gpg_verify(repo.get(), name.c_str(), &commits, &error) ||
        !ostree_repo_remote_get_gpg_verify_summary(repo.get(), name.c_str(), &summary, &error)) {
      throw FromGError(error, "Reading a remote").Detail("remote", name);
    }
    return [commits, summary](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("commits", Napi::Boolean::New(env, commits != FALSE));
      object.Set("summary", Napi::Boolean::New(env, summary != FALSE));
      return object;
    };
  });
}

Napi::Value Repo::RemoteGpgImport(const Napi::CallbackInfo& info) {
  std::string name = CheckedRemoteName(info[0], "name");
  // Of none, libostree takes those of the user's own keyring.
  SharedBytes keys;
  if (!info[1].IsUndefined()) keys = CheckedBytes(info[1], "keys");
  std::vector<std::string> ids;
  if (!info[2].IsUndefined()) ids = CheckedStrings(info[2], "keyIds");
  return StartAlone(
      info,
      [state = state(), name = std::move(name), keys = std::move(keys),
       ids = std::move(ids)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        GObjectPtr<GInputStream> stream;
        if (keys) {
          stream = GObjectPtr<GInputStream>::Take(g_memory_input_stream_new_from_bytes(keys.get()));
        }
        const StringVector wanted(ids);
        guint count = 0;
        GError* error = nullptr;
        if (!ostree_repo_remote_gpg_import(repo.get(), name.c_str(), stream.get(),
                                           ids.empty() ? nullptr : wanted.get(), &count,
                                           job.cancellable(), &error)) {
          throw FromGError(error, "Importing keys").Detail("remote", name);
        }
        return [count](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, count); };
      });
}

namespace {

// Times of keys are stored big-endian.
void SetTime(Napi::Object object, const char* name, GVariant* dict, const char* key) {
  gint64 value = 0;
  if (!g_variant_lookup(dict, key, "x", &value)) return;
  const gint64 seconds = GINT64_FROM_BE(value);
  if (seconds != 0) object.Set(name, static_cast<double>(seconds));
}

void SetFlag(Napi::Object object, const char* name, GVariant* dict) {
  gboolean value = FALSE;
  (void)g_variant_lookup(dict, name, "b", &value);
  object.Set(name, Napi::Boolean::New(object.Env(), value != FALSE));
}

void SetText(Napi::Object object, const char* name, GVariant* dict, const char* key) {
  const char* text = nullptr;
  if (g_variant_lookup(dict, key, "&s", &text) && *text != '\0') object.Set(name, text);
}

void SetMaybe(Napi::Object object, const char* name, GVariant* dict, const char* key) {
  const char* text = nullptr;
  if (g_variant_lookup(dict, key, "m&s", &text) && text != nullptr) object.Set(name, text);
}

Napi::Value KeyToJs(Napi::Env env, GVariant* key) {
  Napi::Object object = Napi::Object::New(env);
  VariantPtr subkeys = VariantPtr::Take(g_variant_get_child_value(key, 0));
  VariantPtr users = VariantPtr::Take(g_variant_get_child_value(key, 1));
  Napi::Array list = Napi::Array::New(env);
  for (gsize i = 0; i < g_variant_n_children(subkeys.get()); ++i) {
    VariantPtr dict = VariantPtr::Take(g_variant_get_child_value(subkeys.get(), i));
    Napi::Object subkey = Napi::Object::New(env);
    SetText(subkey, "fingerprint", dict.get(), "fingerprint");
    SetTime(subkey, "created", dict.get(), "created");
    SetTime(subkey, "expires", dict.get(), "expires");
    for (const char* flag : {"revoked", "expired", "invalid"}) SetFlag(subkey, flag, dict.get());
    list.Set(static_cast<uint32_t>(i), subkey);
  }
  object.Set("subkeys", list);
  list = Napi::Array::New(env);
  for (gsize i = 0; i < g_variant_n_children(users.get()); ++i) {
    VariantPtr dict = VariantPtr::Take(g_variant_get_child_value(users.get(), i));
    Napi::Object user = Napi::Object::New(env);
    for (const char* text : {"uid", "name", "comment", "email"}) {
      SetText(user, text, dict.get(), text);
    }
    for (const char* flag : {"revoked", "invalid"}) SetFlag(user, flag, dict.get());
    SetMaybe(user, "advancedUrl", dict.get(), "advanced_url");
    SetMaybe(user, "directUrl", dict.get(), "direct_url");
    list.Set(static_cast<uint32_t>(i), user);
  }
  object.Set("userIds", list);
  return object;
}

}  // namespace

Napi::Value Repo::RemoteGpgKeys(const Napi::CallbackInfo& info) {
  std::optional<std::string> name;
  if (!info[0].IsUndefined()) name = CheckedRemoteName(info[0], "name");
  std::vector<std::string> ids;
  if (!info[1].IsUndefined()) ids = CheckedStrings(info[1], "keyIds");
  return StartAlone(
      info,
      [state = state(), name = std::move(name), ids = std::move(ids)](JobContext& job) -> ToJs {
        auto repo = state->Use();
        const StringVector wanted(ids);
        GPtrArrayPtr found;
        GError* error = nullptr;
        if (!ostree_repo_remote_get_gpg_keys(repo.get(), name ? name->c_str() : nullptr,
                                             ids.empty() ? nullptr : wanted.get(), Out(found),
                                             job.cancellable(), &error)) {
          throw FromGError(error, "Listing keys").Detail("remote", name.value_or(""));
        }
        std::vector<VariantPtr> keys;
        for (guint i = 0; found && i < found->len; ++i) {
          keys.push_back(VariantPtr::Sink(static_cast<GVariant*>(found->pdata[i])));
        }
        return [keys = std::move(keys)](Napi::Env env) -> Napi::Value {
          Napi::Array list = Napi::Array::New(env, keys.size());
          for (size_t i = 0; i < keys.size(); ++i) {
            list.Set(static_cast<uint32_t>(i), KeyToJs(env, keys[i].get()));
          }
          return list;
        };
      });
}

}  // namespace apt_ostree
