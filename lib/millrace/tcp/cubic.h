// tcp/cubic.h - CUBIC's window in congestion avoidance (RFC 9438).
//
// Octets and microseconds; the curve is computed in whole milliseconds and octets, without floating
// point. Time in which the sender did not use its window does not count. One per recovery record.
// Cost: OnAck two multiplications and a division; the cube root once per epoch.
#ifndef MILLRACE_TCP_CUBIC_H_
#define MILLRACE_TCP_CUBIC_H_

#include <cstdint>

namespace millrace::tcp {

class Cubic {
 public:
  // RFC 9438 4.6: beta_cubic is 0.7; C of 4.1 is 0.4 (cubic.cc).
  static constexpr uint32_t kBetaPercent = 70;

  // Congestion avoidance: the window after an ACK of `acked` octets. `srtt_us`: how far ahead the
  // curve is followed. `limited`: the sender used its window; else time stands still.
  uint32_t OnAck(uint32_t cwnd, uint32_t acked, uint32_t mss, uint32_t now_us, uint32_t srtt_us,
                 bool limited);

  // A congestion event at window `cwnd`: RFC 9438 4.7, fast convergence, and a new epoch.
  void OnCongestion(uint32_t cwnd);
  // RFC 9438 4.8: that event was a time-out; the next epoch starts at its own plateau.
  void MarkTimeout() { after_timeout_ = true; }
  // The window was cut for another reason (an idle time): what was known of time is void.
  void EndEpoch() { in_epoch_ = false; }

  uint32_t w_max() const { return w_max_; }

 private:
  void StartEpoch(uint32_t cwnd, uint32_t mss, uint32_t now_us);
  uint32_t CurveAt(uint64_t t_us, uint32_t mss) const;

  uint32_t w_max_ = 0;       // octets; 0: no congestion event yet
  uint32_t cwnd_prior_ = 0;  // before the last reduction
  uint32_t k_ms_ = 0;        // until the curve is back at w_max_
  uint32_t epoch_us_ = 0;
  uint32_t last_ack_us_ = 0;
  uint64_t w_est_x1024_ = 0;  // what Reno would have (4.3), 1/1024 octet
  uint64_t remainder_ = 0;    // of the growth, in octets times cwnd
  bool in_epoch_ = false;
  bool after_timeout_ = false;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_CUBIC_H_
