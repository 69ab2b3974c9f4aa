#include "ostree/gpg.h"

#include <algorithm>
#include <cctype>

namespace apt_ostree {

namespace {

bool Flag(GVariant* all, OstreeGpgSignatureAttr attribute) {
  const VariantPtr child = VariantPtr::Take(g_variant_get_child_value(all, attribute));
  return g_variant_get_boolean(child.get()) != FALSE;
}

std::string Text(GVariant* all, OstreeGpgSignatureAttr attribute) {
  const VariantPtr child = VariantPtr::Take(g_variant_get_child_value(all, attribute));
  return g_variant_get_string(child.get(), nullptr);
}

int64_t Time(GVariant* all, OstreeGpgSignatureAttr attribute) {
  const VariantPtr child = VariantPtr::Take(g_variant_get_child_value(all, attribute));
  return g_variant_get_int64(child.get());
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         std::equal(end.rbegin(), end.rend(), text.rbegin(), [](unsigned char a, unsigned char b) {
           return std::toupper(a) == std::toupper(b);
         });
}

}  // namespace

bool GpgSignature::IsBy(const std::string& id) const {
  const std::string digits = id.rfind("0x", 0) == 0 ? id.substr(2) : id;
  // Shorter ones name too many keys.
  return digits.size() >= 8 &&
         (EndsWith(fingerprint, digits) || EndsWith(primary_fingerprint, digits));
}

std::vector<GpgSignature> ReadGpgResult(OstreeGpgVerifyResult* result) {
  std::vector<GpgSignature> signatures;
  const guint count = ostree_gpg_verify_result_count_all(result);
  for (guint i = 0; i < count; ++i) {
    const VariantPtr all = VariantPtr::Sink(ostree_gpg_verify_result_get_all(result, i));
    GVariant* v = all.get();
    GpgSignature s;
    s.valid = Flag(v, OSTREE_GPG_SIGNATURE_ATTR_VALID);
    s.expired = Flag(v, OSTREE_GPG_SIGNATURE_ATTR_SIG_EXPIRED);
    s.key_expired = Flag(v, OSTREE_GPG_SIGNATURE_ATTR_KEY_EXPIRED);
    s.key_revoked = Flag(v, OSTREE_GPG_SIGNATURE_ATTR_KEY_REVOKED);
    s.key_missing = Flag(v, OSTREE_GPG_SIGNATURE_ATTR_KEY_MISSING);
    s.fingerprint = Text(v, OSTREE_GPG_SIGNATURE_ATTR_FINGERPRINT);
    s.primary_fingerprint = Text(v, OSTREE_GPG_SIGNATURE_ATTR_FINGERPRINT_PRIMARY);
    s.public_key_algorithm = Text(v, OSTREE_GPG_SIGNATURE_ATTR_PUBKEY_ALGO_NAME);
    s.hash_algorithm = Text(v, OSTREE_GPG_SIGNATURE_ATTR_HASH_ALGO_NAME);
    if (!s.key_missing) {
      s.user_name = Text(v, OSTREE_GPG_SIGNATURE_ATTR_USER_NAME);
      s.user_email = Text(v, OSTREE_GPG_SIGNATURE_ATTR_USER_EMAIL);
    }
    s.created = Time(v, OSTREE_GPG_SIGNATURE_ATTR_TIMESTAMP);
    s.expires = Time(v, OSTREE_GPG_SIGNATURE_ATTR_EXP_TIMESTAMP);
    s.key_expires = Time(v, OSTREE_GPG_SIGNATURE_ATTR_KEY_EXP_TIMESTAMP);
    s.primary_key_expires = Time(v, OSTREE_GPG_SIGNATURE_ATTR_KEY_EXP_TIMESTAMP_PRIMARY);
    signatures.push_back(std::move(s));
  }
  return signatures;
}

Napi::Value GpgSignaturesToJs(Napi::Env env, const std::vector<GpgSignature>& signatures) {
  Napi::Array list = Napi::Array::New(env, signatures.size());
  for (size_t i = 0; i < signatures.size(); ++i) {
    const GpgSignature& s = signatures[i];
    Napi::Object object = Napi::Object::New(env);
    const auto text = [&](const char* key, const std::string& value) {
      if (!value.empty()) object.Set(key, value);
    };
    const auto time = [&](const char* key, int64_t value) {
      if (value != 0) object.Set(key, static_cast<double>(value));
    };
    object.Set("valid", Napi::Boolean::New(env, s.valid));
    object.Set("expired", Napi::Boolean::New(env, s.expired));
    object.Set("keyExpired", Napi::Boolean::New(env, s.key_expired));
    object.Set("keyRevoked", Napi::Boolean::New(env, s.key_revoked));
    object.Set("keyMissing", Napi::Boolean::New(env, s.key_missing));
    text("fingerprint", s.fingerprint);
    text("primaryFingerprint", s.primary_fingerprint);
    text("publicKeyAlgorithm", s.public_key_algorithm);
    text("hashAlgorithm", s.hash_algorithm);
    text("userName", s.user_name);
    text("userEmail", s.user_email);
    time("created", s.created);
    time("expires", s.expires);
    time("keyExpires", s.key_expires);
    time("primaryKeyExpires", s.primary_key_expires);
    list.Set(static_cast<uint32_t>(i), object);
  }
  return list;
}

}  // namespace apt_ostree
