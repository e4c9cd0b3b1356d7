// tcp/urgent.cc - the peer's urgent pointer (RFC 9293 3.8.5, RFC 6093). Urgent data is delivered in
// line; the pointer says no more than how far it reaches.

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"

namespace millrace::tcp {
namespace {

// The sequence number of the octet that the application reads next.
SeqNum NextToRead(const Tcb& tcb) {
  return tcb.rcv_nxt - (tcb.receive.ready_bytes() + (tcb.Has(kFinReceived) ? 1 : 0));
}

}  // namespace

void OnUrgent(Tcb& tcb, const wire::Segment& segment, Env& env) {
  ++env.counters.urgent_seen;
  // RFC 9293 3.10.7.4, in CLOSE-WAIT and behind it: "This should not occur since a FIN has been
  // received from the remote side. Ignore the URG."
  if (!IsIn(tcb.state, kReceivingStates) || tcb.Has(kReceiveClosed)) return;
  // (MUST-62): "the urgent pointer ... points to the sequence number of the octet following the
  // urgent data".
  const SeqNum end = segment.seq + segment.urgent;
  if (end <= NextToRead(tcb)) return;
  Extra* const extra = TakeExtraForPeer(tcb, env);
  if (extra == nullptr) return;
  if (extra->urgent && end <= extra->urgent_end) return;
  extra->urgent = true;
  extra->urgent_end = end;
  // (MUST-32): "MUST inform the application layer asynchronously whenever it receives an urgent
  // pointer and there was previously no pending urgent data, or whenever the urgent pointer
  // advances in the data stream".
  tcb.events |= kEventUrgent;
  tcb.Set(kWatched);
}

uint32_t UrgentBytes(const Tcb& tcb, const Env& env) {
  if (tcb.extra == 0) return 0;
  const Extra& extra = env.extras[tcb.extra - 1];
  const SeqNum next = NextToRead(tcb);
  return extra.urgent && next < extra.urgent_end ? extra.urgent_end.Since(next) : 0;
}

void WatchUrgent(const Tcb& tcb, Extra& extra) {
  if (extra.urgent && extra.urgent_end <= NextToRead(tcb)) extra.urgent = false;
}

}  // namespace millrace::tcp
