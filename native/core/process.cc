#include "core/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/addon_data.h"
#include "core/arguments.h"
#include "core/error.h"
#include "core/gobject.h"
#include "core/job.h"
#include "core/spawn.h"

namespace apt_ostree {

namespace {

// Waits for the end of the process, and kills it when the job is cancelled.
int WaitFor(pid_t pid, GCancellable* cancellable) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const int cancel_fd = g_cancellable_get_fd(cancellable);
  bool killed = false;
  while (process && !killed) {
    pollfd fds[] = {{process.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}};
    if (poll(fds, cancel_fd < 0 ? 1 : 2, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    if (g_cancellable_is_cancelled(cancellable)) {
      kill(pid, SIGKILL);
      killed = true;
    }
  }
  if (cancel_fd >= 0) g_cancellable_release_fd(cancellable);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Napi::Value RunProcess(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto command = std::make_shared<Command>();
  command->file = arguments.Path(0, "file");
  command->arguments = arguments.Strings(1, "args");
  command->arguments.insert(command->arguments.begin(), command->file);
  command->environment = arguments.Strings(2, "environment");
  if (!info[3].IsArray()) {
    throw InvalidArgumentType(info.Env(), "descriptors", "an instance of Array", info[3]);
  }
  Napi::Array descriptors = info[3].As<Napi::Array>();
  for (uint32_t i = 0; i < descriptors.Length(); ++i) {
    const int64_t fd = CheckedInteger(descriptors.Get(i), "descriptors", 0, 1 << 20);
    // A copy of ours; the caller closes its own.
    UniqueFd copy(fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 200));
    if (!copy) throw FromErrno(errno, "Copying a descriptor", "").ToJs(info.Env());
    command->descriptors.push_back(std::move(copy));
  }
  return Job::Start(
      info.Env(), AddonData::Of(info.Env()).processes(), nullptr, info.Env().Undefined(),
      [command](JobContext& job) -> ToJs {
        pid_t pid = 0;
        const int failure = Spawn(*command, &pid);
        if (failure != 0) throw FromErrno(failure, "Starting", command->file);
        command->descriptors.clear();
        const int status = WaitFor(pid, job.cancellable());
        job.ThrowIfCancelled();
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return [code](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, code); };
      });
}

}  // namespace

void InitProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("runProcess", Napi::Function::New<RunProcess>(env, "runProcess"));
}

}  // namespace apt_ostree
