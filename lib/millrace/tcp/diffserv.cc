// tcp/diffserv.cc - the Diffserv field (RFC 2474) of one connection's segments.

#include "millrace/base/check.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/liveness.h"

namespace millrace::tcp {

bool SetDiffserv(Tcb& tcb, uint8_t dscp, Env& env) {
  MR_DCHECK(dscp < 64);
  Extra* const extra = TakeExtra(tcb, env);
  if (extra == nullptr) return false;
  extra->diffserv = static_cast<uint8_t>(dscp << 2);
  tcb.Set(kWatched);  // not by the straight path any more
  return true;
}

// SHLD-22: "the TCP implementation SHOULD pass the current Diffserv field value without change to
// the IP layer". The lower two bits are ECN's.
void MarkDiffserv(const Tcb& tcb, const Env& env, Outbox& out) {
  const uint8_t diffserv = env.extras[tcb.extra - 1].diffserv;
  for (TxSegment& segment : out.segments()) {
    segment.traffic_class = static_cast<uint8_t>(segment.traffic_class | diffserv);
  }
}

}  // namespace millrace::tcp
