// stack/engine_timers.cc - what becomes due: the wheel of connections and the queues of half-open
// ones and TIME-WAITs, and when the next of it will.

#include <algorithm>
#include <array>
#include <optional>

#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"

namespace millrace::stack {

void Engine::RunTimers() {
  connection_wheel_.Advance(connections_, env_.tick, kTimerWorkMax, [this](uint32_t index) {
    Connection& c = connections_[index];
    if (!c.in_use() || c.tcb.timers.armed == 0) return;  // of an earlier user of the slot
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
  const auto half_open_due = [this](uint32_t index) {
    HalfOpen& h = half_opens_[index];
    const bool crowded = env_.now < listeners_[h.listener].cookies_until;
    if (!tcp::OnHalfOpenTimeout(h.tcp, crowded, env_)) {
      FreeHalfOpen(index);
      return;
    }
    half_open_queue_.Append(half_opens_, index);
    Reply(h.key, h.neighbor, tcp::SynAckOf(h.tcp, env_));
  };
  half_open_queue_.Advance(half_opens_, env_.config, env_.us, kTimerWorkMax, half_open_due);
  ExpireTimeWaits();
}

// The buckets of those that expire are in no cache: a batch of them is prefetched before the first
// is erased (bench/results/tried.md).
void Engine::ExpireTimeWaits() {
  std::array<uint32_t, kExpiryBatch> due;
  size_t count = 0;
  const auto remove_all = [&] {
    env_.counters.time_wait_expired += count;
    for (size_t i = 0; i < count; ++i) FreeTimeWait(due[i]);
    count = 0;
  };
  time_wait_queue_.Advance(time_waits_, time_wait_tick(), kTimerWorkMax, [&](uint32_t index) {
    PrefetchTimeWait(time_waits_[index]);
    due[count++] = index;
    if (count == kExpiryBatch) remove_all();
  });
  remove_all();
}

// There is no room: those nearest to their end go early, so that closing never fails. A batch, for
// the same reason as above: one by one they were a fifth of the exchange. Of a small pool only one,
// because none should go that need not.
void Engine::EvictTimeWaits() {
  std::array<uint32_t, kExpiryBatch> evicted;
  const size_t wanted = std::clamp<size_t>(time_waits_.capacity() / 1024, 1, kExpiryBatch);
  size_t count = 0;
  while (count < wanted && time_wait_queue_.size() > 0) {
    const uint32_t index = evicted[count++] = time_wait_queue_.Earliest();
    time_wait_queue_.Remove(time_waits_, index);
    time_wait_queue_.PrefetchSecond(time_waits_);
    PrefetchTimeWait(time_waits_[index]);
  }
  for (size_t i = 0; i < count; ++i) FreeTimeWait(evicted[i]);
  env_.counters.time_wait_evicted += std::max<size_t>(count, 1);
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
  consider(time_wait_queue_.NextTick(), kTimeWaitShift);
  if (const auto in_us = half_open_queue_.NextInUs(half_opens_, env_.config, env_.us)) {
    next = std::min(next, Instant::FromNanoseconds((env_.now.ns() / 1000 + *in_us) * 1000));
  }
  return std::min({next, neighbors_.NextProbe(), host_v6_.NextDeadline()});
}

Duration Engine::CloseWaitAge(const Connection& connection) const {
  return tcp::kTick * (env_.tick - connection.tcb.fin_tick());
}

}  // namespace millrace::stack
