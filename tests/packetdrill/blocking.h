// packetdrill/blocking.h - the lock, and calls that wait.
//
// packetdrill makes blocking calls on a second thread; its main thread goes on when it sees that
// thread asleep, and from then on moves the time and the packets. When the main thread's doing
// makes a sleeping call ready, time stands still until that call has returned and its thread has
// read the clock (packetdrill takes the end of a blocking call from there), so that what a script
// sees does not depend on the scheduler. One call waits at a time.
// Not to be a static object: the process may exit while the second thread sleeps in here, and a
// condition variable's destructor would wait for it.
#ifndef MILLRACE_PACKETDRILL_BLOCKING_H_
#define MILLRACE_PACKETDRILL_BLOCKING_H_

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "millrace/base/time.h"

namespace millrace::packetdrill {

class Blocking {
 public:
  using Lock = std::unique_lock<std::mutex>;

  Blocking() : main_(std::this_thread::get_id()) {}
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

  Lock Enter() { return Lock(mutex_); }
  bool IsMainThread() const { return std::this_thread::get_id() == main_; }

  // On the second thread: sleeps until ready() or the deadline, as the main thread sees them.
  void Sleep(Lock& lock, std::function<bool()> ready, Instant deadline);

  // On the main thread, after every change: hands over to the sleeping call when it is ready.
  void HandOver(Lock& lock, Instant now);
  // When the sleeping call wants to be looked at; Never without one.
  Instant deadline() const { return waiting_ ? deadline_ : Instant::Never(); }

  // Lets the time run again when this is the thread of a call that was woken and has returned;
  // false when it is not.
  bool CallReturned();
  // On the main thread, before time moves: a call that has returned has its result written down by
  // packetdrill, behind a lock of its own that the main thread takes again at once. Lets its thread
  // get there.
  void LetReturnedCallFinish();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::thread::id main_;
  bool waiting_ = false;    // a call sleeps
  bool returning_ = false;  // a call was woken and has neither slept again nor returned
  bool finishing_ = false;  // it has returned, and time has not moved since ...
  pid_t second_ = 0;        // ... on this thread
  std::function<bool()> ready_;
  Instant deadline_ = Instant::Never();
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_BLOCKING_H_
