// tcp/fast_open_resets.h - passive Fast Opens that were reset before their handshake was complete.
//
// RFC 7413 5.1: a flood with forged addresses whose owners answer with RSTs would otherwise never
// fill the number of pending ones. Each counts as pending for 60 to 120 s; Linux has 60 s.
#ifndef MILLRACE_TCP_FAST_OPEN_RESETS_H_
#define MILLRACE_TCP_FAST_OPEN_RESETS_H_

#include <cstdint>

#include "millrace/base/time.h"
#include "millrace/tcp/timers.h"

namespace millrace::tcp {

class FastOpenResets {
 public:
  void Add(uint32_t tick) {
    Age(tick);
    ++recent_;
  }
  uint32_t Count(uint32_t tick) {
    Age(tick);
    return recent_ + before_;
  }

 private:
  void Age(uint32_t tick) {
    constexpr uint32_t kTicks = TicksOf(Duration::Seconds(60));
    const uint32_t age = tick - since_tick_;
    if (age < kTicks) return;
    before_ = age < 2 * kTicks ? recent_ : 0;
    recent_ = 0;
    since_tick_ = tick;
  }

  uint32_t since_tick_ = 0;
  uint32_t recent_ = 0, before_ = 0;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_FAST_OPEN_RESETS_H_
