// tcp/bbr.cc - BBR's model of the path and what follows from it: window and pacing rate
// (draft-ietf-ccwg-bbr 5.5 and 5.6).

#include "millrace/tcp/bbr.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t kMillionth = 1'000'000;

}  // namespace

Bbr::Bbr(uint32_t mss, uint32_t initial_cwnd, uint32_t srtt_us, uint32_t now_us, uint64_t seed)
    : dice_(seed),
      extra_acked_start_us_(now_us),
      mss_(mss),
      initial_cwnd_(initial_cwnd),
      min_rtt_us_(srtt_us != 0 ? srtt_us : 0xFFFF'FFFF),
      min_rtt_stamp_us_(now_us),
      probe_rtt_min_us_(min_rtt_us_),
      probe_rtt_min_stamp_us_(now_us) {
  // InitPacingRate: "nominal_bandwidth = C.InitialCwnd / (C.srtt ? C.srtt : 1ms)".
  const uint64_t nominal_bw = uint64_t{initial_cwnd} * kMillionth / (srtt_us != 0 ? srtt_us : 1000);
  pacing_rate_ = std::max<uint64_t>(nominal_bw * kStartupPacingPercent / 100, 1);
}

uint32_t Bbr::pacing_percent() const {
  switch (state_) {
    case State::kStartup:
      return kStartupPacingPercent;
    case State::kDrain:
      return kDrainPacingPercent;
    case State::kProbeBwDown:
      return 90;
    case State::kProbeBwUp:
      return 125;
    default:
      return 100;
  }
}

uint32_t Bbr::cwnd_percent() const {
  if (state_ == State::kProbeBwUp) return kProbeUpCwndPercent;
  return state_ == State::kProbeRtt ? kProbeRttCwndPercent : kDefaultCwndPercent;
}

uint32_t Bbr::OnAck(const Ack& ack, uint32_t cwnd) {
  mss_ = ack.mss;
  rate_.Finish(ack.min_rtt_us);
  if (in_recovery_ && !ack.in_recovery) {
    in_recovery_ = false;
    cwnd = std::max(cwnd, prior_cwnd_);  // "Upon exiting loss recovery ... RestoreCwnd()"
  }
  if (!sample().has_data) return cwnd;
  UpdateLatestDeliverySignals();
  UpdateCongestionSignals(cwnd);
  UpdateAckAggregation(ack, cwnd);
  CheckFullBwReached();
  CheckStartupDone(ack);
  CheckDrainDone(ack);
  UpdateProbeBwCycle(ack, cwnd);
  UpdateMinRtt(ack);
  CheckProbeRtt(ack, &cwnd);
  if (loss_round_start_) {  // AdvanceLatestDeliverySignals
    bw_latest_ = sample().rate_bytes_s;
    inflight_latest_ = sample().delivered;
  }
  bw_ = std::min(max_bw_.value(), bw_shortterm_);  // BoundBWForModel
  SetPacingRate(pacing_percent());
  return NextCwnd(cwnd);
}

void Bbr::UpdateLatestDeliverySignals() {
  loss_round_start_ = false;
  bw_latest_ = std::max(bw_latest_, sample().rate_bytes_s);
  inflight_latest_ = std::max(inflight_latest_, sample().delivered);
  if (DeliveryRate::Reached(sample().prior_delivered, loss_round_delivered_)) {
    loss_round_delivered_ = rate_.delivered();
    loss_round_start_ = true;
  }
}

void Bbr::UpdateRoundAndMaxBw() {
  round_start_ = DeliveryRate::Reached(sample().prior_delivered, next_round_delivered_);
  if (round_start_) {
    StartRound();
    ++round_count_;
    ++rounds_since_probe_up_;
    cwnd_limited_last_round_ = cwnd_limited_;
    cwnd_limited_ = false;
  }
  // "the estimator does use application-limited samples if the measured delivery rate happens to be
  // larger than the current BBR.max_bw".
  const uint64_t known = max_bw_.value(), rate = sample().rate_bytes_s;
  if (!sample().app_limited || rate > known) max_bw_.Add(rate);
}

void Bbr::UpdateCongestionSignals(uint32_t cwnd) {
  UpdateRoundAndMaxBw();
  if (!loss_round_start_) return;
  if (is_loss_in_round_ && !IsProbingBw()) {
    if (bw_shortterm_ == kInfinite) bw_shortterm_ = max_bw_.value();
    if (inflight_shortterm_ == kInfinite) inflight_shortterm_ = cwnd;
    bw_shortterm_ = std::max(bw_latest_, bw_shortterm_ * kBetaPercent / 100);
    inflight_shortterm_ =
        std::max<uint64_t>(inflight_latest_, inflight_shortterm_ * kBetaPercent / 100);
  }
  is_loss_in_round_ = false;
}

void Bbr::ResetCongestionSignals() {
  is_loss_in_round_ = false;
  bw_latest_ = 0;
  inflight_latest_ = 0;
}

// What came beyond bw * time is the aggregation of the path: the window is larger by it, so that
// sending goes on while ACKs are held back.
void Bbr::UpdateAckAggregation(const Ack& ack, uint32_t cwnd) {
  uint64_t expected = bw_ * (ack.now_us - extra_acked_start_us_) / kMillionth;
  if (extra_acked_delivered_ <= expected) {
    extra_acked_delivered_ = 0;
    extra_acked_start_us_ = ack.now_us;
    expected = 0;
  }
  extra_acked_delivered_ += sample().newly_acked;
  const uint32_t span_rounds = full_bw_reached_ ? kExtraAckedRounds / 2 : 1;
  if (round_count_ - extra_acked_round_ >= span_rounds) {
    extra_acked_.Advance();
    extra_acked_round_ = round_count_;
  }
  extra_acked_.Add(std::min<uint64_t>(extra_acked_delivered_ - expected, cwnd));
}

void Bbr::UpdateMinRtt(const Ack& ack) {
  probe_rtt_expired_ = ack.now_us - probe_rtt_min_stamp_us_ > kProbeRttIntervalUs;
  if (ack.rtt_us != 0 && (ack.rtt_us < probe_rtt_min_us_ || probe_rtt_expired_)) {
    probe_rtt_min_us_ = ack.rtt_us;
    probe_rtt_min_stamp_us_ = ack.now_us;
  }
  const bool min_rtt_expired = ack.now_us - min_rtt_stamp_us_ > kMinRttFilterUs;
  if (probe_rtt_min_us_ < min_rtt_us_ || min_rtt_expired) {
    min_rtt_us_ = probe_rtt_min_us_;
    min_rtt_stamp_us_ = probe_rtt_min_stamp_us_;
  }
}

// Losses.

void Bbr::OnRecovery(uint32_t cwnd) {
  // SaveStateUponLoss. Once for each episode, as the draft's text has it; its NoteLoss would do it
  // again in later rounds of the same recovery and forget what there is to undo.
  SaveCwnd(cwnd);
  in_recovery_ = true;
  undo_state_.reset();
  undo_bw_shortterm_ = bw_shortterm_;
  undo_inflight_shortterm_ = inflight_shortterm_;
  undo_inflight_longterm_ = inflight_longterm_;
}

void Bbr::NoteLoss() {
  if (!is_loss_in_round_) loss_round_delivered_ = rate_.delivered();
  is_loss_in_round_ = true;
}

void Bbr::OnLost(const SentRun& run, const SendMark& mark, uint32_t cwnd, uint32_t now_us) {
  const uint32_t size = run.length();
  rate_.OnLost(size);
  NoteLoss();
  if (loss_ranges_ == 0 || run.begin != last_lost_end_) ++loss_ranges_;
  last_lost_end_ = run.end;
  if (!is_bw_probe_sample_) return;
  const uint32_t lost = rate_.lost() - mark.lost;
  if (uint64_t{lost} * 100 <= uint64_t{mark.in_flight} * kLossThreshPercent) return;
  // InflightAtLoss: at which volume, within this run, losses crossed the threshold: "lost_prefix >=
  // (BBR.LossThresh * inflight_prev - lost_prev) / (1 - BBR.LossThresh)".
  const uint64_t inflight_prev = mark.in_flight - std::min(size, mark.in_flight);
  const uint64_t lost_prev = lost - std::min(size, lost);
  const uint64_t budget = inflight_prev * kLossThreshPercent / 100;
  const uint64_t prefix =
      budget > lost_prev ? (budget - lost_prev) * 100 / (100 - kLossThreshPercent) : 0;
  HandleInflightTooHigh(inflight_prev + prefix, mark.app_limited, cwnd, now_us);
}

void Bbr::OnLossRepaired(uint32_t length, uint32_t cwnd, uint32_t now_us) {
  rate_.OnLost(length);
  NoteLoss();
  if (is_bw_probe_sample_ && uint64_t{length} * 100 > uint64_t{cwnd} * kLossThreshPercent) {
    HandleInflightTooHigh(sample().tx_in_flight, sample().app_limited, cwnd, now_us);
  }
}

void Bbr::OnEcho(uint32_t cwnd, uint32_t now_us) {
  // Section 3.7: "the congestion controller response MUST treat any CE marks as congestion".
  NoteLoss();
  if (state_ == State::kStartup) {
    full_bw_reached_ = full_bw_now_ = true;
    inflight_longterm_ = std::max<uint64_t>(Bdp(), inflight_latest_);
  } else if (is_bw_probe_sample_) {
    HandleInflightTooHigh(sample().tx_in_flight, sample().app_limited, cwnd, now_us);
  }
}

void Bbr::HandleInflightTooHigh(uint64_t tx_in_flight, bool app_limited, uint32_t cwnd,
                                uint32_t now_us) {
  prev_probe_too_high_ = true;
  is_bw_probe_sample_ = false;  // "only react once per bw probe"
  if (!app_limited) {
    inflight_longterm_ = std::max(tx_in_flight, TargetInflight(cwnd) * kBetaPercent / 100);
  }
  if (state_ == State::kProbeBwUp) {
    undo_state_ = State::kProbeBwUp;
    StartProbeBwDown(now_us);
  }
}

uint32_t Bbr::OnSpurious(uint32_t cwnd) {
  in_recovery_ = false;
  is_loss_in_round_ = false;
  ResetFullBw();
  bw_shortterm_ = std::max(bw_shortterm_, undo_bw_shortterm_);
  inflight_shortterm_ = std::max(inflight_shortterm_, undo_inflight_shortterm_);
  inflight_longterm_ = std::max(inflight_longterm_, undo_inflight_longterm_);
  // "If flow was probing bandwidth, return to that state".
  if (undo_state_ == State::kStartup && state_ != State::kStartup) {
    full_bw_reached_ = false;
    if (state_ != State::kProbeRtt) EnterStartup();
  } else if (undo_state_ == State::kProbeBwUp && IsInProbeBw() && state_ != State::kProbeBwUp) {
    StartProbeBwRefill();
  }
  undo_state_.reset();
  return std::max(cwnd, prior_cwnd_);
}

uint32_t Bbr::OnRestart(uint32_t cwnd, uint32_t now_us) {
  if (!rate_.app_limited()) return cwnd;
  idle_restart_ = true;
  extra_acked_start_us_ = now_us;
  if (IsInProbeBw()) {
    SetPacingRate(100);
  } else if (state_ == State::kProbeRtt) {
    CheckProbeRttDone(now_us, &cwnd);
  }
  return cwnd;
}

// Window and rate.

uint64_t Bbr::BdpMultiple(uint64_t bw, uint32_t percent) const {
  if (min_rtt_us_ == 0xFFFF'FFFF) return initial_cwnd_;
  return bw * min_rtt_us_ / kMillionth * percent / 100;
}

uint64_t Bbr::QuantizationBudget(uint64_t inflight_cap) const {
  const uint64_t quantum = std::clamp<uint64_t>(pacing_rate_ * kQuantumUs / kMillionth,
                                                uint64_t{2} * mss_, kSendQuantumMax);
  inflight_cap = std::max({inflight_cap, 3 * quantum, MinPipeCwnd()});
  return inflight_cap + (state_ == State::kProbeBwUp ? 2 * mss_ : 0);
}

uint64_t Bbr::InflightWithHeadroom() const {
  if (inflight_longterm_ == kInfinite) return kInfinite;
  const uint64_t headroom = std::max<uint64_t>(mss_, inflight_longterm_ * kHeadroomPercent / 100);
  return std::max(inflight_longterm_ - std::min(headroom, inflight_longterm_), MinPipeCwnd());
}

void Bbr::SetPacingRate(uint32_t percent) {
  const uint64_t rate = bw_ * percent * (100 - kPacingMarginPercent) / 10'000;
  if (rate == 0) return;
  if (full_bw_reached_ || rate > pacing_rate_) pacing_rate_ = rate;
}

uint32_t Bbr::NextCwnd(uint32_t cwnd) const {
  const uint64_t max_inflight =
      QuantizationBudget(BdpMultiple(bw_, cwnd_percent()) + extra_acked_.value());
  uint64_t next = cwnd;
  if (full_bw_reached_) {
    next = std::min<uint64_t>(next + sample().newly_acked, max_inflight);
  } else if (next < max_inflight || rate_.delivered() < initial_cwnd_) {
    next += sample().newly_acked;
  }
  next = std::max(next, MinPipeCwnd());
  if (state_ == State::kProbeRtt) next = std::min(next, ProbeRttCwnd());
  // BoundCwndForModel
  uint64_t cap = kInfinite;
  if (state_ == State::kProbeRtt || state_ == State::kProbeBwCruise) {
    cap = InflightWithHeadroom();
  } else if (IsInProbeBw()) {
    cap = inflight_longterm_;
  }
  cap = std::max(std::min(cap, inflight_shortterm_), MinPipeCwnd());
  return static_cast<uint32_t>(std::min<uint64_t>({next, cap, 0x7FFF'FFFF}));
}

void Bbr::SaveCwnd(uint32_t cwnd) {
  const bool modulated = in_recovery_ || state_ == State::kProbeRtt;
  prior_cwnd_ = modulated ? std::max(prior_cwnd_, cwnd) : cwnd;
}

}  // namespace millrace::tcp
