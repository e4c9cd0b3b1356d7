// tcp/hystart.h - HyStart++ (RFC 9406): leaves slow start when round trips grow longer, before the
// queue overflows.
//
// Used in the first slow start of a connection only. One per recovery record. Cost: a few integer
// operations per ACK.
#ifndef MILLRACE_TCP_HYSTART_H_
#define MILLRACE_TCP_HYSTART_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/seq.h"

namespace millrace::tcp {

class HyStart {
 public:
  // RFC 9406 4.3, the recommended values.
  static constexpr uint32_t kMinRttThreshUs = 4'000, kMaxRttThreshUs = 16'000;
  static constexpr uint32_t kMinRttDivisor = 8;
  static constexpr uint32_t kRttSamples = 8;
  static constexpr uint32_t kCssGrowthDivisor = 4;
  static constexpr uint32_t kCssRounds = 5;
  static constexpr uint32_t kLimitSegments = 8;  // L, of a sender that does not pace

  bool InConservativeSlowStart() const { return css_baseline_us_ != kInfinite; }

  // Octets by which the window grows for an ACK of `acked` octets. `paced`: no limit per ACK.
  uint32_t Growth(uint32_t acked, uint32_t mss, bool paced) const {
    const uint32_t growth = paced ? acked : std::min(acked, kLimitSegments * mss);
    return InConservativeSlowStart() ? growth / kCssGrowthDivisor : growth;
  }

  // An ACK up to `snd_una`, with a round-trip time (0: none). True: slow start ends here, "ssthresh
  // = cwnd".
  bool OnAck(SeqNum snd_una, SeqNum snd_nxt, uint32_t rtt_us) {
    if (!started_) StartRound(snd_nxt);
    if (rtt_us != 0) {
      round_min_us_ = std::min(round_min_us_, rtt_us);
      ++samples_;
      Judge();
    }
    if (snd_una < window_end_) return false;
    if (InConservativeSlowStart() && ++css_rounds_ >= kCssRounds) return true;
    StartRound(snd_nxt);
    return false;
  }

 private:
  static constexpr uint32_t kInfinite = 0xFFFF'FFFF;

  void StartRound(SeqNum snd_nxt) {
    started_ = true;
    window_end_ = snd_nxt;
    last_round_min_us_ = round_min_us_;
    round_min_us_ = kInfinite;
    samples_ = 0;
  }

  void Judge() {
    if (samples_ < kRttSamples) return;
    if (InConservativeSlowStart()) {
      // "if (currentRoundMinRTT < cssBaselineMinRtt) cssBaselineMinRtt = infinity; resume slow
      // start including HyStart++".
      if (round_min_us_ < css_baseline_us_) css_baseline_us_ = kInfinite;
      return;
    }
    if (last_round_min_us_ == kInfinite) return;
    const uint32_t thresh_us =
        std::clamp(last_round_min_us_ / kMinRttDivisor, kMinRttThreshUs, kMaxRttThreshUs);
    if (round_min_us_ >= last_round_min_us_ + thresh_us) {
      css_baseline_us_ = round_min_us_;
      css_rounds_ = 0;
    }
  }

  SeqNum window_end_;
  uint32_t last_round_min_us_ = kInfinite, round_min_us_ = kInfinite;
  uint32_t css_baseline_us_ = kInfinite;
  uint32_t samples_ = 0;
  uint8_t css_rounds_ = 0;
  bool started_ = false;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_HYSTART_H_
