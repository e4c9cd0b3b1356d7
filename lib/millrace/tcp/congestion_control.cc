#include "millrace/tcp/congestion_control.h"

#include <algorithm>

#include "millrace/tcp/bbr.h"

namespace millrace::tcp {
namespace {

void SetWindow(Congestion& c, uint32_t cwnd, uint32_t mss, const Config& config) {
  c.cwnd = std::clamp(cwnd, mss, std::max(mss, config.congestion_window_max_bytes));
}

// RFC 9438 4.6: ssthresh = FlightSize * beta_cubic, at least two segments.
uint32_t CubicThreshold(uint32_t flight, uint32_t mss) {
  const uint64_t reduced = uint64_t{flight} * Cubic::kBetaPercent / 100;
  return std::max(static_cast<uint32_t>(reduced), 2 * mss);
}

void GrowCubic(Congestion& c, CongestionState& s, const AckSample& ack, const Config& config) {
  const bool limited = c.IsLimiting(ack.flight_bytes, ack.mss);
  if (!c.InSlowStart()) {
    SetWindow(c, s.cubic.OnAck(c.cwnd, ack.acked_bytes, ack.mss, ack.now_us, ack.srtt_us, limited),
              ack.mss, config);
    return;
  }
  // RFC 9406 4.1: "HyStart++ ... SHOULD be used during the initial slow start".
  if (!c.IsFirstSlowStart(config)) {
    c.OnAck(ack.acked_bytes, ack.flight_bytes, ack.mss, config);
    return;
  }
  if (limited) {
    const bool unlimited = config.pacing || config.slow_start_whole_acks;
    SetWindow(c, c.cwnd + s.hystart.Growth(ack.acked_bytes, ack.mss, unlimited), ack.mss, config);
  }
  if (s.hystart.OnAck(ack.snd_una, ack.snd_nxt, ack.rtt_us)) c.ssthresh = c.cwnd;
}

}  // namespace

void GrowWindow(Congestion& c, CongestionState& s, const AckSample& ack, const Config& config) {
  switch (config.congestion) {
    case CongestionKind::kCubic:
      GrowCubic(c, s, ack, config);
      return;
    case CongestionKind::kNewReno:
    case CongestionKind::kDctcp:
      c.OnAck(ack.acked_bytes, ack.flight_bytes, ack.mss, config);
      return;
    case CongestionKind::kNone:
      SetWindow(c, config.fixed_window_bytes, ack.mss, config);
      return;
    case CongestionKind::kBbr:
      if (s.bbr == nullptr) c.OnAck(ack.acked_bytes, ack.flight_bytes, ack.mss, config);
      return;
  }
}

void CountMarks(CongestionState& s, const AckSample& ack, bool echo) {
  DctcpState& d = s.dctcp;
  if (!d.started) {
    d.started = true;
    d.window_end = ack.snd_nxt;
  }
  d.acked_bytes += ack.acked_bytes;
  if (echo) d.marked_bytes += ack.acked_bytes;
  if (ack.snd_una < d.window_end) return;
  // RFC 8257 3.3: "DCTCP.Alpha = DCTCP.Alpha * (1 - g) + g * M", g of 1/16.
  if (d.acked_bytes > 0) {
    const uint64_t share = uint64_t{d.marked_bytes} * DctcpState::kOne / d.acked_bytes;
    d.alpha = d.alpha - (d.alpha >> 4) + static_cast<uint32_t>(share >> 4);
  }
  d.acked_bytes = d.marked_bytes = 0;
  d.window_end = ack.snd_nxt;
}

void ReduceForLoss(Congestion& c, CongestionState& s, uint32_t outstanding, uint32_t mss,
                   const Config& config) {
  c.acked_bytes = 0;
  const uint32_t flight = config.threshold_from_window ? c.cwnd : c.FlightSize(outstanding);
  switch (config.congestion) {
    case CongestionKind::kCubic:
      s.cubic.OnCongestion(c.cwnd);
      c.ssthresh = CubicThreshold(flight, mss);
      return;
    case CongestionKind::kNewReno:
    case CongestionKind::kDctcp:  // RFC 8257 3.5: to packet loss "react as conventional TCP"
      c.ssthresh = Congestion::HalfFlight(flight, mss);
      return;
    case CongestionKind::kNone:
      c.ssthresh = c.cwnd;
      return;
    case CongestionKind::kBbr:
      if (s.bbr != nullptr) {
        s.bbr->OnRecovery(c.cwnd);
      } else {
        c.ssthresh = Congestion::HalfFlight(flight, mss);
      }
      return;
  }
}

void ReduceForProbe(Congestion& c, CongestionState& s, uint32_t length, uint32_t mss,
                    uint32_t now_us, const Config& config) {
  if (s.bbr != nullptr) {
    s.bbr->OnLossRepaired(length, c.cwnd, now_us);
    return;
  }
  ReduceForLoss(c, s, c.cwnd, mss, config);
  c.cwnd = c.ssthresh;
}

void ReduceForEcho(Congestion& c, CongestionState& s, uint32_t mss, uint32_t now_us,
                   const Config& config) {
  if (s.bbr != nullptr) {
    s.bbr->OnEcho(c.cwnd, now_us);
    return;
  }
  c.acked_bytes = 0;
  uint64_t reduced = c.cwnd;
  switch (config.congestion) {
    case CongestionKind::kCubic:
      s.cubic.OnCongestion(c.cwnd);
      reduced = reduced * Cubic::kBetaPercent / 100;
      break;
    case CongestionKind::kNewReno:
    case CongestionKind::kBbr:
      reduced /= 2;
      break;
    case CongestionKind::kDctcp:
      // RFC 8257 3.3: "cwnd = cwnd * (1 - DCTCP.Alpha / 2)".
      reduced -= reduced * s.dctcp.alpha / (2 * DctcpState::kOne);
      break;
    case CongestionKind::kNone:
      return;
  }
  // RFC 9438 4.6: after ECE cwnd may be one segment, ssthresh not less than two.
  SetWindow(c, static_cast<uint32_t>(reduced), mss, config);
  c.ssthresh = std::max(c.cwnd, 2 * mss);
}

void ReduceForTimeout(Congestion& c, CongestionState& s, uint32_t outstanding, uint32_t mss,
                      bool first, const Config& config) {
  if (config.congestion == CongestionKind::kNone) return;
  if (first) {
    ReduceForLoss(c, s, outstanding, mss, config);
    s.cubic.MarkTimeout();
  }
  c.cwnd = mss;
  c.acked_bytes = 0;
}

void RestartAfterIdle(Congestion& c, CongestionState& s, uint32_t mss, const Config& config) {
  // "When restarting from idle in ProbeBW states, BBR leaves C.cwnd as-is".
  if (config.congestion == CongestionKind::kNone || s.bbr != nullptr) return;
  const uint32_t restart = Congestion::InitialWindow(mss, config);
  if (c.cwnd <= restart) return;
  // RFC 5681 4.1: "a TCP SHOULD set cwnd to no more than RW before beginning transmission if the
  // TCP has not sent data in an interval exceeding the retransmission timeout", RW = min(IW, cwnd).
  c.cwnd = restart;
  c.acked_bytes = 0;
  s.cubic.EndEpoch();
}

}  // namespace millrace::tcp
