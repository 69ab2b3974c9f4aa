#include "ostree/xattrs.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <utility>

#include "core/arguments.h"
#include "core/values.h"

namespace apt_ostree {

namespace {

VariantPtr Bytes(const void* data, size_t size) {
  return VariantPtr::Sink(g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, data, size, 1));
}

std::string Text(GVariant* bytes) {
  gsize size = 0;
  const auto* data = static_cast<const char*>(g_variant_get_fixed_array(bytes, &size, 1));
  return data == nullptr ? std::string() : std::string(data, size);
}

Napi::Array CheckedArray(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) throw InvalidArgumentType(value.Env(), name, "an Array", value);
  return value.As<Napi::Array>();
}

void SetTypes(XattrRule& rule, const Options& options, Napi::Env env, const std::string& name) {
  if (!options.Has("types")) return;
  rule.files = rule.directories = rule.links = false;
  for (const std::string& type : options.Strings("types")) {
    if (type == "file") {
      rule.files = true;
    } else if (type == "directory") {
      rule.directories = true;
    } else if (type == "symlink") {
      rule.links = true;
    } else {
      throw InvalidArgumentValue(env, name, "has an unknown type: " + type);
    }
  }
}

}  // namespace

Xattrs CheckedXattrs(Napi::Value value, const std::string& name) {
  Xattrs xattrs;
  if (value.IsUndefined()) return xattrs;
  Napi::Env env = value.Env();
  const Napi::Array array = CheckedArray(value, name);
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Options xattr(env, array.Get(i), name);
    std::string key = xattr.String("name");
    const SharedBytes bytes = CheckedBytes(xattr.Raw("value"), name + ".value");
    gsize size = 0;
    const auto* data = static_cast<const char*>(g_bytes_get_data(bytes.get(), &size));
    if (key.empty()) throw InvalidArgumentValue(env, name, "has no name");
    if (key.size() > XATTR_NAME_MAX) {
      throw InvalidArgumentValue(
          env, name, "has a name of more than " + std::to_string(XATTR_NAME_MAX) + " bytes");
    }
    // libostree passes over these when it reads files, so that the object would not be itself.
    if (size == 0) throw InvalidArgumentValue(env, name, "has an empty value: " + key);
    if (size > XATTR_SIZE_MAX) {
      throw InvalidArgumentValue(
          env, name,
          "has a value of more than " + std::to_string(XATTR_SIZE_MAX) + " bytes: " + key);
    }
    if (!xattrs.emplace(key, std::string(data, size)).second) {
      throw InvalidArgumentValue(env, name, "names '" + key + "' twice");
    }
  }
  return xattrs;
}

VariantPtr ToVariant(const Xattrs& xattrs) {
  std::vector<GVariant*> pairs;
  for (const auto& [name, value] : xattrs) {
    pairs.push_back(g_variant_new("(@ay@ay)", Bytes(name.c_str(), name.size() + 1).get(),
                                  Bytes(value.data(), value.size()).get()));
  }
  return VariantPtr::Sink(
      g_variant_new_array(G_VARIANT_TYPE("(ayay)"), pairs.data(), pairs.size()));
}

Xattrs FromVariant(GVariant* variant) {
  Xattrs xattrs;
  const gsize count = variant == nullptr ? 0 : g_variant_n_children(variant);
  for (gsize i = 0; i < count; ++i) {
    VariantPtr name;
    VariantPtr value;
    g_variant_get_child(variant, i, "(@ay@ay)", name.out(), value.out());
    std::string text = Text(name.get());
    if (!text.empty() && text.back() == '\0') text.pop_back();
    xattrs[std::move(text)] = Text(value.get());
  }
  return xattrs;
}

std::vector<XattrRule> CheckedXattrRules(Napi::Value value, const std::string& name) {
  std::vector<XattrRule> rules;
  if (value.IsUndefined()) return rules;
  const Napi::Array array = CheckedArray(value, name);
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Options options(value.Env(), array.Get(i), name);
    XattrRule rule;
    rule.path = options.String("path");
    SetTypes(rule, options, value.Env(), name);
    rule.drop = options.Strings("drop");
    rule.set = CheckedXattrs(options.Raw("set"), name + ".set");
    rules.push_back(std::move(rule));
  }
  return rules;
}

XattrRules::XattrRules(const std::vector<XattrRule>& rules) {
  for (const XattrRule& rule : rules) {
    Compiled compiled{&rule, PathPattern(rule.path), {}};
    for (const std::string& name : rule.drop) compiled.drop.emplace_back(name);
    rules_.push_back(std::move(compiled));
  }
}

std::vector<uint32_t> XattrRules::For(const std::string& path, mode_t mode) const {
  std::vector<uint32_t> found;
  for (uint32_t i = 0; i < rules_.size(); ++i) {
    const XattrRule& rule = *rules_[i].rule;
    const bool wanted = S_ISREG(mode)   ? rule.files
                        : S_ISDIR(mode) ? rule.directories
                        : S_ISLNK(mode) ? rule.links
                                        : false;
    if (wanted && rules_[i].path.Matches(path)) found.push_back(i);
  }
  return found;
}

VariantPtr XattrRules::Apply(const std::vector<uint32_t>& rules, GVariant* xattrs) const {
  Xattrs result = FromVariant(xattrs);
  for (const uint32_t i : rules) {
    const Compiled& compiled = rules_[i];
    std::erase_if(result, [&compiled](const auto& xattr) {
      // Patterns are of names below a slash.
      const std::string path = "/" + xattr.first;
      for (const PathPattern& pattern : compiled.drop) {
        if (pattern.Matches(path)) return true;
      }
      return false;
    });
    for (const auto& [name, value] : compiled.rule->set) result[name] = value;
  }
  return ToVariant(result);
}

}  // namespace apt_ostree
