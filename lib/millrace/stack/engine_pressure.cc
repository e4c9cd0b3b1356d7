// stack/engine_pressure.cc - there is hardly any room left for connections, or for what they have
// to send: those whose peers take nothing make room, the one that has been stuck for longest first.
//
// RFC 9293 3.8.6.1 keeps a connection open as long as its peer answers probes of a closed window;
// RFC 6429 says that this does not forbid to end it for want of resources. Who opens as many as
// there is room for would otherwise keep everybody else out (sockstress, CERT VU#723308). A peer
// that takes an octet now and then is not stuck: what it may hold is the application's to limit.

#include <algorithm>

#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"

namespace millrace::stack {
namespace {

// Time-outs or probes in a row without progress: 1.4 s at least. A peer that is merely slow or far
// away does not come to so many.
constexpr uint8_t kStuckMin = 3;

// How long a connection has been stuck, as the number of its time-outs, each of which comes later
// than the one before; 0: it is not.
uint8_t StuckFor(const Connection& c) {
  const tcp::Tcb& tcb = c.tcb;
  const bool stuck = c.in_use() && tcp::IsSynchronized(tcb.state) && !tcb.Has(tcp::kResetNow) &&
                     tcb.backoff >= kStuckMin;
  return stuck ? tcb.backoff : uint8_t{0};
}

template <class T>
bool IsScarce(const Slab<T>& slab) {
  return slab.free() < std::max(slab.capacity() / 64, 1u);
}

}  // namespace

bool Engine::IsCrowded() const {
  return IsScarce(connections_) || IsScarce(env_.send_pool.chunks) ||
         IsScarce(env_.send_pool.extents);
}

// A walk over the table finds how long the worst has been stuck, and the next one ends those that
// have been so for as long, so that nobody keeps a list of what hardly ever happens. A slice of it
// each millisecond: 256,000 connections a second.
void Engine::RelievePressure() {
  constexpr uint32_t kSlice = 256;
  constexpr uint32_t kEndedMax = 64;  // in a slice: their resets go out in one burst
  Pressure& p = pressure_;
  if (!IsCrowded()) {
    p = Pressure();
    return;
  }
  const uint32_t end = std::min(p.cursor + kSlice, connections_.touched());
  uint32_t room = std::clamp(connections_.capacity() / 64, 1u, kEndedMax);
  for (; p.cursor < end && room > 0; ++p.cursor) {
    Connection& c = connections_[p.cursor];
    const uint8_t stuck_for = StuckFor(c);
    if (stuck_for < p.threshold) {
      p.worst = std::max(p.worst, stuck_for);
      continue;
    }
    --room;
    ++env_.counters.abort_on_memory;
    tcp::Abort(c.tcb, tcp::CloseReason::kTimedOut, env_);
    MarkDirty(c);
  }
  if (p.cursor < connections_.touched()) return;
  // A threshold of 0 would be everybody.
  p = {.threshold = p.worst == 0 ? Pressure::kNobody : p.worst};
}

}  // namespace millrace::stack
