// tcp/push_bursts.cc - PSH at the end of bursts, for Config::push_burst_segments.

#include <algorithm>

#include "millrace/tcp/internal.h"

namespace millrace::tcp {
namespace {

// Segments that a burst holds at most, as tcp_tso_autosize of Linux: what its pacing would send in
// a millisecond, and more on short paths.
uint32_t BurstSegments(const Tcb& tcb, const Config& config) {
  constexpr uint32_t kBytesMax = 65'535;
  const uint32_t srtt_us = std::max<uint32_t>(tcb.rtt.srtt_us(), 1);
  const bool slow_start = tcb.congestion.cwnd < tcb.congestion.ssthresh / 2;
  uint64_t bytes = uint64_t{tcb.congestion.cwnd} * (slow_start ? 200 : 120) / 100 * 977 / srtt_us;
  const uint32_t distance = srtt_us >> 9;
  if (distance < 16) bytes += kBytesMax >> distance;
  const auto paced = static_cast<uint32_t>(std::min<uint64_t>(bytes, kBytesMax) / tcb.snd_mss);
  // And no more than half of the congestion window at a time.
  const uint32_t half = std::max(tcb.congestion.cwnd / tcb.snd_mss / 2, 1u);
  return std::min(std::max(paced, uint32_t{config.push_burst_segments}), half);
}

}  // namespace

void PushBursts(const Tcb& tcb, const Config& config, Outbox& out) {
  const uint32_t burst_max = BurstSegments(tcb, config);
  uint32_t burst = 0;
  const std::span<TxSegment> segments = out.segments();
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].payload_length == 0) continue;
    ++burst;
    const bool goes_on = i + 1 < segments.size() && segments[i + 1].payload_length > 0 &&
                         segments[i + 1].seq == segments[i].seq + segments[i].payload_length;
    if (goes_on && burst < burst_max) continue;
    if (burst > 1) segments[i].flags |= wire::kPsh;
    burst = 0;
  }
}

}  // namespace millrace::tcp
