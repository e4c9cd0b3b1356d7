// tcp/path_mtu.cc - segments that are too long for the path: a router says so (RFC 1191, RFC 8201),
// or nobody does and they vanish (RFC 4821, RFC 8899).

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {

bool OnPathMtu(Tcb& tcb, uint16_t mss, Env& env) {
  constexpr uint16_t kTimestampsBytes = 12;
  const auto effective =
      static_cast<uint16_t>(mss - (tcb.Has(kTimestampsOn) ? kTimestampsBytes : 0));
  if (effective >= tcb.snd_mss) return false;
  tcb.snd_mss = effective;
  ++env.counters.path_mtu_lowered;
  if (tcb.flight() <= effective || !IsIn(tcb.state, kSendingStates)) return true;
  // RFC 1191 6.5: what was too long is lost, and is sent again at once, without "the slow-start
  // procedure": the path is not congested. All that is in flight goes again, because none of it
  // says which router dropped what.
  if (IsTracked(tcb, env)) {
    Recovery& r = RecordOf(tcb, env);
    r.board.Clear(env.recovery_pool.runs);
    r.reorder_pending = false;
    r.probe = TailProbe();
  }
  tcb.Clear(kRttTiming | kRetransmitHead);
  tcb.rtx_nxt = tcb.snd_una;
  tcb.duplicate_acks = 0;
  ArmRetransmit(tcb, env);
  return true;
}

// In the spirit of RFC 4821 7.7 and RFC 8899 4.3, without their probes: a full-size segment that
// timed out `black_hole_timeouts` times in a row may be too long for a path whose routers are
// silent, so it goes again as a shorter one.
void DetectBlackHole(Tcb& tcb, Env& env) {
  const uint8_t limit = env.config.black_hole_timeouts;
  if (limit == 0 || tcb.timeouts < limit || tcb.flight() < tcb.snd_mss) return;
  const uint16_t mss =
      tcb.timeouts >= 2 * limit ? env.config.black_hole_mss_least : env.config.black_hole_mss;
  if (mss >= tcb.snd_mss) return;
  tcb.snd_mss = mss;
  ++env.counters.path_mtu_black_holes;
}

}  // namespace millrace::tcp
