// tcp/output_plain.cc - what nearly every visit sends, straight through: one segment with all that
// is buffered and the FIN behind it, or the ACK alone, or nothing, of a connection that has nothing
// in flight and nothing out of the ordinary.
//
// Whatever has a reason against it goes through PollSend in tcp/output.cc, which does the same for
// such a connection (tests/unit/tcp/straight_paths_test.cc runs both on the same connections and
// compares every octet).

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

// Facts and algorithms that send in their own way.
constexpr uint32_t kNotPlain = kRetransmitHead | kProbe | kResetNow | kTimeoutRecovery | kNoPush |
                               kFastOpen | kCork | kKeepaliveDue | kRecord | kSackDue | kEcnOn |
                               kEcnEcho | kDuplicateAckMask;
constexpr unsigned kPlainStates =
    kSendingStates | StateBit(State::kFinWait2) | StateBit(State::kTimeWait);

// What every segment of an established connection says; the caller adds the text.
TxSegment& FillSegment(Tcb& tcb, Env& env, TxSegment& segment, wire::Flags flags) {
  segment.seq = tcb.snd_nxt;
  segment.ack = tcb.rcv_nxt;
  segment.flags = flags;
  segment.options = 0;
  segment.payload_length = 0;
  segment.sack_count = 0;
  segment.ecn = 0;
  if (tcb.Has(kTimestampsOn)) {
    segment.options = wire::kTimestampsOption;
    segment.tsval = env.ts_clock + tcb.ts_offset;
    segment.tsecr = tcb.ts_recent;
  }
  tcb.rcv_adv = NextRightEdge(tcb);
  segment.window = WindowField(tcb.rcv_wnd(), tcb.rcv_window_shift());
  tcb.last_ack_sent = tcb.rcv_nxt;
  tcb.Clear(kAckNow);
  tcb.timers.Stop(Timer::kDelayedAck);
  ++env.counters.out_segs;
  return segment;
}

}  // namespace

PlainSend SendPlainSegment(Tcb& tcb, Env& env, TxSegment& segment) {
  const uint32_t length = tcb.send.size_bytes();
  const uint32_t fin = (tcb.bits & (kFinQueued | kFinAcked)) == kFinQueued ? 1 : 0;
  if (tcb.Has(kNotPlain) || !IsIn(tcb.state, kPlainStates)) return PlainSend::kNotPlain;
  if (tcb.snd_una != tcb.snd_nxt || tcb.rtx_nxt != tcb.snd_nxt) return PlainSend::kNotPlain;
  if (env.config.push_burst_segments != 0) return PlainSend::kNotPlain;
  if (length + fin == 0) {
    if (!tcb.Has(kAckNow)) return PlainSend::kNothing;
    FillSegment(tcb, env, segment, wire::kAck);
    return PlainSend::kSegment;
  }
  if (length > tcb.snd_mss || length + fin > tcb.snd_wnd || length + fin > tcb.congestion.cwnd) {
    return PlainSend::kNotPlain;
  }
  wire::Flags flags = wire::kAck;
  if (length > 0) flags |= wire::kPsh;
  if (fin != 0) {
    flags |= wire::kFin;
    if (tcb.state == State::kCloseWait) Transition(tcb, State::kLastAck);
  }
  FillSegment(tcb, env, segment, flags);
  if (length > 0) {
    segment.payload_length = static_cast<uint16_t>(length);
    segment.payload = tcb.send.At(0, env.send_pool);
  }
  tcb.snd_nxt += length + fin;
  tcb.rtx_nxt = tcb.snd_nxt;
  tcb.progress_tick = env.tick;
  if (!tcb.Has(kRttTiming)) {
    tcb.Set(kRttTiming);
    tcb.rtt_seq = tcb.snd_nxt;
    tcb.rtt_start_us = env.us;
  }
  if (!tcb.timers.IsArmed(Timer::kRetransmit)) ArmRetransmit(tcb, env);
  return PlainSend::kSegment;
}

}  // namespace millrace::tcp
