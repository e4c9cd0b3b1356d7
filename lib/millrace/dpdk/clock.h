// dpdk/clock.h - the one clock of a worker: nanoseconds from the processor's time stamp counter.
//
// Calibrated once against CLOCK_MONOTONIC, whose values it continues (error about 10 ppm).
// Copies share the calibration, so the clocks of all workers agree as far as the counters of the
// cores do. Where the counter is not invariant (it stops or changes its rate), every reading is a
// clock_gettime.
// Invariants: Now never runs backwards. Threading: one object per thread; copying is free.
// Cost: Now about 10 ns, of which the counter's instruction is nearly all.
#ifndef MILLRACE_DPDK_CLOCK_H_
#define MILLRACE_DPDK_CLOCK_H_

#include <rte_cycles.h>

#include <algorithm>
#include <cstdint>

#include "millrace/base/time.h"

namespace millrace::dpdk {

class Clock {
 public:
  enum class Source : uint8_t { kTsc, kMonotonic };

  // Measures the counter's rate; takes 20 ms. For a whole process: calibrate once, then copy.
  static Clock Calibrate();
  // Without the counter, for machines that have none that can be used, and for tests.
  static Clock Monotonic();

  Instant Now() { return AtCycles(Cycles()); }
  // A reading of the counter, for AtCycles and for measuring; about 10 ns.
  static uint64_t Cycles() { return rte_rdtsc(); }
  // The instant at a reading of the counter (Cycles) that the caller has made already. Behind a
  // later reading it returns the later instant.
  Instant AtCycles(uint64_t cycles);

  Source source() const { return source_; }
  uint64_t cycles_per_second() const { return cycles_per_second_; }

  static bool TscIsInvariant();

 private:
  Clock() = default;

  Source source_ = Source::kMonotonic;
  uint64_t cycles_per_second_ = 0;
  uint64_t base_cycles_ = 0;
  int64_t base_ns_ = 0;
  uint64_t ns_per_cycle_q32_ = 0;  // nanoseconds per cycle, times 2^32
  int64_t last_ns_ = 0;
};

int64_t MonotonicNs();  // CLOCK_MONOTONIC

// Inline definitions

inline Instant Clock::AtCycles(uint64_t cycles) {
  int64_t ns;
  if (source_ == Source::kTsc) [[likely]] {
    // Signed: another core's counter may be a little behind the one that was calibrated.
    const auto elapsed = static_cast<int64_t>(cycles - base_cycles_);
    __extension__ using Wide = __int128;
    const Wide scaled = Wide{elapsed} * static_cast<int64_t>(ns_per_cycle_q32_);
    ns = base_ns_ + static_cast<int64_t>(scaled >> 32);
  } else {
    ns = MonotonicNs();
  }
  last_ns_ = std::max(last_ns_, ns);
  return Instant::FromNanoseconds(last_ns_);
}

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_CLOCK_H_
