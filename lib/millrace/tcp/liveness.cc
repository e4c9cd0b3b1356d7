#include "millrace/tcp/liveness.h"

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"

namespace millrace::tcp {
namespace {

// RFC 5482 3: the granularity bit and 15 bits of minutes or seconds.
Duration RemoteUserTimeout(uint16_t option) {
  const int64_t value = option & 0x7FFF;
  return Duration::Seconds((option & 0x8000) != 0 ? value * 60 : value);
}

bool IsOutstanding(const Tcb& tcb) {
  return tcb.snd_una != tcb.snd_nxt || tcb.send.size_bytes() > 0 ||
         (tcb.Has(kFinQueued) && !tcb.Has(kFinAcked));
}

bool IsOrphan(const Tcb& tcb) { return tcb.state == State::kFinWait2 && tcb.Has(kReceiveClosed); }

// RFC 9293 3.8.4 (MUST-26): "Keep-alive packets MUST only be sent when no sent data is outstanding,
// and no data or acknowledgment packets have been received for the connection within an interval".
bool MayProbe(const Tcb& tcb, const Extra& extra) {
  return extra.keepalive_idle != 0 && IsSynchronized(tcb.state) && !IsOutstanding(tcb);
}

// Sets the timer to the earliest of what is due.
void ArmLiveness(Tcb& tcb, const Extra& extra, const Env& env) {
  if (IsOrphan(tcb)) return;
  bool any = false;
  uint32_t earliest = 0;
  const auto consider = [&](uint32_t tick) {
    if (!any || static_cast<int32_t>(tick - earliest) < 0) earliest = tick;
    any = true;
  };
  if (MayProbe(tcb, extra)) consider(extra.probe_tick);
  if (extra.user_timeout != 0 && IsOutstanding(tcb)) {
    consider(extra.waiting_tick + extra.user_timeout);
  }
  if (extra.close_wait != 0 && tcb.state == State::kCloseWait) {
    consider(tcb.fin_tick() + extra.close_wait);
  }
  if (any) {
    // One tick later: ticks of the present are rounded down, and no deadline may come early.
    const uint32_t now = env.tick;
    tcb.timers.Set(Timer::kLifetime, static_cast<int32_t>(earliest - now) < 0 ? now : earliest + 1);
  } else {
    tcb.timers.Stop(Timer::kLifetime);
  }
}

void AdoptUserTimeout(Extra& extra, uint16_t option, const Config& config) {
  // RFC 5482 3.1: "USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT))"; nothing is
  // advertised here. A value of zero is reserved and ignored.
  if ((option & 0x7FFF) == 0) return;
  const Duration wanted = std::max(RemoteUserTimeout(option), config.user_timeout_min);
  extra.user_timeout = Extra::Span(std::min(wanted, config.user_timeout_max));
}

}  // namespace

Extra* TakeExtra(Tcb& tcb, Env& env) {
  if (tcb.extra != 0) return &env.extras[tcb.extra - 1];
  const uint32_t index = env.extras.Take();
  if (index == kNoIndex) {
    ++env.counters.extras_full;
    return nullptr;
  }
  tcb.extra = index + 1;
  Extra& extra = env.extras[index];
  extra.Init(env.config.liveness);
  extra.waiting_tick = env.tick;
  extra.waiting_una = tcb.snd_una;
  extra.probe_tick = env.tick + extra.keepalive_idle;
  return &extra;
}

Extra* TakeExtraForPeer(Tcb& tcb, Env& env) {
  if (tcb.extra == 0 && env.extras.free() <= env.extras.capacity() / 4) {
    ++env.counters.extras_full;
    return nullptr;
  }
  return TakeExtra(tcb, env);
}

void GiveExtra(Tcb& tcb, Env& env) {
  if (tcb.Has(kFastOpen) && tcb.Has(kPassiveOpen)) --env.fast_open_pending;
  env.receive_tuned_bytes -= env.extras[tcb.extra - 1].tuned_bytes;
  env.extras.Give(tcb.extra - 1);
  tcb.extra = 0;
}

bool SetLiveness(Tcb& tcb, const Liveness& wanted, Env& env) {
  Extra* const extra = TakeExtra(tcb, env);
  if (extra == nullptr) return false;
  extra->Ask(wanted);
  extra->probes_sent = 0;
  extra->probe_tick = env.tick + extra->keepalive_idle;
  extra->waiting_tick = env.tick;
  tcb.Set(kWatched);
  ArmLiveness(tcb, *extra, env);
  return true;
}

void WatchSegment(Tcb& tcb, const wire::Segment& segment, Env& env) {
  if (IsOver(tcb) || tcb.Has(kResetNow)) return;
  Extra* const extra = TakeExtra(tcb, env);
  if (extra == nullptr) {
    tcb.Clear(kWatched);
    return;
  }
  // Not by what nobody who sees the connection would send (RFC 5961 5.2).
  if (segment.ack <= tcb.snd_nxt && segment.ack >= tcb.snd_una - tcb.snd_wnd_max) {
    extra->probes_sent = 0;
    extra->probe_tick = env.tick + extra->keepalive_idle;
    if (extra->adopt_user_timeout && segment.HasOption(wire::kUserTimeoutOption)) {
      AdoptUserTimeout(*extra, segment.user_timeout, env.config);
    }
  }
  if (!IsOutstanding(tcb) || tcb.snd_una != extra->waiting_una) {
    extra->waiting_tick = env.tick;
    extra->waiting_una = tcb.snd_una;
  }
  WatchUrgent(tcb, *extra);
  ArmLiveness(tcb, *extra, env);
}

void WatchSend(Tcb& tcb, Env& env) {
  if (tcb.extra == 0) return;
  Extra& extra = env.extras[tcb.extra - 1];
  if (!IsOutstanding(tcb)) {
    extra.waiting_tick = env.tick;
    extra.waiting_una = tcb.snd_una;
  }
  if (extra.user_timeout == 0) return;
  const uint32_t deadline = extra.waiting_tick + extra.user_timeout + 1;
  if (!tcb.timers.IsArmed(Timer::kLifetime) ||
      static_cast<int32_t>(deadline - tcb.timers.at[static_cast<int>(Timer::kLifetime)]) < 0) {
    tcb.timers.Set(Timer::kLifetime, deadline);
  }
}

void OnLivenessTimeout(Tcb& tcb, Env& env) {
  if (tcb.extra == 0) return;
  Extra& extra = env.extras[tcb.extra - 1];
  const auto due = [&](uint32_t tick) { return static_cast<int32_t>(env.tick - tick) > 0; };
  if (extra.user_timeout != 0 && IsOutstanding(tcb) &&
      due(extra.waiting_tick + extra.user_timeout)) {
    // RFC 9293 3.10.8: "For any state if the user timeout expires, flush all queues, signal the
    // user "error: connection aborted due to user timeout" ... and delete the TCB".
    ++env.counters.abort_on_timeout;
    CloseNow(tcb, CloseReason::kTimedOut, env);
    return;
  }
  if (extra.close_wait != 0 && tcb.state == State::kCloseWait &&
      due(tcb.fin_tick() + extra.close_wait)) {
    ++env.counters.abort_on_close_wait;
    Abort(tcb, CloseReason::kTimedOut, env);
    return;
  }
  if (!MayProbe(tcb, extra)) {
    // What is outstanding is repeated by its own timer; silence counts from its acknowledgment.
    extra.probe_tick = env.tick + extra.keepalive_idle;
  } else if (due(extra.probe_tick)) {
    // (MUST-29): "it MUST NOT interpret failure to respond to any specific probe as a dead
    // connection".
    if (extra.probes_sent >= extra.keepalive_probes) {
      ++env.counters.abort_on_keepalive;
      Abort(tcb, CloseReason::kTimedOut, env);
      return;
    }
    ++extra.probes_sent;
    extra.probe_tick = env.tick + extra.keepalive_interval;
    tcb.Set(kKeepaliveDue);
  }
  ArmLiveness(tcb, extra, env);
}

}  // namespace millrace::tcp
