// load/live_load.h - what a generator shows while it runs: counters, and latencies by interval.
//
// The generator writes about once a millisecond (relaxed); one other thread reads. Latencies change
// hands by flipping between two sets: the reader asks, the generator goes on in the other set, and
// the one it left is the reader's until the reader asks again.
#ifndef MILLRACE_APPS_LOAD_LIVE_LOAD_H_
#define MILLRACE_APPS_LOAD_LIVE_LOAD_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "apps/load/load_result.h"

namespace millrace::apps {

enum class LoadStage : uint8_t {
  kProbing,  // is the target there?
  kHolding,  // opening the connections that are held
  kReady,    // waits until all generators of the run are
  kLeading,  // ramp and warm-up
  kMeasuring,
  kDraining,  // nothing more is started
  kDone,      // nothing is open
};

// What one interval showed.
struct IntervalLoad {
  Latencies intended;  // latencies from the intended start
  uint64_t worst_lag_ns = 0;

  void Add(const IntervalLoad& other) {
    intended.Add(other.intended);
    worst_lag_ns = std::max(worst_lag_ns, other.worst_lag_ns);
  }
  void Clear() {
    intended.Clear();
    worst_lag_ns = 0;
  }
};

class FlippedIntervals {
 public:
  // The generator's side.
  IntervalLoad& current() { return sets_[active_]; }
  // Goes on in the other set when the reader has asked for this one.
  void FlipIfAsked() {
    const uint32_t asked = asked_.load(std::memory_order_acquire);
    if (asked == flipped_.load(std::memory_order_relaxed)) return;
    active_ ^= 1;
    flipped_.store(asked, std::memory_order_release);
  }

  // The reader's side.
  void Ask() {
    asked_.store(asked_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  // Whether the set that Ask was for can be taken.
  bool Ready() const {
    return flipped_.load(std::memory_order_acquire) == asked_.load(std::memory_order_relaxed);
  }
  // Adds the set to *sum and leaves it empty. REQUIRES: Ready(), after an Ask.
  void TakeInto(IntervalLoad* sum) {
    IntervalLoad& left = sets_[(asked_.load(std::memory_order_relaxed) & 1) ^ 1];
    sum->Add(left);
    left.Clear();
  }
  // Adds all that is left. REQUIRES: the generator is done, or its worker ended.
  void FinishInto(IntervalLoad* sum) {
    for (IntervalLoad& set : sets_) {
      sum->Add(set);
      set.Clear();
    }
  }

 private:
  std::array<IntervalLoad, 2> sets_;
  uint32_t active_ = 0;  // the generator's; equals flipped_ & 1
  alignas(64) std::atomic<uint32_t> asked_{0};
  std::atomic<uint32_t> flipped_{0};
};

struct LiveRun {
  std::atomic<uint64_t> started{0}, ok{0}, failed{0}, requests_ok{0};  // measured or not
  std::atomic<uint32_t> open{0}, held{0};
  std::atomic<uint64_t> retransmits{0};
  std::atomic<LoadStage> stage{LoadStage::kProbing};
  std::atomic<bool> stop{false};  // set by others: start no more
  // Set by others: when the clock starts, by the worker's own. 0: as soon as it can.
  static constexpr int64_t kNotYet = INT64_MAX;
  std::atomic<int64_t> start_at_ns{0};
  FlippedIntervals intervals;

  bool done() const { return stage.load(std::memory_order_acquire) == LoadStage::kDone; }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LIVE_LOAD_H_
