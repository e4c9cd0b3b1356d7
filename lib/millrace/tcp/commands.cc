// tcp/commands.cc - what the application may ask for (RFC 9293 section 3.9.1), and the end of a
// connection.

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/loss_recovery.h"
#include "millrace/tcp/receive_tuning.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

constexpr unsigned kSendableStates = StateBit(State::kSynSent) | StateBit(State::kSynReceived) |
                                     StateBit(State::kEstablished) | StateBit(State::kCloseWait);

bool MaySend(Tcb& tcb, Env& env) {
  if (!IsIn(tcb.state, kSendableStates)) return false;
  if (tcb.Has(kFinQueued | kResetNow | kWatched)) [[unlikely]] {
    if (tcb.Has(kFinQueued | kResetNow)) return false;
    WatchSend(tcb, env);
  }
  return true;
}

// Send was cut short. Room in the connection's own buffer comes with an ACK; room in the pool
// comes when any connection's data is acknowledged, so a timer has to ask again.
void WantWritable(Tcb& tcb, bool pool_empty, Env& env) {
  tcb.Set(kWritableWanted);
  if (!pool_empty) return;
  ++env.counters.send_memory_full;
  tcb.timers.Set(Timer::kMemory, env.tick + 1 + TicksOf(env.config.send_memory_retry));
}

}  // namespace

const char* ToString(CloseReason reason) {
  switch (reason) {
    case CloseReason::kNormal:
      return "normal";
    case CloseReason::kRefused:
      return "refused";
    case CloseReason::kReset:
      return "reset";
    case CloseReason::kTimedOut:
      return "timed out";
    case CloseReason::kAborted:
      return "aborted";
    case CloseReason::kUnreachable:
      return "unreachable";
  }
  return "?";
}

uint32_t Send(Tcb& tcb, std::span<const std::byte> data, Env& env) {
  if (!MaySend(tcb, env)) return 0;
  const uint32_t sent = tcb.send.AppendCopy(data, env.config.send_buffer_bytes, env.send_pool);
  if (sent < data.size()) {
    WantWritable(tcb, tcb.send.size_bytes() < env.config.send_buffer_bytes, env);
  }
  return sent;
}

namespace {

// Not inlined and called last, so that the path without trouble has no registers to save.
[[gnu::noinline]] bool SendStaticSlowly(Tcb& tcb, std::span<const std::byte> data, Env& env) {
  if (!MaySend(tcb, env)) return false;
  if (tcb.send.AppendStatic(data, env.send_pool)) return true;
  WantWritable(tcb, true, env);
  return false;
}

}  // namespace

bool SendStatic(Tcb& tcb, std::span<const std::byte> data, Env& env) {
  if (IsIn(tcb.state, kSendableStates) && !tcb.Has(kFinQueued | kResetNow | kWatched) &&
      tcb.send.SetPiece(data)) [[likely]] {
    return true;
  }
  return SendStaticSlowly(tcb, data, env);
}

void CloseSend(Tcb& tcb, Env& env) {
  if (tcb.Has(kFinQueued | kResetNow | kWatched)) [[unlikely]] {
    if (tcb.Has(kFinQueued | kResetNow)) return;
    WatchSend(tcb, env);
  }
  switch (tcb.state) {
    case State::kSynSent:
      // RFC 9293 3.10.4: "Delete the TCB and return "error: closing" responses".
      CloseNow(tcb, CloseReason::kAborted, env);
      return;
    case State::kSynReceived:
    case State::kCloseWait:  // LAST-ACK when the FIN goes out
      tcb.Set(kFinQueued);
      return;
    case State::kEstablished:
      tcb.Set(kFinQueued);
      Transition(tcb, State::kFinWait1);  // "In any case, enter FIN-WAIT-1 state."
      return;
    default:
      return;
  }
}

namespace {

// Not inlined and called last, as SendStaticSlowly is.
[[gnu::noinline]] void CloseSlowly(Tcb& tcb, Env& env) {
  if (IsOver(tcb) || tcb.Has(kReceiveClosed | kResetNow)) return;
  if (tcb.receive.ready_bytes() > 0) {
    // RFC 9293 3.6.1 (SHLD-3): "If such a host issues a CLOSE call while received data is still
    // pending in the TCP connection ... its TCP implementation SHOULD send a RST".
    ++env.counters.abort_on_close;
    Abort(tcb, CloseReason::kAborted, env);
    return;
  }
  tcb.Set(kReceiveClosed);
  CloseSend(tcb, env);
  if (tcb.state == State::kFinWait2) ArmOrphan(tcb, env);
}

}  // namespace

void Close(Tcb& tcb, Env& env) {
  // Nearly always nothing is unread and nothing was closed yet: CloseSlowly would do the same.
  const bool established = tcb.state == State::kEstablished;
  if (!(established || tcb.state == State::kCloseWait) || tcb.receive.ready_bytes() > 0 ||
      tcb.Has(kReceiveClosed | kResetNow | kFinQueued | kWatched)) [[unlikely]] {
    return CloseSlowly(tcb, env);
  }
  tcb.Set(kReceiveClosed | kFinQueued);
  if (established) Transition(tcb, State::kFinWait1);  // "In any case, enter FIN-WAIT-1 state."
}

void Abort(Tcb& tcb, CloseReason reason, Env& env) {
  if (IsOver(tcb) || tcb.Has(kResetNow)) return;
  tcb.close_reason = reason;
  constexpr unsigned kWithoutReset =
      StateBit(State::kSynSent) | StateBit(State::kClosing) | StateBit(State::kLastAck);
  if (IsIn(tcb.state, kWithoutReset)) {
    // RFC 9293 3.10.5: no RST before the peer has answered, nor after both sides have closed:
    // "CLOSING STATE, LAST-ACK STATE ... Respond with "ok" and delete the TCB".
    CloseNow(tcb, reason, env);
    return;
  }
  tcb.send.Clear(env.send_pool);
  tcb.receive.Clear(env.receive_pool, env.released);
  tcb.Set(kResetNow);
}

void OfferRoom(Tcb& tcb, Env& env) {
  // A window update of its own only when it is worth a packet: half of the buffer or two
  // segments, and the peer has used up half of what it was offered; or when the window was closed.
  const uint32_t gain = NextRightEdge(tcb).Since(tcb.rcv_adv);
  const uint32_t worth = std::min<uint32_t>(tcb.receive_buffer_bytes / 2, 2u * tcb.snd_mss);
  if (gain >= worth || (gain > 0 && tcb.rcv_wnd() < tcb.snd_mss)) {
    if (tcb.rcv_wnd() <= tcb.receive_buffer_bytes / 2) tcb.Set(kAckNow);
    if (tcb.receive_buffer_bytes < env.config.receive_buffer_max_bytes) TuneReceiveBuffer(tcb, env);
  }
}

void CloseNow(Tcb& tcb, CloseReason reason, Env& env) {
  Transition(tcb, State::kClosed);
  tcb.close_reason = reason;
  // What was queued is flushed with the connection, unless it ends in order. The application
  // hears of an opening in any case, so that every OnClose of an accepted one has its OnOpen.
  const int kept = reason == CloseReason::kNormal ? kEventOpened | kEventReadable | kEventPeerClosed
                                                  : kEventOpened;
  tcb.events = static_cast<uint8_t>((tcb.events & kept) | kEventClosed);
  tcb.Clear(kAckNow | kRetransmitHead | kProbe | kResetNow);
  tcb.timers.armed = 0;
  tcb.send.Clear(env.send_pool);
  if (reason != CloseReason::kNormal) tcb.receive.Clear(env.receive_pool, env.released);
}

void EnterTimeWait(Tcb& tcb) {
  Transition(tcb, State::kTimeWait);
  tcb.close_reason = CloseReason::kNormal;
  tcb.events |= kEventClosed;
  tcb.timers.armed = 0;  // the 2MSL timer belongs to tcp/time_wait.h
}

void ReleaseHeld(Tcb& tcb, Env& env) {
  if (tcb.Has(kRecord)) [[unlikely]]
    GiveRecord(tcb, env);
  tcb.send.Clear(env.send_pool);
  tcb.receive.Clear(env.receive_pool, env.released);
  if (tcb.extra != 0) [[unlikely]]
    GiveExtra(tcb, env);
}

}  // namespace millrace::tcp
