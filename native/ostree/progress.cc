#include "ostree/progress.h"

namespace apt_ostree {

namespace {

struct Counter {
  const char* name;
  const char* key;
};

constexpr Counter kCounters[] = {
    {"outstandingFetches", "outstanding-fetches"},
    {"outstandingMetadataFetches", "outstanding-metadata-fetches"},
    {"outstandingWrites", "outstanding-writes"},
    {"fetched", "fetched"},
    {"requested", "requested"},
    {"metadataFetched", "metadata-fetched"},
    {"scannedMetadata", "scanned-metadata"},
    {"bytesTransferred", "bytes-transferred"},
    {"startTime", "start-time"},
    {"fetchedDeltaParts", "fetched-delta-parts"},
    {"totalDeltaParts", "total-delta-parts"},
    {"fetchedDeltaPartSize", "fetched-delta-part-size"},
    {"totalDeltaPartSize", "total-delta-part-size"},
    {"totalDeltaPartUncompressedSize", "total-delta-part-usize"},
    {"totalDeltaSuperblocks", "total-delta-superblocks"},
    {"fetchedDeltaFallbacks", "fetched-delta-fallbacks"},
    {"totalDeltaFallbacks", "total-delta-fallbacks"},
    {"contentFetchedLocalCache", "content-fetched-localcache"},
};

// Keys come and go with the phases of a pull; their types differ.
double Number(GVariant* value) {
  if (value == nullptr) return 0;
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32)) return g_variant_get_uint32(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64)) {
    return static_cast<double>(g_variant_get_uint64(value));
  }
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)) {
    return static_cast<double>(g_variant_get_int64(value));
  }
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN)) return g_variant_get_boolean(value);
  return 0;
}

double Read(OstreeAsyncProgress* progress, const char* key) {
  const VariantPtr value = VariantPtr::Take(ostree_async_progress_get_variant(progress, key));
  return Number(value.get());
}

ProgressSnapshot Snapshot(OstreeAsyncProgress* progress) {
  ProgressSnapshot snapshot;
  for (const Counter& counter : kCounters) {
    snapshot.numbers[counter.name] = Read(progress, counter.key);
  }
  snapshot.scanning = Read(progress, "scanning") != 0;
  snapshot.caught_error = Read(progress, "caught-error") != 0;
  const GStringPtr status(ostree_async_progress_get_status(progress));
  if (status) snapshot.status = status.get();
  return snapshot;
}

}  // namespace

Napi::Value ProgressSnapshot::ToJs(Napi::Env env) const {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : numbers) object.Set(name, value);
  object.Set("scanning", Napi::Boolean::New(env, scanning));
  object.Set("caughtError", Napi::Boolean::New(env, caught_error));
  if (!status.empty()) object.Set("status", status);
  return object;
}

Progress::Progress(JobContext& job)
    : job_(job), progress_(GObjectPtr<OstreeAsyncProgress>::Take(ostree_async_progress_new())) {
  g_signal_connect(progress_.get(), "changed", G_CALLBACK(OnChanged), this);
}

Progress::~Progress() { Finish(); }

ProgressSnapshot Progress::Finish() {
  if (!finished_) {
    finished_ = true;
    ostree_async_progress_finish(progress_.get());
    g_signal_handlers_disconnect_by_data(progress_.get(), this);
  }
  return Snapshot(progress_.get());
}

void Progress::OnChanged(OstreeAsyncProgress* progress, Progress* self) {
  self->job_.Report([snapshot = Snapshot(progress)](Napi::Env env) { return snapshot.ToJs(env); });
}

}  // namespace apt_ostree
