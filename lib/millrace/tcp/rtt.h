// tcp/rtt.h - round-trip time estimator and retransmission timeout (RFC 6298).
//
// Fed by one timed segment per flight (Karn's rule keeps retransmitted ones out) or by timestamps.
// Times in microseconds; SRTT is kept times 8 and RTTVAR times 4, so that the averages are shifts.
// Invariant: rto_min <= Rto() <= rto_max. Cost: OnSample is integer, without division.
#ifndef MILLRACE_TCP_RTT_H_
#define MILLRACE_TCP_RTT_H_

#include <algorithm>
#include <cstdint>

#include "millrace/tcp/config.h"

namespace millrace::tcp {

struct RttEstimator {
  uint32_t srtt_us_x8 = 0;  // 0: no sample yet
  uint32_t rttvar_us_x4 = 0;

  bool has_sample() const { return srtt_us_x8 != 0; }
  uint32_t srtt_us() const { return srtt_us_x8 >> 3; }
  uint32_t rttvar_us() const { return rttvar_us_x4 >> 2; }

  void OnSample(uint32_t rtt_us);
  // Without back-off; the initial RTO while there is no sample.
  Duration Rto(const Config& config) const;

  // True when Rto() is surely Config::rto_min, as it is on nearly every path: the sum of SRTT and
  // 4*RTTVAR is at most `sum_us` of SumForRtoMin, which leaves room for the granularity.
  bool IsRtoMin(uint32_t sum_us) const {
    return has_sample() && srtt_us() + rttvar_us_x4 <= sum_us;
  }
  static uint32_t SumForRtoMin(const Config& config) {
    const int64_t sum_us = (config.rto_min - config.rto_granularity).us();
    return static_cast<uint32_t>(std::clamp<int64_t>(sum_us, 0, UINT32_MAX));
  }
};

// Inline definitions

inline void RttEstimator::OnSample(uint32_t rtt_us) {
  constexpr uint32_t kSampleMaxUs = 120'000'000;  // keeps the scaled values in 32 bits
  rtt_us = std::clamp<uint32_t>(rtt_us, 1, kSampleMaxUs);
  if (!has_sample()) {
    // RFC 6298 2.2: SRTT <- R, RTTVAR <- R/2.
    srtt_us_x8 = rtt_us << 3;
    rttvar_us_x4 = rtt_us << 1;
    return;
  }
  // RFC 6298 2.3: RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'| first, with the old SRTT, then
  // SRTT <- 7/8 SRTT + 1/8 R'.
  const int32_t error = static_cast<int32_t>(rtt_us) - static_cast<int32_t>(srtt_us());
  const uint32_t magnitude = static_cast<uint32_t>(error < 0 ? -error : error);
  rttvar_us_x4 = rttvar_us_x4 - (rttvar_us_x4 >> 2) + magnitude;
  srtt_us_x8 = std::max<uint32_t>(srtt_us_x8 - (srtt_us_x8 >> 3) + rtt_us, 8);
}

inline Duration RttEstimator::Rto(const Config& config) const {
  if (!has_sample()) return config.rto_initial;
  // RFC 6298 2.3: RTO <- SRTT + max (G, K*RTTVAR), K = 4.
  const Duration variance = std::max(Duration::Microseconds(rttvar_us_x4), config.rto_granularity);
  const Duration rto = Duration::Microseconds(srtt_us()) + variance;
  return std::clamp(rto, config.rto_min, config.rto_max);
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RTT_H_
