#include "ostree/network.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "core/signals.h"

namespace apt_ostree {

namespace {

// libostree iterates a main context of its own while it fetches a summary, and only the thread
// that does so knows which. It is asked by this signal, whose usual meaning is to be ignored.
constexpr int kSignal = SIGURG;

// The context that the thread which got the signal iterates, with a reference. One answer is under
// way at a time: see g_asking.
std::atomic<GMainContext*> g_answer{nullptr};
std::mutex g_asking;
struct sigaction g_previous;

thread_local bool t_guarded = false;

void OnSignal(int number, siginfo_t* info, void* context) {
  if (t_guarded) {
    GMainContext* current = g_main_context_get_thread_default();
    if (current != nullptr) {
      GMainContext* none = nullptr;
      // Never the last reference, so nothing is freed here.
      if (!g_answer.compare_exchange_strong(none, g_main_context_ref(current))) {
        g_main_context_unref(current);
      }
    }
    return;
  }
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    if (g_previous.sa_sigaction != nullptr) g_previous.sa_sigaction(number, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    g_previous.sa_handler(number);
  }
}

void InstallHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = OnSignal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(kSignal, &action, &g_previous);
  });
}

void SetBlocked(bool blocked) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kSignal);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

void DropAnswer() {
  GMainContext* old = g_answer.exchange(nullptr);
  if (old != nullptr) g_main_context_unref(old);
}

// Runs on the thread that iterates the context, between two polls.
gboolean ShutSockets(gpointer data) {
  auto* context = static_cast<GMainContext*>(data);
  gint timeout = 0;
  std::vector<GPollFD> polled(16);
  gint count = 0;
  while ((count = g_main_context_query(context, G_MAXINT, &timeout, polled.data(),
                                       static_cast<gint>(polled.size()))) >
         static_cast<gint>(polled.size())) {
    polled.resize(static_cast<size_t>(count));
  }
  for (gint i = 0; i < count; ++i) {
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(polled[static_cast<size_t>(i)].fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
        (domain == AF_INET || domain == AF_INET6)) {
      shutdown(polled[static_cast<size_t>(i)].fd, SHUT_RDWR);
    }
  }
  return G_SOURCE_REMOVE;
}

}  // namespace

CancelGuard::CancelGuard(GCancellable* cancellable)
    : cancellable_(GObjectPtr<GCancellable>::Share(cancellable)), waiting_(pthread_self()) {
  InstallHandler();
  t_guarded = true;
  SetBlocked(false);
  handler_ = g_cancellable_connect(cancellable, G_CALLBACK(OnCancelled), this, nullptr);
}

CancelGuard::~CancelGuard() {
  // Waits for a handler that runs.
  g_cancellable_disconnect(cancellable_.get(), handler_);
  {
    std::lock_guard<std::mutex> guard(mutex_);
    done_ = true;
    ended_.notify_all();
  }
  if (helper_.joinable()) helper_.join();
  SetBlocked(true);
  t_guarded = false;
}

void CancelGuard::OnCancelled(GCancellable*, CancelGuard* guard) {
  const SignalsBlocked blocked;
  guard->helper_ = std::thread(&CancelGuard::Run, guard);
}

void CancelGuard::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  // Again and again: a connection may be tried anew.
  while (!done_) {
    {
      std::lock_guard<std::mutex> asking(g_asking);
      // An answer that came too late is of another thread, perhaps.
      DropAnswer();
      pthread_kill(waiting_, kSignal);
      GMainContext* context = nullptr;
      for (int i = 0; i < 20 && context == nullptr; ++i) {
        ended_.wait_for(lock, std::chrono::milliseconds(1), [this] { return done_; });
        context = g_answer.exchange(nullptr);
      }
      if (context != nullptr) {
        GSource* source = g_idle_source_new();
        g_source_set_priority(source, G_PRIORITY_HIGH);
        g_source_set_callback(source, ShutSockets, context, nullptr);
        g_source_attach(source, context);
        g_source_unref(source);
        g_main_context_unref(context);
      }
    }
    ended_.wait_for(lock, std::chrono::milliseconds(30), [this] { return done_; });
  }
}

}  // namespace apt_ostree
