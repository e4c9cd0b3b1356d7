#include "apps/load/schedule.h"

#include <algorithm>

namespace millrace::apps {

double StartsDue(const RunPlan& plan, bool in_window, int64_t from_ns, int64_t until_ns) {
  const double full_ns = FullRateNs(static_cast<double>(until_ns), plan.ramp) -
                         FullRateNs(static_cast<double>(from_ns), plan.ramp);
  const double all = plan.rate_per_s * 1e-9 * full_ns;
  const double most = in_window ? static_cast<double>(plan.count) : all;
  return std::min(all, most) / plan.rank.count;
}

uint64_t Schedule::SkipTo(Duration until) {
  constexpr uint64_t kDrawnMax = 4'096;
  uint64_t left_out = 0;
  for (; next_ < until && left_out < kDrawnMax; ++left_out) Advance();
  if (next_ >= until) return left_out;
  if (random()) {
    const double full_ns = FullRateNs(static_cast<double>(until.ns()), ramp_);
    const double expected = std::max(0.0, full_ns - random_ns_) / (gap_ns_ * rank_.count);
    random_ns_ = full_ns;
    Advance();
    next_ = std::max(next_, until);
    return left_out + 1 + static_cast<uint64_t>(std::llround(expected));
  }
  // The first start that is late enough lies between these; the one at hand is not.
  const uint64_t at_hand = made_ - 1;
  uint64_t before = at_hand, step = 1;
  while (Warp(FullNsOf(before + step)) < until) step *= 2;
  uint64_t after = before + step;
  while (after - before > 1) {
    const uint64_t middle = before + (after - before) / 2;
    (Warp(FullNsOf(middle)) < until ? before : after) = middle;
  }
  made_ = after;
  Advance();
  return left_out + (after - at_hand);
}

}  // namespace millrace::apps
