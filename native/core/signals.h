// Signals and the addon's threads.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <initializer_list>

namespace apt_ostree {

// For as long as it lives, signals are blocked on this thread, and for good on the threads it
// starts: they belong to Node's main thread. Those of a fault stay: their handler (a sanitizer's,
// a crash reporter's) has to run where the fault is.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
      sigdelset(&all, fault);
    }
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t previous_;
};

}  // namespace apt_ostree
