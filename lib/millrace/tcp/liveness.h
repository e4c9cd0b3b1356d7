// tcp/liveness.h - how long a silent peer, or a silent application, is waited for: keepalive (RFC
// 9293 3.8.4), user timeout (RFC 9293 3.9.1, RFC 5482), CLOSE-WAIT.
//
// Only connections with kWatched have any of it: their segments and sends pass here, and
// Timer::kLifetime is the earliest of their deadlines. In FIN-WAIT-2 of an orphan that timer has
// its own meaning (Config::fin_wait_2_orphan) and the peer is not probed.
#ifndef MILLRACE_TCP_LIVENESS_H_
#define MILLRACE_TCP_LIVENESS_H_

#include "millrace/tcp/env.h"
#include "millrace/tcp/tcb.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

// The application's wishes for this connection. False when the core's pool of records is empty:
// nothing changed then. Takes effect at once, in any state.
[[nodiscard]] bool SetLiveness(Tcb& tcb, const Liveness& wanted, Env& env);

// The record of the connection, taken now if it has none; null when the pool is empty.
Extra* TakeExtra(Tcb& tcb, Env& env);
// The same for what a peer brings about: the last quarter of the pool is for what applications ask.
Extra* TakeExtraForPeer(Tcb& tcb, Env& env);
void GiveExtra(Tcb& tcb, Env& env);

// After a segment was processed. REQUIRES for this and the next: kWatched.
void WatchSegment(Tcb& tcb, const wire::Segment& segment, Env& env);
// Before the application adds to what has to be acknowledged.
void WatchSend(Tcb& tcb, Env& env);
// Timer::kLifetime has come, and it is not that of an orphan.
void OnLivenessTimeout(Tcb& tcb, Env& env);

// The application has closed, or both ends have: nobody waits for what is still to go, so only what
// the peer acknowledges is a sign of life, not that it answers probes of a closed window.
inline bool IsLeaving(const Tcb& tcb) {
  return tcb.Has(kReceiveClosed) || tcb.state == State::kClosing || tcb.state == State::kLastAck;
}

// R2 of this connection in ticks (RFC 9293 3.8.3, MUST-21).
inline uint32_t GiveUpTicks(const Tcb& tcb, const Env& env) {
  if (tcb.extra != 0) [[unlikely]] {
    const uint32_t user_timeout = env.extras[tcb.extra - 1].user_timeout;
    if (user_timeout != 0) return user_timeout;
  }
  return TicksOf(env.config.r2);
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_LIVENESS_H_
