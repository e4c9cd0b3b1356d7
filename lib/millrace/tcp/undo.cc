// tcp/undo.cc - reductions of the window that were for nothing, and how they are taken back (RFC
// 3522, 3708, 4015, 5682). What tells of one is read in tcp/recovery_ack.cc.

#include <algorithm>

#include "millrace/tcp/loss_recovery.h"
#include "millrace/tcp/recovery.h"

namespace millrace::tcp {

void RememberForUndo(Tcb& tcb, Recovery& r) {
  Undo& undo = r.undo;
  undo = Undo();
  undo.state = r.congestion;
  undo.pipe_prev =
      std::max(tcb.congestion.FlightSize(FlightOfRound(tcb, r)), tcb.congestion.ssthresh);
  undo.srtt_prev_us = tcb.rtt.srtt_us();
  undo.rttvar_prev_us = tcb.rtt.rttvar_us();
  // A tail loss probe may be in flight: a D-SACK of it says nothing of what is sent again from now
  // on.
  undo.repeated_bytes = r.board.retransmitted_bytes();
  undo.from = undo.repeated_end = tcb.snd_una;
  undo.possible = true;
}

void UndoReduction(Tcb& tcb, Recovery& r, uint32_t acked, Env& env) {
  Undo& undo = r.undo;
  if (tcb.Has(kTimeoutRecovery)) {
    ++env.counters.spurious_timeouts;
    // RFC 4015 step (8): the RTO that was too short is not used again.
    if (undo.srtt_prev_us != 0) {
      RttEstimator& rtt = tcb.rtt;
      rtt.srtt_us_x8 = std::max(rtt.srtt_us_x8, undo.srtt_prev_us << 3);
      rtt.rttvar_us_x4 =
          std::max({rtt.rttvar_us_x4, undo.rttvar_prev_us << 2, rtt.srtt_us_x8 >> 2});
    }
    tcb.backoff = tcb.timeouts = 0;
    // RACK took the ACK of an original for that of its retransmission.
    const uint32_t min_rtt_us = r.rack.min_rtt().us();
    r.rack = Rack();
    r.rack.SeedMinRtt(min_rtt_us, env.us);
  } else {
    ++env.counters.spurious_recoveries;
    r.rack.OnSpuriousRecovery();
  }
  Congestion& c = tcb.congestion;
  if (r.congestion.bbr != nullptr) {
    c.cwnd = r.congestion.bbr->OnSpurious(c.cwnd);
  } else {
    // RFC 4015 step (7): "cwnd <- FlightSize + min (bytes_acked, IW)"; "ssthresh <- pipe_prev".
    // What was SACKed has let new segments go already.
    const uint32_t restored = tcb.flight() - r.board.sacked_bytes() +
                              std::min(acked, Congestion::InitialWindow(tcb.snd_mss, env.config));
    c.cwnd = std::clamp<uint32_t>(restored, c.cwnd, env.config.congestion_window_max_bytes);
    c.ssthresh = undo.pipe_prev;
  }
  r.congestion = undo.state;
  r.board.ForgetLosses(env.recovery_pool.runs);
  r.frto = Frto::kOff;
  r.reorder_pending = false;
  undo = Undo();
  tcb.rtx_nxt = tcb.snd_nxt;
  tcb.Clear(kFastRecovery | kTimeoutRecovery | kRetransmitHead | kRecoverValid);
}

bool EchoIsOlder(const Tcb& tcb, const Recovery& r, const wire::Segment& segment) {
  return r.undo.has_retransmit_ts && segment.ack >= r.undo.first_end && tcb.Has(kTimestampsOn) &&
         segment.HasOption(wire::kTimestampsOption) &&
         static_cast<int32_t>(segment.tsecr - r.undo.retransmit_ts) < 0;
}

}  // namespace millrace::tcp
