// base/token_bucket.h - lets through a rate per second and, after silence, a burst.
//
// Exact: credit is counted in units of 1/10^9 token, so that a nanosecond earns `rate` units and no
// fraction below the burst is ever lost. Invariant: 0 <= credit <= burst * 10^9.
// Threading: one owner. Cost: one multiplication, no division.
#ifndef MILLRACE_BASE_TOKEN_BUCKET_H_
#define MILLRACE_BASE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/check.h"
#include "millrace/base/time.h"

namespace millrace {

class TokenBucket {
 public:
  static constexpr uint64_t kRateMax = 1'000'000'000'000, kBurstMax = 1'000'000'000;

  // Starts full. `rate` in tokens per second, 0 (never refills) to kRateMax; `burst` in tokens, 0
  // (lets nothing through) to kBurstMax.
  constexpr TokenBucket(uint64_t rate, uint64_t burst)
      : rate_(rate),
        limit_(burst * kUnitsPerToken),
        full_after_ns_(rate == 0 ? 0 : limit_ / rate + 1),
        credit_(limit_) {
    MR_CHECK(rate <= kRateMax);
    MR_CHECK(burst <= kBurstMax);
  }

  // Takes a token if there is one. `now` does not go back from call to call; should it, nothing is
  // earned.
  constexpr bool Take(Instant now) {
    Refill(now);
    if (credit_ < kUnitsPerToken) return false;
    credit_ -= kUnitsPerToken;
    return true;
  }

 private:
  static constexpr uint64_t kUnitsPerToken = 1'000'000'000;

  constexpr void Refill(Instant now) {
    if (now <= last_) {
      last_ = now;
      return;
    }
    const auto elapsed_ns = static_cast<uint64_t>(now.ns()) - static_cast<uint64_t>(last_.ns());
    last_ = now;
    if (elapsed_ns >= full_after_ns_) {  // also keeps the product below from overflowing
      credit_ = rate_ == 0 ? credit_ : limit_;
    } else {
      credit_ = std::min(limit_, credit_ + elapsed_ns * rate_);
    }
  }

  uint64_t rate_;           // tokens per second: units per nanosecond
  uint64_t limit_;          // units
  uint64_t full_after_ns_;  // silence after which the bucket is full whatever it held
  uint64_t credit_;         // units
  Instant last_;            // of the last refill
};

}  // namespace millrace

#endif  // MILLRACE_BASE_TOKEN_BUCKET_H_
