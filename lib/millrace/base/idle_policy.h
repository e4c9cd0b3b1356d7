// base/idle_policy.h - what a polling thread does after polls that found nothing.
//
// A thread that yields comes back soon when the others on its CPU yield too, as workers do. One
// that never rests keeps the CPU for a whole slice of the scheduler, milliseconds. So a yield that
// took long says that a stranger is there, and for a while the thread sleeps instead: the scheduler
// lets who wakes up go first, because it used less than its share. A sleep of a few microseconds
// is over before the CPU is given up, hence kSleepNsMin (bench/results/cores.md).
// Pure: the thread (dpdk/worker.cc) does what is said and tells how long it took.
#ifndef MILLRACE_BASE_IDLE_POLICY_H_
#define MILLRACE_BASE_IDLE_POLICY_H_

#include <algorithm>
#include <cstdint>

namespace millrace {

enum class IdleMode : uint8_t {
  kPoll,   // never gives up the CPU: lowest latency, for a core of its own
  kYield,  // after some empty polls lets other threads run: for shared cores
  kSleep,  // after some more sleeps for up to 50 us: a quiet machine, timers late by as much
};

class IdlePolicy {
 public:
  static constexpr uint32_t kYieldAfterPolls = 64;   // empty ones
  static constexpr uint32_t kSleepAfterPolls = 256;  // then each sleep is twice the last
  static constexpr uint32_t kSleepNsMin = 10'000, kSleepNsMax = 50'000;
  static constexpr uint32_t kStrangerNs = 200'000;    // a yield that takes longer
  static constexpr uint32_t kYieldAgainAfter = 4096;  // sleeps instead of yields

  enum class Kind : uint8_t { kPause, kYield, kSleep };
  struct Step {
    Kind kind;
    uint32_t ns = 0;  // of kSleep
  };

  explicit IdlePolicy(IdleMode mode) : mode_(mode) {}

  void OnWork() {
    empty_polls_ = 0;
    sleep_ns_ = kSleepNsMin;
  }

  // After a poll that found nothing.
  Step OnEmptyPoll() {
    if (mode_ == IdleMode::kPoll || ++empty_polls_ < kYieldAfterPolls) return {Kind::kPause};
    const bool yields = mode_ == IdleMode::kYield || empty_polls_ < kSleepAfterPolls;
    if (yields && sleeps_left_ == 0) return {Kind::kYield};
    if (sleeps_left_ > 0) --sleeps_left_;
    const uint32_t ns = sleep_ns_;
    sleep_ns_ = std::min(2 * sleep_ns_, kSleepNsMax);
    return {Kind::kSleep, ns};
  }

  // After Kind::kYield.
  void OnYielded(uint64_t took_ns) {
    if (took_ns > kStrangerNs) sleeps_left_ = kYieldAgainAfter;
  }

 private:
  IdleMode mode_;
  uint32_t empty_polls_ = 0;
  uint32_t sleep_ns_ = kSleepNsMin;
  uint32_t sleeps_left_ = 0;  // a stranger is there: so many sleeps in place of yields
};

}  // namespace millrace

#endif  // MILLRACE_BASE_IDLE_POLICY_H_
