// tcp/timers.h - the deadlines of a connection, in ticks of the engine's wheel.
//
// A tick is 2^18 ns (262 us), so that a shift turns nanoseconds into ticks. Ticks are 32 bits and
// wrap after 13 days; they are compared by signed difference. A deadline is rounded up and the
// present is rounded down: a timer never fires early and is late by at most one tick.
#ifndef MILLRACE_TCP_TIMERS_H_
#define MILLRACE_TCP_TIMERS_H_

#include <cstdint>

#include "millrace/base/time.h"

namespace millrace::tcp {

inline constexpr int kTickShift = 18;
inline constexpr Duration kTick = Duration::Nanoseconds(int64_t{1} << kTickShift);

constexpr uint32_t TickFloor(Instant t) { return static_cast<uint32_t>(t.ns() >> kTickShift); }
constexpr uint32_t TickCeil(Instant t) {
  return static_cast<uint32_t>((t.ns() + kTick.ns() - 1) >> kTickShift);
}
// Ticks of a duration, rounded up.
constexpr uint32_t TicksOf(Duration d) {
  return static_cast<uint32_t>((d.ns() + kTick.ns() - 1) >> kTickShift);
}
constexpr bool TickReached(uint32_t deadline, uint32_t now) {
  return static_cast<int32_t>(now - deadline) >= 0;
}

enum class Timer : uint8_t {
  kRetransmit,  // RFC 6298, and the persist timer of RFC 9293 3.8.6.1: never both
  kDelayedAck,  // RFC 9293 3.8.6.3
  kLifetime,    // FIN-WAIT-2 of an orphan; before that the earliest of tcp/liveness.h
  kMemory,      // try again: Send was cut short because the core's pool was empty, or pacing
};
inline constexpr int kTimerCount = 4;

struct TimerTable {
  uint32_t at[kTimerCount];  // valid where armed
  // Bit per Timer. With an initializer the Tcb may use what is behind it.
  uint8_t armed = 0;

  bool IsArmed(Timer t) const { return (armed & Bit(t)) != 0; }
  void Set(Timer t, uint32_t tick) {
    at[static_cast<int>(t)] = tick;
    armed = static_cast<uint8_t>(armed | Bit(t));
  }
  void Stop(Timer t) { armed = static_cast<uint8_t>(armed & ~Bit(t)); }
  bool IsDue(Timer t, uint32_t now) const {
    return IsArmed(t) && TickReached(at[static_cast<int>(t)], now);
  }
  // The earliest armed deadline. REQUIRES: armed != 0.
  uint32_t Next() const {
    if (armed == Bit(Timer::kRetransmit)) [[likely]]
      return at[static_cast<int>(Timer::kRetransmit)];
    uint32_t next = 0;
    bool any = false;
    for (int i = 0; i < kTimerCount; ++i) {
      if ((armed >> i & 1) == 0) continue;
      if (!any || static_cast<int32_t>(at[i] - next) < 0) next = at[i];
      any = true;
    }
    return next;
  }

 private:
  static constexpr unsigned Bit(Timer t) { return 1u << static_cast<int>(t); }
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_TIMERS_H_
