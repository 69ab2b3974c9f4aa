// OstreeGpgVerifyResult as plain data.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <string>
#include <vector>

#include "core/gobject.h"

namespace apt_ostree {

using GpgResultPtr = GObjectPtr<OstreeGpgVerifyResult>;

struct GpgSignature {
  bool valid = false;
  bool expired = false;
  bool key_expired = false;
  bool key_revoked = false;
  bool key_missing = false;
  std::string fingerprint;
  std::string primary_fingerprint;
  std::string public_key_algorithm;
  std::string hash_algorithm;
  std::string user_name;
  std::string user_email;
  // Seconds; 0 for none.
  int64_t created = 0;
  int64_t expires = 0;
  int64_t key_expires = 0;
  int64_t primary_key_expires = 0;

  // Whether `id`, the end of a fingerprint, names its key.
  bool IsBy(const std::string& id) const;
};

std::vector<GpgSignature> ReadGpgResult(OstreeGpgVerifyResult* result);
Napi::Value GpgSignaturesToJs(Napi::Env env, const std::vector<GpgSignature>& signatures);

}  // namespace apt_ostree
