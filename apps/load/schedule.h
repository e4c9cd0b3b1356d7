// load/schedule.h - when connections and requests are meant to start.
//
// A schedule is computed, never slept: the n-th start of a rank is a function of plan, seed and n,
// so a generator that falls behind knows exactly how far. Starts of a ramp follow the integral of
// the rising rate. Paced and burst starts of several ranks are those of one schedule dealt out in
// turn; Poisson and uniform gaps are drawn per rank at the rank's share of the rate, which for
// Poisson gives exactly the process that one generator would (superposition).
// Error: below 1 ns in 10^15 ns for paced starts (no sum is kept). Cost: Next 2 to 20 ns.
#ifndef MILLRACE_APPS_LOAD_SCHEDULE_H_
#define MILLRACE_APPS_LOAD_SCHEDULE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "apps/load/plan.h"
#include "millrace/base/prng.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// Time at the full rate that makes up as many starts as `passed_ns` from the beginning of a ramp: r
// of the ramp's length make up r / 2.
inline double FullRateNs(double passed_ns, Duration ramp) {
  const auto ramp_ns = static_cast<double>(ramp.ns());
  return passed_ns < ramp_ns ? passed_ns * passed_ns / (2 * ramp_ns) : passed_ns - ramp_ns / 2;
}

// Starts that the plan asks of one rank from the beginning of the window, or before it of the
// clock, until then; in ns since the clock began. --count is of those in the window.
double StartsDue(const RunPlan& plan, bool in_window, int64_t from_ns, int64_t until_ns);

class Schedule {
 public:
  // `rate_per_s` is that of all ranks together and above 0.
  Schedule(double rate_per_s, const Arrival& arrival, Duration ramp, LoadRank rank, uint64_t seed)
      : arrival_(arrival),
        gap_ns_(1e9 / rate_per_s),
        ramp_(ramp),
        rank_(rank),
        dice_(seed + rank.index) {
    Advance();
  }

  // When the next start is meant to be, as time since the schedule's beginning.
  Duration next() const { return next_; }
  // Goes on to the one after it.
  void Advance();
  // Goes on to the first that is not before `until`; how many are left out by that. Exact for paced
  // and burst starts, and for the next 4,096 of random ones: of those that are more the number is
  // what the rate makes of the time. Cost: below 0.5 ms.
  uint64_t SkipTo(Duration until);

 private:
  // From time at the full rate to time with the ramp in front: after t of a ramp of length r the
  // rate has made up t^2 / 2r of full-rate time.
  Duration Warp(double full_ns) const {
    const auto ramp_ns = static_cast<double>(ramp_.ns());
    const double warped =
        full_ns < ramp_ns / 2 ? std::sqrt(2 * ramp_ns * full_ns) : full_ns + ramp_ns / 2;
    constexpr double kNever = 0x1p62;  // 146 years; two of them can be added
    return Duration::Nanoseconds(std::llround(std::min(warped, kNever)));
  }
  // Paced and bursts: of the n-th start of this rank.
  double FullNsOf(uint64_t n) const;
  double NextFullNs();
  bool random() const {
    return arrival_.kind == ArrivalKind::kPoisson || arrival_.kind == ArrivalKind::kUniform;
  }

  Arrival arrival_;
  double gap_ns_;  // at the full rate of all ranks
  Duration ramp_;
  LoadRank rank_;
  Prng dice_;
  uint64_t made_ = 0;     // by this rank
  double random_ns_ = 0;  // full-rate time of the last random start
  Duration next_;
};

// Inline definitions

inline double Schedule::FullNsOf(uint64_t n) const {
  if (arrival_.kind == ArrivalKind::kPaced) {
    return static_cast<double>(n * rank_.count + rank_.index) * gap_ns_;
  }
  const uint64_t burst = n / arrival_.burst * rank_.count + rank_.index;
  return static_cast<double>(burst * arrival_.burst) * gap_ns_;
}

inline double Schedule::NextFullNs() {
  const uint64_t n = made_++;
  switch (arrival_.kind) {
    case ArrivalKind::kPaced:
    case ArrivalKind::kBurst:
      return FullNsOf(n);
    case ArrivalKind::kPoisson:
      random_ns_ -= std::log1p(-dice_.Uniform()) * gap_ns_ * rank_.count;
      return random_ns_;
    case ArrivalKind::kUniform:
      random_ns_ += 2 * dice_.Uniform() * gap_ns_ * rank_.count;
      return random_ns_;
  }
  return 0;
}

inline void Schedule::Advance() { next_ = Warp(NextFullNs()); }

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_SCHEDULE_H_
