// tcp/congestion.h - slow start, congestion avoidance and NewReno (RFC 5681, 6582, 6928, 3465).
//
// The part of congestion control that every connection has, and all that one without a recovery
// record has; tcp/congestion_control.h chooses the algorithm of the others.
// Values in octets. The window grows by octets acknowledged, never by ACKs counted, so that ACK
// division gains a peer nothing (RFC 9293 3.8.2 names RFC 3465).
#ifndef MILLRACE_TCP_CONGESTION_H_
#define MILLRACE_TCP_CONGESTION_H_

#include <algorithm>
#include <cstdint>

#include "millrace/tcp/config.h"

namespace millrace::tcp {

struct Congestion {
  uint32_t cwnd = 0;
  uint32_t ssthresh = 0;
  uint32_t acked_bytes = 0;  // since cwnd grew last, in congestion avoidance

  // RFC 5681 3.1: ssthresh starts arbitrarily high.
  void Open(uint32_t initial_window, const Config& config) {
    cwnd = initial_window;
    ssthresh = config.congestion_window_max_bytes;
    acked_bytes = 0;
  }
  // RFC 6928: min(10*MSS, max(2*MSS, 14600)).
  static uint32_t InitialWindow(uint32_t mss, const Config& config) {
    const uint32_t segments = config.initial_window_segments;
    if (config.congestion == CongestionKind::kNone) [[unlikely]]
      return config.fixed_window_bytes;
    return std::min(segments * mss, std::max(2 * mss, segments * 1460));
  }

  bool InSlowStart() const { return cwnd < ssthresh; }
  bool IsFirstSlowStart(const Config& config) const {
    return ssthresh == config.congestion_window_max_bytes;
  }
  // Whether a sender with `flight` octets outstanding uses its window. Without this the window of
  // an application that sends little would grow without a probe of the path (RFC 7661, simplified
  // as Linux does).
  bool IsLimiting(uint32_t flight, uint32_t mss) const {
    return InSlowStart() ? cwnd < 2 * flight : cwnd <= flight + 2 * mss;
  }

  // An ACK for `acked` new octets arrived while `flight` octets (before the ACK) were outstanding.
  void OnAck(uint32_t acked, uint32_t flight, uint32_t mss, const Config& config) {
    if (!IsLimiting(flight, mss)) return;
    if (InSlowStart()) {
      // RFC 3465 2.2, L = 2*SMSS
      cwnd += config.slow_start_whole_acks ? acked : std::min(acked, 2 * mss);
    } else if ((acked_bytes += acked) >= cwnd) {
      acked_bytes -= cwnd;
      cwnd += mss;  // RFC 5681 3.1: one SMSS per round trip
    }
    cwnd = std::min(cwnd, config.congestion_window_max_bytes);
  }

  // FlightSize for a reduction: RFC 5681 3.2 step 2 leaves out what limited transmit has sent,
  // which is what is outstanding beyond cwnd.
  uint32_t FlightSize(uint32_t outstanding) const { return std::min(outstanding, cwnd); }
  // RFC 5681 equation (4).
  static uint32_t HalfFlight(uint32_t flight, uint32_t mss) {
    return std::max(flight / 2, 2 * mss);
  }

  // RFC 5681 3.2 steps 2 and 3: three duplicate ACKs.
  void OnFastRetransmit(uint32_t outstanding, uint32_t mss) {
    ssthresh = HalfFlight(FlightSize(outstanding), mss);
    cwnd = ssthresh + 3 * mss;
  }
  // RFC 5681 3.2 step 4: each further duplicate ACK tells of a segment that left the network.
  // Against forged ones: "A TCP MAY therefore limit the number of times cwnd is artificially
  // inflated during loss recovery to the number of outstanding segments": `outstanding` octets,
  // sent before the retransmission that the duplicates are waiting for.
  void OnDuplicateAckInRecovery(uint32_t mss, uint32_t outstanding, const Config& config) {
    const uint32_t limit = std::min(ssthresh + outstanding, config.congestion_window_max_bytes);
    if (cwnd < limit) cwnd = std::min(cwnd + mss, limit);
  }
  // RFC 6582 3.2 step 5: deflate by what was acknowledged, add back one SMSS.
  void OnPartialAck(uint32_t acked, uint32_t mss) {
    cwnd = cwnd > acked ? cwnd - acked : 0;
    if (acked >= mss) cwnd += mss;
    cwnd = std::max(cwnd, mss);
  }
  // RFC 6582 3.2 step 4, option (1).
  void OnRecoveryEnd(uint32_t flight, uint32_t mss) {
    cwnd = std::min(ssthresh, std::max(flight, mss) + mss);
    acked_bytes = 0;
  }
  // RFC 5681 3.1: cwnd to the loss window of one segment; ssthresh is set at the first time-out of
  // a segment and held at the next ones.
  void OnTimeout(uint32_t outstanding, uint32_t mss, bool first) {
    if (first) ssthresh = HalfFlight(FlightSize(outstanding), mss);
    cwnd = mss;
    acked_bytes = 0;
  }
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_CONGESTION_H_
