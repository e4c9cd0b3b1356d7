#include "packetdrill/blocking.h"

#include <chrono>
#include <utility>

namespace millrace::packetdrill {

void Blocking::Sleep(Lock& lock, std::function<bool()> ready, Instant deadline) {
  ready_ = std::move(ready);
  deadline_ = deadline;
  waiting_ = true;
  returning_ = false;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !waiting_; });
}

void Blocking::HandOver(Lock& lock, Instant now) {
  if (!waiting_ || (now < deadline_ && !ready_())) return;
  waiting_ = false;
  returning_ = true;
  changed_.notify_all();
  // The bound is in real time, against a second thread that never comes back.
  changed_.wait_for(lock, std::chrono::seconds(5), [this] { return !returning_; });
}

bool Blocking::CallReturned() {
  if (IsMainThread() || !returning_) return false;
  returning_ = false;
  changed_.notify_all();
  return true;
}

}  // namespace millrace::packetdrill
