// base/watchdog.h - tells when a worker's heartbeat has stopped, once, and when it beats again.
//
// Fed by whoever watches, as often as it likes: an alarm comes with the first Check that is `limit`
// or more after the last change that was seen.
// Threading: one owner. Cost: nothing that counts.
#ifndef MILLRACE_BASE_WATCHDOG_H_
#define MILLRACE_BASE_WATCHDOG_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/time.h"

namespace millrace {

class Watchdog {
 public:
  enum class Event : uint8_t { kNone, kStuck, kRecovered };

  Watchdog(size_t workers, Duration limit, Instant now)
      : limit_(limit), watched_(workers, {.changed = now}) {}

  // What to say about a worker whose heartbeat is now this.
  Event Check(size_t worker, uint64_t heartbeat, Instant now) {
    Watched& w = watched_[worker];
    if (heartbeat != w.heartbeat) {
      const bool was_stuck = w.stuck;
      w = {.heartbeat = heartbeat, .changed = now, .silent = w.silent, .stuck = false};
      return was_stuck ? Event::kRecovered : Event::kNone;
    }
    w.silent = now - w.changed;
    if (w.stuck || w.silent < limit_) return Event::kNone;
    w.stuck = true;
    return Event::kStuck;
  }
  // How long the worker has been, or was when it beat again, without a heartbeat.
  Duration silence(size_t worker) const { return watched_[worker].silent; }

 private:
  struct Watched {
    uint64_t heartbeat = 0;
    Instant changed;
    Duration silent;
    bool stuck = false;
  };

  Duration limit_;
  std::vector<Watched> watched_;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_WATCHDOG_H_
