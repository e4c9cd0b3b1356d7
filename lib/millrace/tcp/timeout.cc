// tcp/timeout.cc - what happens when a deadline is reached (RFC 6298 section 5, RFC 9293 3.8.3).

#include <algorithm>
#include <utility>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

void OnSynTimeout(Tcb& tcb, Env& env) {
  if (tcb.backoff >= env.config.syn_retransmits_max) {
    ++env.counters.attempt_fails;
    ++env.counters.abort_on_timeout;
    CloseNow(tcb, CloseReason::kTimedOut, env);
    return;
  }
  CountTimeout(tcb);
  ++env.counters.syn_retrans;
  ++env.counters.retrans_segs;
  tcb.Clear(kRttTiming);
  tcb.Set(kSynRetransmitted);
  // RFC 3168 6.1.1.1: without an answer to it, "MAY resend the SYN with ... CWR and ECE cleared".
  tcb.Clear(kEcnOn);
  tcb.rtx_nxt = tcb.iss;
  tcb.timers.Stop(Timer::kRetransmit);
}

// The timer was due for a segment that is alone in flight: true when a probe goes in place of the
// first time-out. REQUIRES: not tracked.
bool ProbeSingleSegment(Tcb& tcb, Env& env) {
  // RFC 8985 7.2: "PTO = 2 * SRTT ... If FlightSize is one segment: PTO += TLP.max_ack_delay ... If
  // Now() + PTO > TCP_RTO_expiration(): PTO = TCP_RTO_expiration() - Now()": with rto_min as it is
  // that is the time-out itself.
  const uint32_t flight = tcb.flight();
  if (!env.config.probe_single_segments || !env.config.rack || !tcb.Has(kSackOn)) return false;
  if (flight == 0 || flight > uint32_t{tcb.snd_mss} + 1 || tcb.snd_wnd == 0) return false;
  if (tcb.timeouts != 0 || !tcb.rtt.has_sample() || tcb.rtx_nxt != tcb.snd_nxt) return false;
  if (tcb.Has(kFastRecovery | kTimeoutRecovery | kFastOpen)) return false;
  Recovery* const r = TakeRecord(tcb, env);
  if (r == nullptr || r->probe.in_flight) return false;
  if (!TrackFlight(tcb, *r, env)) return false;
  r->probe_due = true;
  RestartRetransmit(tcb, env);
  return true;
}

// RFC 6298 5.4 to 5.6; or, with nothing in flight or no window, a probe.
void OnRetransmitTimeout(Tcb& tcb, Env& env) {
  // RFC 9293 3.8.3 (MUST-20): R2 as a time without any sign of life of the peer.
  if (env.tick - tcb.progress_tick >= GiveUpTicks(tcb, env)) {
    ++env.counters.abort_on_timeout;
    CloseNow(tcb, CloseReason::kTimedOut, env);
    return;
  }
  const bool first = tcb.timeouts == 0;
  CountTimeout(tcb);
  if (tcb.flight() == 0 || tcb.snd_wnd == 0) {
    tcb.Set(kProbe);
  } else {
    ++env.counters.timeouts;
    if (tcb.timeouts == env.config.r1_retransmits) {
      // (SHLD-9): "TCP implementations SHOULD inform the application of the delivery problem".
      ++env.counters.r1_reached;
      if (Extra* const extra = TakeExtraForPeer(tcb, env)) {
        extra->soft_error = SoftError::kNoAnswer;
      }
    }
    if (OnAwaitedPathMtu(tcb, env)) return RestartRetransmit(tcb, env);
    DetectBlackHole(tcb, env);
    Recovery* const r = TakeRecord(tcb, env);
    if (r == nullptr) {
      tcb.congestion.OnTimeout(tcb.flight(), tcb.snd_mss, first);
    } else {
      const bool explained = std::exchange(r->timeout_explained, false);
      OnRecordTimeout(tcb, *r, first || explained, env);
    }
    // All that is in flight counts as lost, unless the scoreboard knows better; cwnd lets one
    // segment out.
    tcb.rtx_nxt = IsTracked(tcb, env) ? tcb.snd_nxt : tcb.snd_una;
    tcb.recover = tcb.snd_nxt;
    tcb.duplicate_acks = 0;
    tcb.Clear(kFastRecovery | kRetransmitHead | kRttTiming);
    tcb.Set(kTimeoutRecovery | kRecoverValid);
  }
  RestartRetransmit(tcb, env);
}

}  // namespace

void OnTimeout(Tcb& tcb, Env& env) {
  if (IsOver(tcb)) return;
  if (tcb.timers.IsDue(Timer::kDelayedAck, env.tick)) {
    tcb.timers.Stop(Timer::kDelayedAck);
    ++env.counters.delayed_acks;
    tcb.Set(kAckNow);
  }
  if (tcb.timers.IsDue(Timer::kMemory, env.tick)) {
    tcb.timers.Stop(Timer::kMemory);
    if (tcb.Has(kWritableWanted)) tcb.events |= kEventWritable;
    tcb.Clear(kWritableWanted);
  }
  if (tcb.timers.IsDue(Timer::kLifetime, env.tick)) {
    tcb.timers.Stop(Timer::kLifetime);
    if (tcb.state == State::kFinWait2 && tcb.Has(kReceiveClosed)) {
      ++env.counters.abort_on_fin_wait_2;
      CloseNow(tcb, CloseReason::kTimedOut, env);
    } else {
      OnLivenessTimeout(tcb, env);
    }
    if (IsOver(tcb) || tcb.Has(kResetNow)) return;
  }
  if (tcb.timers.IsDue(Timer::kRetransmit, env.tick)) {
    tcb.timers.Stop(Timer::kRetransmit);
    if (tcb.SynOutstanding()) {
      OnSynTimeout(tcb, env);
    } else if (IsTracked(tcb, env) ? !OnLossTimer(tcb, env) : !ProbeSingleSegment(tcb, env)) {
      OnRetransmitTimeout(tcb, env);
    }
  }
}

}  // namespace millrace::tcp
