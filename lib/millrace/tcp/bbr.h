// tcp/bbr.h - BBR version 3 (draft-ietf-ccwg-bbr): a model of the path, its bandwidth and its
// shortest round trip, decides how fast to send and how much to have in flight.
//
// The variables carry the draft's names. Rates in octets per second, volumes in octets, times in
// microseconds of Env::us (which wraps), gains in percent. tcp/bbr.cc keeps the model and derives
// window and pacing rate from it, tcp/bbr_states.cc walks through the states.
// Needs a scoreboard: a peer without SACK gets NewReno. One per connection, from a pool of its own.
// Cost: about ten divisions per ACK.
//
// Where the draft leaves a choice: C.send_quantum is what one tick of the pacer lets go, and ECN
// counts as a loss above the threshold, once per round trip.
#ifndef MILLRACE_TCP_BBR_H_
#define MILLRACE_TCP_BBR_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "millrace/base/prng.h"
#include "millrace/tcp/delivery_rate.h"

namespace millrace::tcp {

// The larger of two spans' maxima: a windowed maximum of one to two spans.
class SpanMax {
 public:
  uint64_t value() const { return std::max(current_, previous_); }
  void Add(uint64_t sample) { current_ = std::max(current_, sample); }
  // A span ends; one without a sample does not count.
  void Advance() {
    if (current_ == 0) return;
    previous_ = current_;
    current_ = 0;
  }

 private:
  uint64_t current_ = 0, previous_ = 0;
};

class Bbr {
 public:
  enum class State : uint8_t {
    kStartup,
    kDrain,
    kProbeBwDown,
    kProbeBwCruise,
    kProbeBwRefill,
    kProbeBwUp,
    kProbeRtt,
  };

  static constexpr uint64_t kInfinite = ~uint64_t{0};
  static constexpr uint32_t kStartupPacingPercent = 277;  // 4 ln 2
  static constexpr uint32_t kDrainPacingPercent = 50;
  static constexpr uint32_t kDefaultCwndPercent = 200;
  static constexpr uint32_t kProbeUpCwndPercent = 225;
  static constexpr uint32_t kProbeRttCwndPercent = 50;
  static constexpr uint32_t kPacingMarginPercent = 1;
  static constexpr uint32_t kLossThreshPercent = 2;
  static constexpr uint32_t kBetaPercent = 70;
  static constexpr uint32_t kHeadroomPercent = 15;
  static constexpr uint32_t kMinPipeSegments = 4;
  static constexpr uint32_t kStartupFullLossCount = 6;
  static constexpr uint32_t kExtraAckedRounds = 10;
  static constexpr uint32_t kMinRttFilterUs = 10'000'000;
  static constexpr uint32_t kProbeRttDurationUs = 200'000;
  static constexpr uint32_t kProbeRttIntervalUs = 5'000'000;
  static constexpr uint32_t kSendQuantumMax = 64 * 1024;
  static constexpr uint32_t kQuantumUs = 262;  // a tick of tcp/timers.h

  // OnInit. `srtt_us` 0: no sample yet. `seed`: two connections draw different waits.
  Bbr(uint32_t mss, uint32_t initial_cwnd, uint32_t srtt_us, uint32_t now_us, uint64_t seed);

  DeliveryRate& rate() { return rate_; }

  // What the sender knows while an ACK is processed.
  struct Ack {
    uint32_t now_us;
    uint32_t in_flight;   // C.inflight, after the ACK
    uint32_t rtt_us;      // of what was sent last and once; 0: none
    uint32_t min_rtt_us;  // C.min_rtt; 0: unknown
    uint32_t mss;
    bool in_recovery;  // fast or time-out recovery, after the ACK
  };
  // An ACK that was given to rate(), losses noted: the new congestion window.
  [[nodiscard]] uint32_t OnAck(const Ack& ack, uint32_t cwnd);
  // Loss recovery or time-out recovery begins. Before its losses are noted.
  void OnRecovery(uint32_t cwnd);
  // A run counts as lost (HandleLostPacket).
  void OnLost(const SentRun& run, const SendMark& mark, uint32_t cwnd, uint32_t now_us);
  // A probe has repaired a single loss: nothing on the scoreboard tells of it.
  void OnLossRepaired(uint32_t length, uint32_t cwnd, uint32_t now_us);
  // ECE: CE was seen.
  void OnEcho(uint32_t cwnd, uint32_t now_us);
  // The recovery was for nothing; returns the new congestion window.
  [[nodiscard]] uint32_t OnSpurious(uint32_t cwnd);
  // Before data is sent with nothing in flight; returns the new congestion window.
  [[nodiscard]] uint32_t OnRestart(uint32_t cwnd, uint32_t now_us);
  // After sending: whether the window was used up.
  void NoteLimit(bool cwnd_limited) { cwnd_limited_ |= cwnd_limited; }

  State state() const { return state_; }
  uint64_t pacing_rate() const { return pacing_rate_; }  // octets per second, never 0
  uint64_t max_bw() const { return max_bw_.value(); }
  uint64_t bw() const { return bw_; }
  uint64_t bw_shortterm() const { return bw_shortterm_; }
  uint64_t inflight_shortterm() const { return inflight_shortterm_; }
  uint64_t inflight_longterm() const { return inflight_longterm_; }
  uint32_t min_rtt_us() const { return min_rtt_us_; }
  uint32_t round_count() const { return round_count_; }
  bool full_bw_reached() const { return full_bw_reached_; }
  uint32_t pacing_percent() const;
  uint32_t cwnd_percent() const;

 private:
  enum class AckPhase : uint8_t { kInit, kRefilling, kProbeStarting, kFeedback, kStopping };

  const RateSample& sample() const { return rate_.sample(); }
  bool IsInProbeBw() const { return state_ >= State::kProbeBwDown && state_ <= State::kProbeBwUp; }
  bool IsProbingBw() const {
    return state_ == State::kStartup || state_ == State::kProbeBwRefill ||
           state_ == State::kProbeBwUp;
  }

  // tcp/bbr.cc: the model.
  void UpdateLatestDeliverySignals();
  void UpdateRoundAndMaxBw();
  void UpdateCongestionSignals(uint32_t cwnd);
  void UpdateAckAggregation(const Ack& ack, uint32_t cwnd);
  void UpdateMinRtt(const Ack& ack);
  void StartRound() { next_round_delivered_ = rate_.delivered(); }
  void ResetFullBw();
  void ResetCongestionSignals();
  void ResetShortTermModel() { bw_shortterm_ = inflight_shortterm_ = kInfinite; }
  void NoteLoss();
  void HandleInflightTooHigh(uint64_t tx_in_flight, bool app_limited, uint32_t cwnd,
                             uint32_t now_us);
  // The control parameters.
  uint64_t Bdp() const { return BdpMultiple(bw_, 100); }
  uint64_t BdpMultiple(uint64_t bw, uint32_t percent) const;
  uint64_t QuantizationBudget(uint64_t inflight_cap) const;
  uint64_t Inflight(uint64_t bw) const { return QuantizationBudget(BdpMultiple(bw, 100)); }
  uint64_t InflightWithHeadroom() const;
  uint64_t TargetInflight(uint32_t cwnd) const { return std::min<uint64_t>(Bdp(), cwnd); }
  uint64_t MinPipeCwnd() const { return uint64_t{kMinPipeSegments} * mss_; }
  uint64_t ProbeRttCwnd() const {
    return std::max(BdpMultiple(bw_, kProbeRttCwndPercent), MinPipeCwnd());
  }
  void SetPacingRate(uint32_t percent);
  uint32_t NextCwnd(uint32_t cwnd) const;
  void SaveCwnd(uint32_t cwnd);

  // tcp/bbr_states.cc.
  void EnterStartup() { state_ = State::kStartup; }
  void CheckFullBwReached();
  void CheckStartupDone(const Ack& ack);
  void EnterDrain();
  void CheckDrainDone(const Ack& ack);
  void UpdateProbeBwCycle(const Ack& ack, uint32_t cwnd);
  bool AdaptLongTermModel(uint32_t cwnd);
  void ProbeInflightLongTermUpward(uint32_t cwnd);
  void RaiseInflightLongTermSlope(uint32_t cwnd);
  bool IsTimeToProbeBw(const Ack& ack, uint32_t cwnd) const;
  bool IsTimeToCruise(const Ack& ack) const;
  bool IsTimeToGoDown(const Ack& ack, uint32_t cwnd);
  void StartProbeBwDown(uint32_t now_us);
  void StartProbeBwRefill();
  void StartProbeBwUp(uint32_t cwnd);
  void CheckProbeRtt(const Ack& ack, uint32_t* cwnd);
  void CheckProbeRttDone(uint32_t now_us, uint32_t* cwnd);
  void ExitProbeRtt(uint32_t now_us);

  DeliveryRate rate_;
  Prng dice_;
  // The model. Long term: max_bw_, inflight_longterm_; short term, within a cycle: *_shortterm_.
  SpanMax max_bw_;  // of this and the last ProbeBW cycle
  uint64_t bw_ = 0;
  uint64_t bw_shortterm_ = kInfinite, inflight_shortterm_ = kInfinite;
  uint64_t inflight_longterm_ = kInfinite;
  uint64_t bw_latest_ = 0, full_bw_ = 0;
  uint64_t pacing_rate_ = 0;
  uint64_t undo_bw_shortterm_ = 0, undo_inflight_shortterm_ = 0, undo_inflight_longterm_ = 0;
  uint64_t probe_up_acked_per_inc_ = kInfinite;
  SpanMax extra_acked_;  // spans of half of kExtraAckedRounds, in Startup of one round
  uint32_t extra_acked_start_us_, extra_acked_delivered_ = 0;
  uint32_t extra_acked_round_ = 0;  // round_count_ when its span began
  uint32_t mss_;
  uint32_t initial_cwnd_;
  uint32_t min_rtt_us_, min_rtt_stamp_us_;
  uint32_t probe_rtt_min_us_, probe_rtt_min_stamp_us_;
  uint32_t probe_rtt_done_us_ = 0;  // with probe_rtt_waits_
  uint32_t next_round_delivered_ = 0, loss_round_delivered_ = 0;
  uint32_t round_count_ = 0, rounds_since_probe_up_ = 0, drain_start_round_ = 0;
  uint32_t inflight_latest_ = 0;
  uint32_t loss_ranges_ = 0;  // discontiguous ones in this loss round
  SeqNum last_lost_end_;
  uint32_t prior_cwnd_ = 0;
  uint32_t cycle_stamp_us_ = 0, bw_probe_wait_us_ = 0;
  uint32_t bw_probe_up_acked_ = 0;
  uint8_t bw_probe_up_rounds_ = 0, full_bw_count_ = 0;
  State state_ = State::kStartup;
  std::optional<State> undo_state_;  // left for a loss that may not have been one
  AckPhase ack_phase_ = AckPhase::kInit;
  bool round_start_ = false, loss_round_start_ = false, is_loss_in_round_ = false;
  bool full_bw_reached_ = false, full_bw_now_ = false;
  bool is_bw_probe_sample_ = false;
  bool prev_probe_too_high_ = false, prev_probe_precautionary_ = false;
  bool probe_rtt_expired_ = false, probe_rtt_waits_ = false, probe_rtt_round_done_ = false;
  bool idle_restart_ = false;
  bool in_recovery_ = false;
  bool cwnd_limited_ = false, cwnd_limited_last_round_ = false;  // C.is_cwnd_limited: either
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_BBR_H_
