// apps/common/stop_signals.h - SIGINT and SIGTERM as something to wait for.
//
// The signals are blocked in this thread and in all that it starts later, and taken by Wait: no
// handler, no global. Made in main, before any thread.
#ifndef MILLRACE_APPS_COMMON_STOP_SIGNALS_H_
#define MILLRACE_APPS_COMMON_STOP_SIGNALS_H_

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "millrace/base/time.h"

namespace millrace::apps {

class StopSignals {
 public:
  // Without `hold` the signals do what they always do, and Wait only sleeps.
  explicit StopSignals(bool hold = true) {
    sigemptyset(&set_);
    if (hold) {
      sigaddset(&set_, SIGINT);
      sigaddset(&set_, SIGTERM);
    }
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Sleeps for `time` or until one of the signals came; true then.
  bool Wait(Duration time) {
    timespec wait{};
    wait.tv_sec = static_cast<time_t>(time.ns() / 1'000'000'000);
    wait.tv_nsec = static_cast<long>(time.ns() % 1'000'000'000);
    return sigtimedwait(&set_, nullptr, &wait) > 0;
  }

 private:
  sigset_t set_{}, before_{};
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_STOP_SIGNALS_H_
