// tcp/input_plain.cc - the segment that nearly all are, straight through: the next one in sequence,
// inside the window, acknowledging what is acceptable, with the options that were agreed on, for a
// connection in which nothing is lost, reordered or out of the ordinary.
//
// Whatever has a reason against it goes through the eight steps of RFC 9293 section 3.10.7.4 in
// tcp/input.cc. For a plain segment those steps would find nothing to object to, and only what they
// do is done here, in the same order. The reasons are branches that are never taken and so cost one
// instruction each; OR-ed into one condition they cost two to three (measured: +260 a connection).
// tests/unit/tcp/straight_paths_test.cc runs both on the same connections and compares every octet.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "millrace/base/check.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

using wire::Segment;

// States and algorithms that look at segments in their own way.
constexpr uint32_t kNotPlain = kFastRecovery | kTimeoutRecovery | kRecoverValid | kRecord |
                               kResetNow | kWatched | kEcnOn | kRetransmitHead | kProbe;
constexpr unsigned kPlainStates = StateBit(State::kSynReceived) | StateBit(State::kEstablished) |
                                  StateBit(State::kFinWait1) | StateBit(State::kFinWait2) |
                                  StateBit(State::kCloseWait) | StateBit(State::kClosing) |
                                  StateBit(State::kLastAck);

// RFC 7323 has nothing against the segment.
bool HasPlainOptions(const Tcb& tcb, const Segment& segment) {
  constexpr uint32_t kBoth = kTimestampsOn | kTsRecentValid;
  if (segment.options != wire::kTimestampsOption) {
    return segment.options == 0 && !tcb.Has(kTimestampsOn);
  }
  return (tcb.bits & kBoth) == kBoth && static_cast<int32_t>(segment.tsval - tcb.ts_recent) >= 0;
}

// duplicate_acks, backoff and timeouts are 0.
bool HasNoTrouble(const Tcb& tcb) {
  static_assert(offsetof(Tcb, duplicate_acks) + sizeof(uint16_t) == offsetof(Tcb, snd_wl1));
  uint16_t both;
  std::memcpy(&both, reinterpret_cast<const std::byte*>(&tcb) + offsetof(Tcb, duplicate_acks),
              sizeof both);
  return both == 0;
}

bool IsPlain(const Tcb& tcb, const Segment& segment) {
  constexpr uint32_t kAnyway = wire::kPsh | wire::kFin;
  const uint32_t acked = segment.ack.Since(tcb.snd_una);
  if (tcb.Has(kNotPlain) || !IsIn(tcb.state, kPlainStates)) return false;
  if ((segment.flags & ~kAnyway) != wire::kAck || !HasPlainOptions(tcb, segment)) return false;
  const uint32_t length = segment.payload_length + (segment.flags & wire::kFin);  // SEG.LEN
  if (segment.seq != tcb.rcv_nxt || length > tcb.rcv_wnd() || tcb.receive.has_gap()) return false;
  if (acked > tcb.flight() || segment.window == 0) return false;
  if (tcb.snd_wnd == 0 && tcb.state != State::kSynReceived) return false;
  if (!HasNoTrouble(tcb)) return false;
  if (length == 0) {
    if (acked == 0) return false;  // a duplicate ACK or a window update
  } else if (tcb.Has(kFinSeen | kReceiveClosed)) {
    if (tcb.Has(kFinSeen) || segment.payload_length != 0) return false;
  }
  return tcb.state != State::kSynReceived || acked != 0;
}

// OnNewAck for an acknowledgment of all that was sent.
void OnAckOfAll(Tcb& tcb, Env& env) {
  const uint32_t flight = tcb.flight();
  if (tcb.Has(kRttTiming)) {
    tcb.Clear(kRttTiming);
    tcb.rtt.OnSample(env.us - tcb.rtt_start_us);
  }
  // All that is buffered, at most, and behind it our FIN.
  const uint32_t buffered = tcb.send.size_bytes();
  const bool fin_acked = flight > buffered;
  MR_DCHECK(!fin_acked ||
            (flight == buffered + 1 && (tcb.bits & (kFinQueued | kFinAcked)) == kFinQueued));
  tcb.send.Consume(std::min(flight, buffered), env.send_pool);
  if (fin_acked) tcb.Set(kFinAcked);
  NoteArrived(tcb, flight);
  tcb.snd_una = tcb.rtx_nxt = tcb.snd_nxt;
  tcb.progress_tick = env.tick;
  if (tcb.Has(kWritableWanted)) OnRoomToSend(tcb, env);
  tcb.congestion.OnAck(flight, flight, tcb.snd_mss, env.config);
  tcb.timers.Stop(Timer::kRetransmit);
}

// TakeText for the next octets in sequence, with room for their packet.
PayloadFate TakePlainText(Tcb& tcb, const Segment& segment, Env& env) {
  if (!tcb.receive.AppendNext(segment.seq, segment.payload, segment.payload_length, segment.handle,
                              env.config.receive_packets_max, env.receive_pool)) [[unlikely]] {
    return TakeText(tcb, segment,
                    {segment.seq, segment.payload, segment.payload_length, segment.Has(wire::kFin)},
                    env);
  }
  tcb.rcv_nxt += segment.payload_length;
  tcb.events |= kEventReadable;
  ScheduleAck(tcb, false, env);
  return PayloadFate::kKept;
}

}  // namespace

bool TakePlainSegment(Tcb& tcb, const Segment& segment, Env& env, InputResult& result) {
  if (!IsPlain(tcb, segment)) [[unlikely]]
    return false;
  if (tcb.Has(kTimestampsOn) && segment.seq <= tcb.last_ack_sent) {
    tcb.ts_recent = segment.tsval;
    tcb.ts_recent_s = env.seconds;
  }
  const uint32_t window = uint32_t{segment.window} << tcb.snd_window_shift();
  if (tcb.state == State::kSynReceived) EnterEstablished(tcb, segment, window, env);
  if (segment.ack != tcb.snd_una) {
    if (segment.ack == tcb.snd_nxt) [[likely]] {
      OnAckOfAll(tcb, env);
    } else {
      OnNewAck(tcb, segment, env);
    }
  }
  UpdateSendWindow(tcb, segment, window, env);
  if (tcb.Has(kFinAcked) && AfterFinAcked(tcb, env)) return true;
  if (segment.payload_length > 0) result.fate = TakePlainText(tcb, segment, env);
  if (segment.Has(wire::kFin)) {
    tcb.rcv_fin_seq = segment.seq + segment.payload_length;
    tcb.Set(kFinSeen | kAckNow);
    if (tcb.rcv_nxt == tcb.rcv_fin_seq) TakeFin(tcb, env);  // not when there was no room for text
  }
  return true;
}

}  // namespace millrace::tcp
