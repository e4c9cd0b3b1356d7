// tcp/input_ack.cc - RFC 9293 section 3.10.7.4, fifth step: what an acknowledgment does (RFC 5681,
// 6298, 6582).

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

using wire::Segment;

bool AnswersDuplicate(const Segment& segment) {
  return segment.HasOption(wire::kSackOption) &&
         wire::LoadSackBlock(segment.sack, 0).right <= segment.ack;
}

void TimeRoundTrip(Tcb& tcb, const Segment& segment, Env& env) {
  if (tcb.Has(kRttTiming) && segment.ack >= tcb.rtt_seq) {
    tcb.Clear(kRttTiming);
    SampleRtt(tcb, env.us - tcb.rtt_start_us);
    return;
  }
  // Karn's rule (MUST-18) forbade timing what was retransmitted; a timestamp tells which copy
  // arrived. An echo that we cannot have sent is ignored; and the answer to a duplicate, which a
  // D-SACK tells, echoes what came before the ACKs were lost: the whole silence, not a round trip.
  if (tcb.backoff != 0 && !AnswersDuplicate(segment)) SampleRttByTimestamp(tcb, segment, env);
}

}  // namespace

// RFC 5681 and 6298.
void OnNewAck(Tcb& tcb, const Segment& segment, Env& env) {
  const uint32_t flight = tcb.flight();
  const uint32_t acked = Advance(tcb, segment, env);
  NoteArrived(tcb, acked);
  tcb.congestion.OnAck(acked, flight, tcb.snd_mss, env.config);
  // RFC 6298 5.2 and 5.3.
  if (tcb.snd_una == tcb.snd_nxt) {
    tcb.timers.Stop(Timer::kRetransmit);
  } else {
    ArmRetransmit(tcb, env);
  }
}

namespace {

void OnAckInTrouble(Tcb& tcb, const Segment& segment, Env& env) {
  if (tcb.Has(kRecord)) {
    OnRecordAck(tcb, segment, env);
    return;
  }
  const uint32_t flight = tcb.flight();
  const uint32_t acked = Advance(tcb, segment, env);
  OnNewRenoAck(tcb, nullptr, segment, acked, flight, 0, env);
}

// RFC 5682 section 2.1, step 2 and 3, for a new ACK. True: the time-out was spurious.
bool OnFrtoAck(Tcb& tcb, Recovery& r) {
  if (r.frto == Frto::kNewSent) return tcb.snd_una < tcb.recover;  // step 3b
  if (r.frto != Frto::kHeadSent) return false;
  r.frto = Frto::kOff;
  // Step 2b: "If the acknowledgment advances the window AND the Acknowledgment field does not cover
  // recover, transmit up to two new (previously unsent) segments".
  if (tcb.snd_una < tcb.recover && tcb.data_end() > tcb.snd_nxt) {
    r.frto = Frto::kNewSent;
    tcb.rtx_nxt = tcb.snd_nxt;
    tcb.congestion.cwnd = tcb.flight() + 2 * tcb.snd_mss;
  }
  return false;
}

// The ways in which an ACK without SACK tells that a reduction was for nothing.
bool IsSpurious(Tcb& tcb, Recovery& r, const Segment& segment) {
  if (!r.undo.possible) return false;
  if (segment.Has(wire::kEce) && tcb.Has(kEcnOn)) {
    r.undo.possible = false;  // RFC 4015 section 3.1: congestion there was
    return false;
  }
  const bool older_echo = EchoIsOlder(tcb, r, segment);
  r.undo.has_retransmit_ts = false;  // RFC 3522 step (5): the first ACK only
  return older_echo || (tcb.Has(kTimeoutRecovery) && OnFrtoAck(tcb, r));
}

void GrowAfterAck(Tcb& tcb, Recovery* r, uint32_t acked, uint32_t flight, const Env& env) {
  if (r == nullptr) {
    tcb.congestion.OnAck(acked, flight, tcb.snd_mss, env.config);
    return;
  }
  const AckSample sample{.acked_bytes = acked,
                         .flight_bytes = flight,
                         .mss = tcb.snd_mss,
                         .now_us = env.us,
                         .srtt_us = tcb.rtt.srtt_us(),
                         .rtt_us = 0,
                         .snd_una = tcb.snd_una,
                         .snd_nxt = tcb.snd_nxt};
  GrowWindow(tcb.congestion, r->congestion, sample, env.config);
}

// RFC 5681 section 2, the five marks of a duplicate ACK, and 3.2.
void OnDuplicateAck(Tcb& tcb, Env& env) {
  if (tcb.duplicate_acks < 255) ++tcb.duplicate_acks;
  Recovery* const r = tcb.Has(kRecord) ? &RecordOf(tcb, env) : nullptr;
  if (tcb.Has(kFastRecovery)) {
    const uint32_t outstanding = tcb.recover.Since(tcb.snd_una) + (r == nullptr ? 0 : r->fresh);
    tcb.congestion.OnDuplicateAckInRecovery(tcb.snd_mss, outstanding, env.config);
    return;
  }
  if (tcb.Has(kTimeoutRecovery)) {
    if (r != nullptr && r->frto != Frto::kOff) {
      // RFC 5682 2.1 step 3a: "If the acknowledgment is a duplicate ACK, set the congestion window
      // to no more than 3 * MSS, and continue with the slow start algorithm".
      if (r->frto == Frto::kNewSent) {
        tcb.congestion.cwnd = 3u * tcb.snd_mss;
        tcb.rtx_nxt = tcb.snd_una;
      }
      r->frto = Frto::kOff;
    }
    return;
  }
  // RFC 6582 3.2 step 2: no second fast retransmit for the same window of data.
  if (tcb.Has(kRecoverValid) && tcb.snd_una <= tcb.recover) return;
  if (tcb.duplicate_acks < 3) {
    if (r != nullptr) r->limited_transmit = true;  // RFC 3042
    return;
  }
  if (tcb.duplicate_acks != 3) return;
  ++env.counters.fast_retrans;
  if (r == nullptr) {
    tcb.congestion.OnFastRetransmit(tcb.flight() + KeptByBurst(tcb), tcb.snd_mss);
  } else {
    RememberForUndo(tcb, *r);
    r->fresh = 0;
    r->partial_seen = false;
    r->limited_transmit = false;
    r->cwr_due = tcb.Has(kEcnOn);
    r->echo_end = tcb.snd_nxt;
    r->echo_guard = true;
    Congestion& c = tcb.congestion;
    ReduceForLoss(c, r->congestion, FlightOfRound(tcb, *r), tcb.snd_mss, env.config);
    if (env.config.congestion != CongestionKind::kNone) c.cwnd = c.ssthresh + 3u * tcb.snd_mss;
  }
  tcb.recover = tcb.snd_nxt;
  tcb.Set(kFastRecovery | kRecoverValid | kRetransmitHead);
}

}  // namespace

// The persist timer has done its work; what follows is timed afresh.
void OnWindowOpened(Tcb& tcb, Env& env) {
  if (IsLeaving(tcb) && !tcb.Has(kFinAcked)) {
    // By a window that opens and closes without end the timer that gives up is not put off.
    if (env.tick - tcb.progress_tick >= GiveUpTicks(tcb, env)) return;
    tcb.backoff = tcb.timeouts = 0;
    RestartRetransmit(tcb, env);
    return;
  }
  tcb.backoff = tcb.timeouts = 0;
  if (tcb.flight() == 0) {
    tcb.timers.Stop(Timer::kRetransmit);
  } else {
    RestartRetransmit(tcb, env);  // the probe is in flight; the next may be a minute away
  }
}

bool AfterFinAcked(Tcb& tcb, Env& env) {
  switch (tcb.state) {
    case State::kFinWait1:
      Transition(tcb, State::kFinWait2);
      if (tcb.Has(kReceiveClosed)) ArmOrphan(tcb, env);
      return false;
    case State::kClosing:
      EnterTimeWait(tcb);
      return true;
    case State::kLastAck:
      CloseNow(tcb, CloseReason::kNormal, env);
      return true;
    default:
      return false;
  }
}

uint32_t Advance(Tcb& tcb, const Segment& segment, Env& env) {
  const uint32_t acked = segment.ack.Since(tcb.snd_una);
  TimeRoundTrip(tcb, segment, env);
  const bool fin_acked = tcb.FinSent() && !tcb.Has(kFinAcked) && segment.ack == tcb.snd_nxt;
  tcb.send.Consume(acked - (fin_acked ? 1 : 0), env.send_pool);
  if (fin_acked) tcb.Set(kFinAcked);
  tcb.snd_una = segment.ack;
  tcb.rtx_nxt = Max(tcb.rtx_nxt, tcb.snd_una);
  tcb.duplicate_acks = 0;
  tcb.timeouts = 0;
  tcb.progress_tick = env.tick;
  if (tcb.Has(kWritableWanted)) OnRoomToSend(tcb, env);
  return acked;
}

void OnNewRenoAck(Tcb& tcb, Recovery* r, const Segment& segment, uint32_t acked, uint32_t flight,
                  uint32_t told, Env& env) {
  bool restart = true;
  NoteArrived(tcb, r == nullptr ? acked : std::min<uint32_t>(acked, r->longest_sent));
  if (r != nullptr) {
    r->limited_transmit = false;
    if (IsSpurious(tcb, *r, segment)) UndoReduction(tcb, *r, acked, env);
  }
  if (tcb.Has(kFastRecovery)) {
    if (tcb.snd_una >= tcb.recover) {
      tcb.Clear(kFastRecovery);
      tcb.congestion.OnRecoveryEnd(tcb.flight(), tcb.snd_mss);
    } else {
      // RFC 6582 3.2 step 5, a partial ACK: the next hole is retransmitted at once.
      tcb.Set(kRetransmitHead);
      tcb.congestion.OnPartialAck(acked, tcb.snd_mss);
      // "For the first partial ACK that arrives during fast recovery, also reset the retransmit
      // timer"; without a record for every one (section 4's Slow-but-Steady variant).
      if (r != nullptr) {
        restart = !r->partial_seen;
        r->partial_seen = true;
        // Duplicates of what was sent meanwhile count too; not for less than a segment's repair.
        if (acked >= tcb.snd_mss) r->fresh = tcb.snd_nxt.Since(tcb.recover);
      }
    }
  } else {
    if (tcb.Has(kTimeoutRecovery) && tcb.snd_una >= tcb.recover) {
      tcb.Clear(kTimeoutRecovery);
      if (r != nullptr) r->frto = Frto::kOff;
    }
    // RFC 5682 2.1 step 2b: the window was set for two new segments.
    if (r == nullptr || r->frto == Frto::kOff) {
      // What duplicate ACKs told of has let new segments go already (RFC 3042); the hole has not.
      const uint32_t fresh = acked - std::min(acked, told * tcb.snd_mss);
      const uint32_t hole = std::min<uint32_t>(acked, tcb.snd_mss);
      GrowAfterAck(tcb, r, std::max(fresh, hole), flight, env);
    }
  }
  // Behind snd_una it has nothing to guard, and 2^31 octets later it would look like the future.
  if (tcb.snd_una > tcb.recover && !tcb.Has(kFastRecovery)) tcb.Clear(kRecoverValid);
  // RFC 6298 5.2 and 5.3.
  if (tcb.snd_una == tcb.snd_nxt) {
    tcb.timers.Stop(Timer::kRetransmit);
  } else if (restart) {
    ArmRetransmit(tcb, env);
  }
}

bool CheckAck(Tcb& tcb, const Segment& segment, uint32_t window, Env& env, InputResult& result) {
  if (!segment.Has(wire::kAck)) {
    ++env.counters.ack_missing;  // "if the ACK bit is off, drop the segment and return"
    return false;
  }
  const bool opens = tcb.state == State::kSynReceived;
  if (opens) {
    if (!(tcb.snd_una < segment.ack && segment.ack <= tcb.snd_nxt)) {
      ++env.counters.ack_invalid;
      result.reply = Reply::kReset;  // "<SEQ=SEG.ACK><CTL=RST>"
      return false;
    }
    EnterEstablished(tcb, segment, window, env);
  }
  // RFC 5961 5.2 (MAY-12): "((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT)"
  if (segment.ack > tcb.snd_nxt || segment.ack < tcb.snd_una - tcb.snd_wnd_max) {
    ++env.counters.ack_invalid;
    AckLimited(tcb, env);
    return false;
  }
  if (segment.ack > tcb.snd_una) {
    constexpr uint32_t kTrouble = kRecord | kFastRecovery | kTimeoutRecovery | kRecoverValid;
    if (tcb.Has(kTrouble)) [[unlikely]] {
      OnAckInTrouble(tcb, segment, env);
    } else {
      OnNewAck(tcb, segment, env);
    }
  } else if (segment.ack == tcb.snd_una) {
    if (tcb.Has(kRecord) && OnRecordRepeatedAck(tcb, segment, env)) [[unlikely]] {
      // told by SACK
    } else if (tcb.flight() > 0 && segment.SequenceLength() == 0 && window == tcb.snd_wnd &&
               tcb.snd_wnd != 0 && !opens) {  // that window is this segment's own
      OnDuplicateAck(tcb, env);
    }
    // RFC 9293 3.8.6.1 (MUST-37): a closed window stays open to probes while they are answered.
    if (tcb.snd_wnd == 0 && !IsLeaving(tcb)) tcb.progress_tick = env.tick;
  }
  if (segment.ack >= tcb.snd_una) UpdateSendWindow(tcb, segment, window, env);
  return !(tcb.Has(kFinAcked) && AfterFinAcked(tcb, env));
}

}  // namespace millrace::tcp
