// dpdk/pipe_signal.h - keeps a driver's broken socket from ending the process.
#ifndef MILLRACE_DPDK_PIPE_SIGNAL_H_
#define MILLRACE_DPDK_PIPE_SIGNAL_H_

#include <csignal>
#include <ctime>

namespace millrace::dpdk {

// While it lives, the calling thread gets no SIGPIPE, nor do threads that it starts, ever. Drivers
// of shared memory (net_virtio_user, net_memif, 22.11) write to the socket of a peer that has gone,
// and what the process does about its own pipes is its business.
class PipeSignalBlocker {
 public:
  PipeSignalBlocker() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~PipeSignalBlocker() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    constexpr timespec kNoWait{};
    while (sigtimedwait(&pipe_, nullptr, &kNoWait) == SIGPIPE) continue;  // this thread's, pending
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalBlocker(const PipeSignalBlocker&) = delete;
  PipeSignalBlocker& operator=(const PipeSignalBlocker&) = delete;

 private:
  sigset_t pipe_, before_;
};

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_PIPE_SIGNAL_H_
