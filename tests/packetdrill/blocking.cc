#include "packetdrill/blocking.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <utility>

namespace millrace::packetdrill {
namespace {

// Whether a thread of this process sleeps, by /proc. One that is gone counts as asleep.
bool IsAsleep(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return true;
  const size_t state = line.rfind(')') + 2;  // behind the name
  return state >= line.size() || line[state] == 'S';
}

}  // namespace

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
  finishing_ = true;
  second_ = gettid();
  changed_.notify_all();
  return true;
}

void Blocking::LetReturnedCallFinish() {
  pid_t thread;
  {
    const Lock lock = Enter();
    if (!IsMainThread() || !finishing_) return;
    finishing_ = false;
    thread = second_;
  }
  // When it sleeps again it waits for packetdrill's next call.
  constexpr int kLooksMax = 10'000;  // a tenth of a second and more
  for (int look = 0; look < kLooksMax && !IsAsleep(thread); ++look) std::this_thread::yield();
}

}  // namespace millrace::packetdrill
