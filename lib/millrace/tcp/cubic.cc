#include "millrace/tcp/cubic.h"

#include <algorithm>

namespace millrace::tcp {
namespace {

// The integer cube root, rounded down.
uint32_t CubeRoot(uint64_t value) {
  uint64_t root = 0;
  for (int bit = 20; bit >= 0; --bit) {
    const uint64_t candidate = root | uint64_t{1} << bit;
    if (candidate * candidate * candidate <= value) root = candidate;
  }
  return static_cast<uint32_t>(root);
}

}  // namespace

void Cubic::OnCongestion(uint32_t cwnd) {
  // RFC 9438 4.7: "If the cwnd value ... is less than W_max: W_max = cwnd * (1 + beta_cubic) / 2".
  w_max_ =
      cwnd < w_max_ ? static_cast<uint32_t>(uint64_t{cwnd} * (100 + kBetaPercent) / 200) : cwnd;
  cwnd_prior_ = cwnd;
  in_epoch_ = false;
  after_timeout_ = false;
}

void Cubic::StartEpoch(uint32_t cwnd, uint32_t mss, uint32_t now_us) {
  in_epoch_ = true;
  epoch_us_ = now_us;
  remainder_ = 0;
  w_est_x1024_ = uint64_t{cwnd} << 10;
  if (cwnd >= w_max_ || after_timeout_) {
    // RFC 9438 4.8: "CUBIC ... enters congestion avoidance ... K is set to 0".
    w_max_ = cwnd;
    k_ms_ = 0;
    return;
  }
  // RFC 9438 4.2: K = cubic_root((W_max - cwnd_epoch) / C), in segments and seconds; C = 2/5.
  const uint64_t gap = uint64_t{w_max_ - cwnd} * 5 / 2;
  k_ms_ = CubeRoot(gap * 1'000'000'000 / mss);
}

// RFC 9438 4.2: W_cubic(t) = C * (t - K)^3 + W_max.
uint32_t Cubic::CurveAt(uint64_t t_us, uint32_t mss) const {
  constexpr int64_t kFarMs = 200'000;  // keeps the cube within 63 bits
  const int64_t t_ms = static_cast<int64_t>(t_us / 1000);
  const int64_t offset_ms = std::clamp<int64_t>(t_ms - k_ms_, -kFarMs, kFarMs);
  const int64_t cube = offset_ms * offset_ms * offset_ms;
  const int64_t octets = cube / 2'500'000 * mss / 1000;  // C = 1 / 2.5
  return static_cast<uint32_t>(std::clamp<int64_t>(int64_t{w_max_} + octets, 0, 1 << 30));
}

uint32_t Cubic::OnAck(uint32_t cwnd, uint32_t acked, uint32_t mss, uint32_t now_us,
                      uint32_t srtt_us, bool limited) {
  if (!in_epoch_) StartEpoch(cwnd, mss, now_us);
  if (!limited) {
    // RFC 9438 4.2: t is the time "excluding ... periods during which the sender is
    // application-limited" (5.8).
    epoch_us_ += now_us - last_ack_us_;
    last_ack_us_ = now_us;
    return cwnd;
  }
  last_ack_us_ = now_us;
  // RFC 9438 4.3: W_est = W_est + alpha_cubic * segments_acked / cwnd. "Once W_est has grown to
  // reach the cwnd at the time of most recently setting ssthresh ... alpha_cubic SHOULD be set to
  // 1"; before that it is 3 * (1 - beta) / (1 + beta) = 9/17.
  const bool caught_up = w_est_x1024_ >> 10 >= cwnd_prior_;
  const uint64_t step = (uint64_t{acked} * mss << 10) / cwnd;
  w_est_x1024_ += caught_up ? step : step * 9 / 17;
  const uint32_t w_est = static_cast<uint32_t>(w_est_x1024_ >> 10);

  const uint64_t t_us = now_us - epoch_us_;
  if (CurveAt(t_us, mss) < w_est) return std::max(cwnd, w_est);
  // RFC 9438 4.4 and 4.5: target is W_cubic(t + RTT), at least cwnd and at most 1.5 cwnd; "cwnd
  // MUST be incremented by (target - cwnd) / cwnd for each received new ACK".
  const uint64_t target =
      std::clamp<uint64_t>(CurveAt(t_us + srtt_us, mss), cwnd, uint64_t{cwnd} * 3 / 2);
  remainder_ += (target - cwnd) * acked;
  const uint64_t growth = remainder_ / cwnd;
  remainder_ %= cwnd;
  return cwnd + static_cast<uint32_t>(growth);
}

}  // namespace millrace::tcp
