// tcp/bbr_states.cc - the states that BBR walks through to probe the path: Startup, Drain, the four
// of ProbeBW, ProbeRTT (draft-ietf-ccwg-bbr 5.3).

#include "millrace/tcp/bbr.h"

namespace millrace::tcp {

void Bbr::ResetFullBw() {
  full_bw_ = 0;
  full_bw_count_ = 0;
  full_bw_now_ = false;
}

// "three non-application-limited rounds where attempts to significantly increase the delivery rate
// actually result in little increase (less than 25 percent)".
void Bbr::CheckFullBwReached() {
  if (full_bw_now_ || !round_start_ || sample().app_limited) return;
  if (sample().rate_bytes_s * 100 >= full_bw_ * 125) {
    ResetFullBw();
    full_bw_ = sample().rate_bytes_s;
    return;
  }
  full_bw_now_ = ++full_bw_count_ >= 3;
  if (full_bw_now_) full_bw_reached_ = true;
}

void Bbr::CheckStartupDone(const Ack& ack) {
  // A round that began with a loss and ends in recovery, a loss rate above the threshold, and at
  // least six separate ranges: not a single burst.
  if (state_ == State::kStartup && loss_round_start_ && ack.in_recovery &&
      loss_ranges_ >= kStartupFullLossCount &&
      uint64_t{sample().lost} * 100 > uint64_t{sample().tx_in_flight} * kLossThreshPercent) {
    undo_state_ = State::kStartup;
    full_bw_reached_ = full_bw_now_ = true;
    inflight_longterm_ = std::max<uint64_t>(Bdp(), inflight_latest_);
  }
  if (loss_round_start_) loss_ranges_ = 0;
  if (state_ == State::kStartup && full_bw_reached_) EnterDrain();
}

void Bbr::EnterDrain() {
  state_ = State::kDrain;
  drain_start_round_ = round_count_;
}

void Bbr::CheckDrainDone(const Ack& ack) {
  if (state_ != State::kDrain) return;
  if (ack.in_flight <= Inflight(bw_) || round_count_ > drain_start_round_ + 3) {
    StartProbeBwDown(ack.now_us);
  }
}

void Bbr::UpdateProbeBwCycle(const Ack& ack, uint32_t cwnd) {
  if (!full_bw_reached_) return;
  if (AdaptLongTermModel(cwnd)) return;
  switch (state_) {
    case State::kProbeBwDown:
      if (IsTimeToProbeBw(ack, cwnd)) {
        StartProbeBwRefill();
      } else if (IsTimeToCruise(ack)) {
        state_ = State::kProbeBwCruise;
      }
      return;
    case State::kProbeBwCruise:
      if (IsTimeToProbeBw(ack, cwnd)) StartProbeBwRefill();
      return;
    case State::kProbeBwRefill:
      // After one round of it.
      if (!round_start_) return;
      is_bw_probe_sample_ = true;
      StartProbeBwUp(cwnd);
      return;
    case State::kProbeBwUp:
      if (!IsTimeToGoDown(ack, cwnd)) return;
      prev_probe_too_high_ = false;  // no high loss so far
      StartProbeBwDown(ack.now_us);
      return;
    default:
      return;
  }
}

// Follows what the ACKs tell of a probe: moves the bandwidth filter behind it, raises the long-term
// bound while loss is low. True: the state was decided.
bool Bbr::AdaptLongTermModel(uint32_t cwnd) {
  if (ack_phase_ == AckPhase::kProbeStarting && round_start_) ack_phase_ = AckPhase::kFeedback;
  if (ack_phase_ == AckPhase::kStopping && round_start_) {
    is_bw_probe_sample_ = false;
    ack_phase_ = AckPhase::kInit;
    if (IsInProbeBw() && !sample().app_limited) max_bw_.Advance();
    // A careful probe went well: the next one, at once, may stay at the bound.
    if (IsInProbeBw() && prev_probe_precautionary_ && !prev_probe_too_high_) {
      StartProbeBwRefill();
      return true;
    }
  }
  const bool too_high =
      uint64_t{sample().lost} * 100 > uint64_t{sample().tx_in_flight} * kLossThreshPercent;
  if (too_high || inflight_longterm_ == kInfinite) return false;
  inflight_longterm_ = std::max<uint64_t>(inflight_longterm_, sample().tx_in_flight);
  if (state_ == State::kProbeBwUp) ProbeInflightLongTermUpward(cwnd);
  return false;
}

// "in each successive round trip, BBR.inflight_longterm grows (in units of C.SMSS) by 1, 2, 4, 8".
void Bbr::RaiseInflightLongTermSlope(uint32_t cwnd) {
  const uint32_t growth_this_round = uint32_t{1} << bw_probe_up_rounds_;
  if (bw_probe_up_rounds_ < 30) ++bw_probe_up_rounds_;
  probe_up_acked_per_inc_ = std::max(cwnd / growth_this_round, mss_);
}

void Bbr::ProbeInflightLongTermUpward(uint32_t cwnd) {
  const bool limited = cwnd_limited_ || cwnd_limited_last_round_;
  if (!limited || cwnd < inflight_longterm_) return;
  bw_probe_up_acked_ += sample().newly_acked;
  if (bw_probe_up_acked_ >= probe_up_acked_per_inc_) {
    const uint64_t steps = bw_probe_up_acked_ / probe_up_acked_per_inc_;
    bw_probe_up_acked_ -= static_cast<uint32_t>(steps * probe_up_acked_per_inc_);
    inflight_longterm_ += steps * mss_;
  }
  if (round_start_) RaiseInflightLongTermSlope(cwnd);
}

bool Bbr::IsTimeToProbeBw(const Ack& ack, uint32_t cwnd) const {
  if (ack.now_us - cycle_stamp_us_ > bw_probe_wait_us_) return true;
  // As often as a Reno flow of the same window would cause a loss, at most every 63 rounds.
  const uint64_t reno_rounds = std::min<uint64_t>(TargetInflight(cwnd) / mss_, 63);
  return rounds_since_probe_up_ >= reno_rounds;
}

bool Bbr::IsTimeToCruise(const Ack& ack) const {
  return ack.in_flight <= InflightWithHeadroom() && ack.in_flight <= Inflight(max_bw_.value());
}

bool Bbr::IsTimeToGoDown(const Ack& ack, uint32_t cwnd) {
  // Before this ACK, and as near to the bound as whole segments come.
  const uint64_t in_flight = uint64_t{ack.in_flight} + sample().newly_acked;
  if (prev_probe_too_high_ && in_flight + mss_ > inflight_longterm_) {
    prev_probe_precautionary_ = true;
    return true;
  }
  if ((cwnd_limited_ || cwnd_limited_last_round_) && cwnd >= inflight_longterm_) {
    ResetFullBw();  // it is the bound that limits the rate
    full_bw_ = sample().rate_bytes_s;
    return false;
  }
  return full_bw_now_;
}

void Bbr::StartProbeBwDown(uint32_t now_us) {
  ResetCongestionSignals();
  probe_up_acked_per_inc_ = kInfinite;
  // PickProbeWait: 2 to 3 s, and a random bit of the rounds.
  rounds_since_probe_up_ = static_cast<uint32_t>(dice_.Below(2));
  bw_probe_wait_us_ = static_cast<uint32_t>(2'000'000 + dice_.Below(1'000'001));
  cycle_stamp_us_ = now_us;
  ack_phase_ = AckPhase::kStopping;
  StartRound();
  state_ = State::kProbeBwDown;
}

void Bbr::StartProbeBwRefill() {
  ResetShortTermModel();
  bw_probe_up_rounds_ = 0;
  bw_probe_up_acked_ = 0;
  prev_probe_precautionary_ = false;
  ack_phase_ = AckPhase::kRefilling;
  StartRound();
  state_ = State::kProbeBwRefill;
}

void Bbr::StartProbeBwUp(uint32_t cwnd) {
  ack_phase_ = AckPhase::kProbeStarting;
  StartRound();
  ResetFullBw();
  full_bw_ = sample().rate_bytes_s;
  state_ = State::kProbeBwUp;
  RaiseInflightLongTermSlope(cwnd);
}

void Bbr::CheckProbeRtt(const Ack& ack, uint32_t* cwnd) {
  if (state_ != State::kProbeRtt && probe_rtt_expired_ && !idle_restart_) {
    SaveCwnd(*cwnd);
    state_ = State::kProbeRtt;
    probe_rtt_waits_ = false;
    ack_phase_ = AckPhase::kStopping;
    StartRound();
  }
  if (state_ == State::kProbeRtt) {
    rate_.MarkAppLimited(ack.in_flight);  // low rates that are our own doing
    if (!probe_rtt_waits_ && ack.in_flight <= ProbeRttCwnd()) {
      probe_rtt_waits_ = true;
      probe_rtt_done_us_ = ack.now_us + kProbeRttDurationUs;
      probe_rtt_round_done_ = false;
      StartRound();
    } else if (probe_rtt_waits_) {
      if (round_start_) probe_rtt_round_done_ = true;
      if (probe_rtt_round_done_) CheckProbeRttDone(ack.now_us, cwnd);
    }
  }
  if (sample().delivered > 0) idle_restart_ = false;
}

void Bbr::CheckProbeRttDone(uint32_t now_us, uint32_t* cwnd) {
  // Unsigned: after a long silence the time has come, on whichever side of it the clock has
  // wrapped.
  if (!probe_rtt_waits_ || probe_rtt_done_us_ - now_us <= kProbeRttDurationUs) return;
  probe_rtt_min_stamp_us_ = now_us;  // when the next one is counted from
  *cwnd = std::max(*cwnd, prior_cwnd_);
  ExitProbeRtt(now_us);
}

void Bbr::ExitProbeRtt(uint32_t now_us) {
  ResetShortTermModel();
  if (!full_bw_reached_) {
    EnterStartup();
    return;
  }
  StartProbeBwDown(now_us);
  state_ = State::kProbeBwCruise;
}

}  // namespace millrace::tcp
