#include "millrace/tcp/ecn.h"

#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

// RFC 3168 6.1.2: ECE is a sign of congestion as a loss is, but "TCP SHOULD NOT react to
// congestion indications more than once every window of data".
void OnEcho(Tcb& tcb, Env& env) {
  Recovery* const r = TakeRecord(tcb, env);
  if (r == nullptr) return;
  r->undo.possible = false;  // RFC 4015 section 3.1
  if (tcb.Has(kFastRecovery | kTimeoutRecovery)) return;
  if (r->echo_guard && tcb.snd_una < r->echo_end) return;
  ++env.counters.ecn_reductions;
  r->echo_guard = true;
  r->echo_end = tcb.snd_nxt;
  r->cwr_due = true;
  if (tcb.congestion.cwnd <= tcb.snd_mss) {
    // "If the sender's congestion window is only one segment ... the TCP sender will be able to
    // send a new packet only when the retransmit timer expires."
    r->gated = true;
    r->gate_us = env.us + static_cast<uint32_t>(RetransmitTimeout(tcb, env.config).us());
    return;
  }
  ReduceForEcho(tcb.congestion, r->congestion, tcb.snd_mss, env.us, env.config);
}

}  // namespace

void OnEcnSegment(Tcb& tcb, const wire::Segment& segment, Env& env) {
  // RFC 3168 6.1.3: the echo ends with CWR; a CE in the same packet is a new one.
  if (segment.Has(wire::kCwr)) tcb.Clear(kEcnEcho);
  if (segment.ecn == wire::kEcnCe && segment.payload_length > 0) {
    ++env.counters.ecn_marks;
    tcb.Set(kEcnEcho | kAckNow);
  }
  if (segment.Has(wire::kEce) && segment.ack >= tcb.snd_una) OnEcho(tcb, env);
}

void MarkEcn(Tcb& tcb, Env& env, TxSegment& segment) {
  // RFC 3168 6.1.6: not on window probes.
  if (tcb.snd_wnd == 0) return;
  segment.traffic_class = wire::kEcnEct0;
  if (!tcb.Has(kRecord)) return;
  Recovery& r = RecordOf(tcb, env);
  if (!r.cwr_due) return;
  r.cwr_due = false;
  segment.flags |= wire::kCwr;
}

void AddEcho(Tcb& tcb, const Env& env, TxSegment& segment) {
  segment.flags |= wire::kEce;
  // RFC 8257 3.2: DCTCP's receiver echoes the marks of what each ACK covers, not until CWR. An ACK
  // of a burst says that there was one.
  if (env.config.congestion == CongestionKind::kDctcp) tcb.Clear(kEcnEcho);
}

}  // namespace millrace::tcp
