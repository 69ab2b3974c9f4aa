// Tells JavaScript of downloads.
#pragma once

#include <napi.h>

#include <string>

#include "apt/acquire.h"
#include "core/job.h"

namespace apt_ostree {

// Sends what happens in a download to JavaScript.
class Reporter : public apt::FetchListener {
 public:
  explicit Reporter(JobContext& job) : job_(job) {}

  void Progress(const apt::FetchProgress& progress) override {
    job_.Report([progress](Napi::Env env) -> Napi::Value {
      Napi::Object event = Napi::Object::New(env);
      event.Set("type", "fetch-progress");
      event.Set("bytesDone", static_cast<double>(progress.bytes_done));
      event.Set("bytesTotal", static_cast<double>(progress.bytes_total));
      event.Set("itemsDone", static_cast<double>(progress.items_done));
      event.Set("itemsTotal", static_cast<double>(progress.items_total));
      event.Set("bytesPerSecond", static_cast<double>(progress.bytes_per_second));
      if (!progress.current.empty()) event.Set("current", progress.current);
      return event;
    });
  }

  void Item(const std::string& uri, const std::string& status,
            const std::string& message) override {
    job_.Emit([uri, status, message](Napi::Env env) -> Napi::Value {
      Napi::Object event = Napi::Object::New(env);
      event.Set("type", "fetch-item");
      event.Set("uri", uri);
      event.Set("status", status);
      if (!message.empty()) event.Set("message", message);
      return event;
    });
  }

  bool Cancelled() override { return job_.cancelled(); }

 private:
  JobContext& job_;
};

}  // namespace apt_ostree
