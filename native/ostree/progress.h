// OstreeAsyncProgress: how far a pull is.
#pragma once

#include <napi.h>
#include <ostree.h>

#include <map>
#include <string>

#include "core/gobject.h"
#include "core/job.h"

namespace apt_ostree {

// All keys of a moment, under their JavaScript names.
struct ProgressSnapshot {
  std::map<std::string, double> numbers;
  std::string status;
  bool scanning = false;
  bool caught_error = false;
  Napi::Value ToJs(Napi::Env env) const;
};

// Made and ended on the thread that pulls, while its main context is the thread's default: the
// changes are delivered there. Each is reported to the job.
class Progress {
 public:
  explicit Progress(JobContext& job);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  OstreeAsyncProgress* get() const { return progress_.get(); }
  // Ends it and gives its last state.
  ProgressSnapshot Finish();

 private:
  static void OnChanged(OstreeAsyncProgress* progress, Progress* self);
  JobContext& job_;
  GObjectPtr<OstreeAsyncProgress> progress_;
  bool finished_ = false;
};

}  // namespace apt_ostree
