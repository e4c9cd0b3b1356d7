// tcp/recovery.cc - the recovery record's life, what sending does to it, and its timers (RFC 8985,
// 6675, 9937).

#include "millrace/tcp/recovery.h"

#include <algorithm>

#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {

Recovery* TakeRecord(Tcb& tcb, Env& env) {
  if (tcb.Has(kRecord)) return &RecordOf(tcb, env);
  const uint32_t index = env.recovery_pool.records.Take();
  if (index == kNoIndex) {
    ++env.counters.recovery_full;
    return nullptr;
  }
  Recovery& r = env.recovery_pool.records[index];
  r = Recovery();
  // Without a first idea of it an ACK of the original would pass for one of a retransmission.
  if (tcb.rtt.has_sample()) r.rack.SeedMinRtt(tcb.rtt.srtt_us(), env.us);
  r.sent_tick = env.tick;
  r.longest_sent = static_cast<uint16_t>(std::min<uint32_t>(tcb.flight(), tcb.snd_mss));
  tcb.recovery = index;
  tcb.Set(kRecord);
  if (env.config.congestion == CongestionKind::kBbr) TakeModel(tcb, r, env);
  return &r;
}

void MaybeGiveRecord(Tcb& tcb, Env& env) {
  const Recovery& r = RecordOf(tcb, env);
  // A window that has grown or shrunk has a history; one in its first slow start has none yet.
  const Congestion& c = tcb.congestion;
  const bool untouched = c.IsFirstSlowStart(env.config) && r.congestion.bbr == nullptr &&
                         c.cwnd == Congestion::InitialWindow(tcb.snd_mss, env.config);
  if (!untouched || tcb.flight() != 0) return;
  if (r.duplicate_due || r.cwr_due || r.probe.in_flight) return;
  GiveRecord(tcb, env);
}

void GiveRecord(Tcb& tcb, Env& env) {
  Recovery& r = RecordOf(tcb, env);
  r.board.Clear(env.recovery_pool.runs);
  if (r.congestion.bbr != nullptr) {
    env.recovery_pool.bbrs.Give(env.recovery_pool.bbrs.IndexOf(*r.congestion.bbr));
  }
  env.recovery_pool.records.Give(tcb.recovery);
  tcb.Clear(kRecord);
}

namespace {

// What goes with `length` octets behind `in_flight` others; null without BBR.
const SendMark* MarkOf(Recovery& r, uint32_t in_flight, uint32_t length, uint32_t sent_us) {
  Bbr* const bbr = r.congestion.bbr;
  return bbr == nullptr ? nullptr : bbr->rate().OnSent(in_flight, length, sent_us);
}

}  // namespace

bool TrackFlight(const Tcb& tcb, Recovery& r, Env& env) {
  // One timed segment, unless Karn's rule forbade to time it.
  const uint32_t sent_us = tcb.Has(kRttTiming) ? tcb.rtt_start_us : env.us;
  const SendMark* const mark = MarkOf(r, 0, tcb.flight(), sent_us);
  r.rack.OnFlightBegins();
  // Of more than one segment, nobody knows where each ends.
  const uint16_t segment = tcb.flight() <= tcb.snd_mss + 1u ? tcb.snd_mss : 1;
  return r.board.Append(tcb.snd_una, tcb.snd_nxt, segment, sent_us, env.config.sent_runs_max,
                        env.recovery_pool.runs, mark);
}

void OnSentBehindOthers(Tcb& tcb, SeqNum seq, SeqNum end, Env& env) {
  SentRunPool& runs = env.recovery_pool.runs;
  const uint32_t runs_max = env.config.sent_runs_max;
  if (IsTracked(tcb, env)) {
    Recovery& r = RecordOf(tcb, env);
    const SendMark* const mark = MarkOf(r, PipeOf(tcb, r), end.Since(seq), env.us);
    (void)r.board.Append(seq, end, tcb.snd_mss, env.us, runs_max, runs,
                         mark);  // never the first run
    if (r.prr.OnSentNew(end.Since(seq)) && tcb.Has(kFastRecovery)) tcb.recover = end;
    ArmLossTimer(tcb, r, false, env);
    return;
  }
  // Tracking begins where nothing is being repaired, and not behind a SYN (tcp/fast_open.h).
  if (tcb.rtx_nxt != tcb.snd_nxt || tcb.Has(kFastRecovery | kTimeoutRecovery | kFastOpen)) return;
  Recovery* const r = TakeRecord(tcb, env);
  if (r == nullptr || !tcb.Has(kSackOn)) return;
  if (!TrackFlight(tcb, *r, env)) return;
  const SendMark* const mark = MarkOf(*r, tcb.flight(), end.Since(seq), env.us);
  (void)r->board.Append(seq, end, tcb.snd_mss, env.us, runs_max, runs, mark);
  r->reorder_pending = false;
  r->rto_tick = tcb.timers.at[static_cast<int>(Timer::kRetransmit)];
  ArmLossTimer(tcb, *r, !tcb.timers.IsArmed(Timer::kRetransmit), env);
}

void OnSentAgain(Tcb& tcb, SeqNum seq, SeqNum end, Env& env) {
  Recovery& r = RecordOf(tcb, env);
  const SeqNum old_end = Min(end, tcb.snd_nxt);
  Undo& undo = r.undo;
  if (undo.possible) {
    // RFC 3522 speaks of the segment at SND.UNA. Of one that was sent again before, an echo may be
    // that of an earlier copy.
    const bool once = r.board.empty() || !env.recovery_pool.runs[r.board.head()].Has(kRunRepeated);
    if (!undo.repeated && seq == tcb.snd_una && once && tcb.Has(kTimestampsOn)) {
      undo.retransmit_ts = env.ts_clock + tcb.ts_offset;
      undo.first_end = old_end;
      undo.has_retransmit_ts = true;
    }
    undo.repeated = true;
    undo.repeated_bytes += old_end.Since(seq);
    undo.repeated_end = Max(undo.repeated_end, old_end);
  }
  if (r.board.empty()) return;
  SentRunPool& runs = env.recovery_pool.runs;
  const SendMark* const mark = MarkOf(r, PipeOf(tcb, r), end.Since(seq), env.us);
  r.board.MarkRetransmitted(seq, old_end, env.us, env.config.sent_runs_max, runs, mark);
  if (end > tcb.snd_nxt) {
    (void)r.board.Append(tcb.snd_nxt, end, tcb.snd_mss, env.us, env.config.sent_runs_max, runs,
                         mark);
  }
  r.prr.OnSentAgain(end.Since(seq));
  if (tcb.Has(kFastRecovery | kTimeoutRecovery)) ArmLossTimer(tcb, r, false, env);
}

namespace {

bool IsPrrUsed(const Recovery& r, const Env& env) {
  return env.config.congestion != CongestionKind::kNone && r.congestion.bbr == nullptr;
}

}  // namespace

Repair NextRepair(const Tcb& tcb, Recovery& r, bool idle, Env& env) {
  const bool holes_too = idle && !env.config.rack && tcb.Has(kFastRecovery);
  if (r.board.unrepaired_bytes() == 0 && !holes_too) return {};
  // The part of the window that is kept for new octets is not for repairs.
  const bool follows_prr = tcb.Has(kFastRecovery) && IsPrrUsed(r, env);
  const uint32_t pipe = PipeOf(tcb, r) + (follows_prr ? r.prr.kept() : 0);
  const uint32_t cwnd = tcb.congestion.cwnd;
  if (cwnd <= pipe) return {};
  const auto wanted = [](const SentRun& run) {
    return run.Has(kRunLost) && !run.Has(kRunSacked | kRunRetransmitted);
  };
  Repair repair;
  Repair hole, last;
  uint32_t sacked_before = 0;
  r.board.ForEach(env.recovery_pool.runs, [&](const SentRun& run) {
    if (repair.length > 0) {
      // Small neighbours go together.
      if (!wanted(run)) return false;
      repair.length += run.length();
      return repair.length < tcb.snd_mss;
    }
    if (wanted(run)) {
      repair = {run.begin, run.length()};
      return repair.length < tcb.snd_mss;
    }
    if (holes_too && !run.Has(kRunSacked)) {
      // Rule (3): not lost, not retransmitted, below something that was SACKed.
      const bool below_sack = sacked_before < r.board.sacked_bytes();
      if (hole.length == 0 && below_sack && !run.Has(kRunRepeated)) {
        hole = {run.begin, run.length()};
      }
      last = {run.begin, run.length()};
    }
    if (run.Has(kRunSacked)) sacked_before += run.length();
    return true;
  });
  if (repair.length == 0) repair = hole;
  const bool rescue = repair.length == 0 && holes_too && !r.rescued && last.length > 0;
  if (rescue) {
    // Rule (4): "it is possible that all outstanding data above HighRxt is lost": the last segment,
    // once per recovery.
    const uint32_t length = std::min<uint32_t>(last.length, tcb.snd_mss);
    repair = {last.seq + (last.length - length), length};
  }
  repair.length = std::min<uint32_t>(repair.length, tcb.snd_mss);
  if (repair.length > cwnd - pipe) return {};
  if (rescue) r.rescued = true;
  return repair;
}

namespace {

// RFC 8985 7.2: when to send a probe. 0: not now.
uint32_t ProbeTimeoutTicks(const Tcb& tcb, const Recovery& r, const Env& env) {
  // What is being sent just now counts, though snd_nxt has not moved yet.
  const uint32_t flight = r.board.end(env.recovery_pool.runs).Since(tcb.snd_una);
  if (!env.config.rack || r.probe.in_flight || !tcb.rtt.has_sample() || tcb.snd_wnd == 0 ||
      r.board.sacked_bytes() > 0 || tcb.Has(kFastRecovery | kTimeoutRecovery)) {
    return 0;
  }
  // "PTO = 2 * SRTT"; "If FlightSize is one segment: PTO += TLP.max_ack_delay".
  Duration pto = Duration::Microseconds(int64_t{2} * tcb.rtt.srtt_us());
  if (flight <= tcb.snd_mss) pto = pto + env.config.max_ack_delay;
  return TicksOf(pto) + 1;
}

}  // namespace

void ArmLossTimer(Tcb& tcb, Recovery& r, bool restart, Env& env) {
  if (restart) r.rto_tick = TickCeil(env.now + RetransmitTimeout(tcb, env.config));
  uint32_t tick = r.rto_tick;
  r.timer = LossTimer::kRetransmission;
  if (r.reorder_pending) {
    r.timer = LossTimer::kReorder;
    tick = r.reorder_tick;
  } else if (const uint32_t ticks = ProbeTimeoutTicks(tcb, r, env); ticks != 0) {
    // "If Now() + PTO > TCP_RTO_expiration(): PTO = TCP_RTO_expiration() - Now()": the probe takes
    // the place of the time-out then.
    r.timer = LossTimer::kProbe;
    if (TickReached(env.tick + ticks, r.rto_tick)) tick = env.tick + ticks;
  }
  tcb.timers.Set(Timer::kRetransmit, tick);
}

void KeepLossTimer(Tcb& tcb, Recovery& r, Env& env) {
  const bool probing = r.timer == LossTimer::kProbe && tcb.timers.IsArmed(Timer::kRetransmit);
  if (probing && !r.reorder_pending && ProbeTimeoutTicks(tcb, r, env) != 0) return;
  ArmLossTimer(tcb, r, false, env);
}

void RestartRetransmit(Tcb& tcb, Env& env) {
  ArmRetransmit(tcb, env);
  if (!tcb.Has(kRecord)) return;
  Recovery& r = RecordOf(tcb, env);
  r.timer = LossTimer::kRetransmission;
  r.rto_tick = tcb.timers.at[static_cast<int>(Timer::kRetransmit)];
}

bool OnLossTimer(Tcb& tcb, Env& env) {
  Recovery& r = RecordOf(tcb, env);
  const LossTimer which = r.timer;
  r.timer = LossTimer::kRetransmission;
  if (which == LossTimer::kRetransmission || tcb.snd_wnd == 0) {
    r.reorder_pending = false;
    return false;
  }
  if (which == LossTimer::kProbe) {
    r.probe_due = true;
    RestartRetransmit(tcb, env);
    return true;
  }
  r.reorder_pending = false;
  FindLosses(tcb, r, env);
  if (r.board.unrepaired_bytes() > 0 && !tcb.Has(kFastRecovery | kTimeoutRecovery)) {
    EnterFastRecovery(tcb, r, env, 0, 0);
  }
  if (r.congestion.bbr != nullptr) NoteLosses(tcb, r, env);
  if (tcb.Has(kFastRecovery)) FollowPrr(tcb, r, 0, false, env);
  ArmLossTimer(tcb, r, false, env);
  return true;
}

void OnRecordTimeout(Tcb& tcb, Recovery& r, bool first, Env& env) {
  // RFC 5682 section 2 step 1; not in a recovery that goes on ("a retransmission timeout occurs
  // during ... loss recovery").
  const bool fresh = first && !tcb.Has(kTimeoutRecovery);
  if (fresh) RememberForUndo(tcb, r);
  r.frto = fresh && !tcb.Has(kFastRecovery) ? Frto::kHeadSent : Frto::kOff;
  r.reorder_pending = false;
  r.probe = TailProbe();
  r.probe_due = false;
  // RFC 5681 3.1: ssthresh MUST be set when "the given segment has not yet been resent by way of
  // the retransmission timer", also by the second such segment of a recovery.
  ReduceForTimeout(tcb.congestion, r.congestion, tcb.flight(), tcb.snd_mss, first, env.config);
  if (r.board.empty()) return;
  SentRunPool& runs = env.recovery_pool.runs;
  if (runs[r.board.head()].Has(kRunSacked)) {
    // RFC 2018 section 8: the receiver has the octet at SND.UNA no more, though it SACKed it.
    ++env.counters.sack_reneging;
    r.board.ForgetSacks(runs);
  }
  if (env.config.rack) {
    r.rack.MarkLossesOnTimeout(r.board, runs, env.us, tcb.rtt.srtt_us());
  } else {
    r.board.ForEach(runs, [&](SentRun& run) {
      if (!run.Has(kRunSacked)) r.board.MarkLost(run);
      return true;
    });
  }
  if (r.congestion.bbr != nullptr) NoteLosses(tcb, r, env);
  if (env.config.congestion != CongestionKind::kNone) {
    // What RACK believes to be on its way still counts; the loss window is one segment more.
    tcb.congestion.cwnd = PipeOf(tcb, r) + tcb.snd_mss;
  }
}

void EnterFastRecovery(Tcb& tcb, Recovery& r, Env& env, uint32_t delivered, uint32_t acked) {
  ++env.counters.fast_retrans;
  ++env.counters.sack_recovery;
  RememberForUndo(tcb, r);
  // PRR itself counts what this ACK let go, and what pacing holds back nothing has let go.
  const uint32_t kept = r.gated ? 0 : KeptByBurst(tcb, acked);
  ReduceForLoss(tcb.congestion, r.congestion, FlightOfRound(tcb, r), tcb.snd_mss, env.config);
  // RFC 9937: RecoverFS leaves out what had been SACKed before.
  r.prr.Start(tcb.flight() + kept - r.board.sacked_bytes() + delivered, kept);
  r.rescued = false;
  r.probe = TailProbe();
  r.probe_due = false;
  r.cwr_due = tcb.Has(kEcnOn);
  r.echo_end = tcb.snd_nxt;
  r.echo_guard = true;
  tcb.recover = tcb.snd_nxt;
  tcb.Set(kFastRecovery | kRecoverValid);
}

void FollowPrr(Tcb& tcb, Recovery& r, uint32_t delivered, bool safe, const Env& env) {
  if (!IsPrrUsed(r, env)) return;
  // What the peer's window does not take any more would only stand in the way of repairs.
  const int32_t sendable = Min(tcb.data_end(), tcb.snd_una + tcb.snd_wnd) - tcb.snd_nxt;
  r.prr.KeepAtMost(static_cast<uint32_t>(std::max(sendable, 0)));
  Congestion& c = tcb.congestion;
  const uint32_t cwnd = r.prr.OnAck(delivered, PipeOf(tcb, r), c.ssthresh, tcb.snd_mss, safe);
  c.cwnd = std::max<uint32_t>(cwnd, tcb.snd_mss);
}

void NoteDuplicate(Tcb& tcb, SeqNum left, SeqNum right, Env& env) {
  if (!tcb.Has(kSackOn) || !env.config.dsack || left == right) return;
  Recovery* const r = TakeRecord(tcb, env);
  if (r == nullptr) return;
  r->duplicate = {left, right};
  r->duplicate_due = true;
  tcb.Set(kSackDue | kAckNow);
}

}  // namespace millrace::tcp
