#include "ostree/import_filter.h"

#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "core/arguments.h"
#include "core/error.h"

namespace apt_ostree {

namespace {

constexpr size_t kColumns = 4;

struct Answer {
  std::mutex mutex;
  std::condition_variable arrived;
  bool done = false;
  bool failed = false;
  std::vector<double> values;
};

// What `answer` was called with; anything unexpected counts as a failure.
void Take(const Napi::CallbackInfo& info, size_t count, Answer& answer) {
  std::vector<double> values;
  if (info[0].IsTypedArray() &&
      info[0].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array) {
    const auto array = info[0].As<Napi::Float64Array>();
    values.assign(array.Data(), array.Data() + array.ElementLength());
  }
  const std::lock_guard<std::mutex> guard(answer.mutex);
  if (answer.done) return;
  answer.done = true;
  answer.failed = values.size() != count * kColumns;
  answer.values = std::move(values);
  answer.arrived.notify_one();
}

uint32_t Number(double value, uint32_t fallback) {
  return value >= 0 && value <= UINT32_MAX ? static_cast<uint32_t>(value) : fallback;
}

}  // namespace

void AskFilter(std::vector<ImportEntry*> entries, const JobContext& job) {
  if (entries.empty()) return;
  auto answer = std::make_shared<Answer>();
  std::string paths;
  std::vector<double> numbers;
  for (const ImportEntry* entry : entries) {
    if (!paths.empty()) paths.push_back('\0');
    paths += entry->path;
    numbers.insert(numbers.end(),
                   {static_cast<double>(entry->mode), static_cast<double>(entry->uid),
                    static_cast<double>(entry->gid), static_cast<double>(entry->size)});
  }
  job.Emit([answer, paths = std::move(paths), numbers = std::move(numbers),
            count = entries.size()](Napi::Env env) -> Napi::Value {
    Napi::Object event = Napi::Object::New(env);
    event.Set("paths", paths);
    Napi::Float64Array column = Napi::Float64Array::New(env, numbers.size());
    std::copy(numbers.begin(), numbers.end(), column.Data());
    event.Set("numbers", column);
    event.Set("answer", Napi::Function::New(env, [answer, count](const Napi::CallbackInfo& call) {
                Take(call, count, *answer);
                return call.Env().Undefined();
              }));
    return event;
  });
  std::unique_lock<std::mutex> lock(answer->mutex);
  // The environment may end, or the job be cancelled, and no answer come at all.
  while (!answer->arrived.wait_for(lock, std::chrono::milliseconds(20),
                                   [&answer] { return answer->done; })) {
    job.ThrowIfCancelled();
  }
  if (answer->failed) throw Aborted();
  for (size_t i = 0; i < entries.size(); ++i) {
    const double* row = &answer->values[i * kColumns];
    ImportEntry& entry = *entries[i];
    entry.skip = row[0] != 0;
    entry.uid = Number(row[1], entry.uid);
    entry.gid = Number(row[2], entry.gid);
    entry.mode = (entry.mode & S_IFMT) | (Number(row[3], entry.mode) & 07777);
  }
}

}  // namespace apt_ostree
