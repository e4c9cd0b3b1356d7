// stack/engine_timers.cc - what becomes due: the three wheels, and when the next of it will.

#include <algorithm>
#include <optional>

#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"

namespace millrace::stack {

void Engine::RunTimers() {
  connection_wheel_.Advance(connections_, env_.tick, kTimerWorkMax, [this](uint32_t index) {
    Connection& c = connections_[index];
    if (!c.in_use || c.tcb.timers.armed == 0) return;  // of an earlier user of the slot
    const uint32_t next = c.tcb.timers.Next();
    if (!tcp::TickReached(next, env_.tick)) {
      connection_wheel_.Schedule(connections_, index, next);
      return;
    }
    if (c.tcb.state == tcp::State::kSynSent &&
        neighbors_[c.neighbor].state == NeighborState::kFailed) {
      // RFC 1122 4.2.3.9, by way of ARP: a soft error, but there is nobody to wait for.
      ++env_.counters.attempt_fails;
      tcp::Abort(c.tcb, tcp::CloseReason::kUnreachable, env_);
    } else {
      tcp::OnTimeout(c.tcb, env_);
    }
    MarkDirty(c);
  });
  half_open_wheel_.Advance(half_opens_, env_.tick, kTimerWorkMax, [this](uint32_t index) {
    HalfOpen& h = half_opens_[index];
    if (h.listener == HalfOpen::kFree) return;
    if (!tcp::TickReached(h.deadline_tick, env_.tick)) {
      half_open_wheel_.Schedule(half_opens_, index, h.deadline_tick);
      return;
    }
    const bool crowded = env_.now < listeners_[h.listener].cookies_until;
    if (!tcp::OnHalfOpenTimeout(h.tcp, crowded, env_)) {
      RemoveHalfOpen(index, true);
      return;
    }
    h.deadline_tick = tcp::HalfOpenDeadlineTick(h.tcp, env_);
    half_open_wheel_.Schedule(half_opens_, index, h.deadline_tick);
    Reply(h.key, h.neighbor, tcp::SynAckOf(h.tcp, env_));
  });
  time_wait_wheel_.Advance(time_waits_, time_wait_tick(), kTimerWorkMax, [this](uint32_t index) {
    ++env_.counters.time_wait_expired;
    RemoveTimeWait(index, true);
  });
}

Instant Engine::NextDeadline() const {
  Instant next = Instant::Never();
  const auto consider = [&next, this](std::optional<uint32_t> tick, int shift) {
    if (!tick.has_value()) return;
    const uint32_t now_tick = static_cast<uint32_t>(env_.now.ns() >> shift);
    const int64_t base = env_.now.ns() >> shift;
    const int64_t ahead = static_cast<int32_t>(*tick - now_tick);
    next = std::min(next, Instant::FromNanoseconds((base + std::max<int64_t>(ahead, 0)) << shift));
  };
  consider(connection_wheel_.NextTick(), tcp::kTickShift);
  consider(half_open_wheel_.NextTick(), tcp::kTickShift);
  consider(time_wait_wheel_.NextTick(), kTimeWaitShift);
  return std::min({next, neighbors_.NextProbe(), host_v6_.NextDeadline()});
}

Duration Engine::OldestCloseWait() const {
  uint32_t oldest = 0;
  for (uint32_t i = 0; i < connections_.touched(); ++i) {
    const Connection& c = connections_[i];
    if (!c.in_use || c.tcb.state != tcp::State::kCloseWait) continue;
    oldest = std::max(oldest, env_.tick - c.tcb.fin_tick());
  }
  return tcp::kTick * oldest;
}

}  // namespace millrace::stack
