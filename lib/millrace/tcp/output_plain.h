// tcp/output_plain.h - what nearly every visit sends, straight through: one segment with all that
// is buffered and the FIN behind it, or the ACK alone, or nothing, of a connection that has nothing
// in flight and nothing out of the ordinary.
//
// Whatever has a reason against it goes through PollSend in tcp/output.cc, which does the same for
// such a connection (tests/unit/tcp/straight_paths_test.cc runs both on the same connections and
// compares every octet). A header: as a call of its own, and its segment's frame behind another,
// it took 113 instructions a connection more.
#ifndef MILLRACE_TCP_OUTPUT_PLAIN_H_
#define MILLRACE_TCP_OUTPUT_PLAIN_H_

#include <cstdint>

#include "millrace/base/inline.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {

enum class [[nodiscard]] PlainSend : uint8_t{
    kNotPlain,  // nothing was changed: ask PollSend
    kNothing,   // nothing is due
    kSegment,   // one segment is due: SendPlainSegment
};

// What it carries.
struct PlainDue {
  uint32_t length = 0;  // octets of text: all that is buffered
  uint32_t sent = 0;    // and one more for the FIN
};

// What PollSend would send for the connection that nearly all are. Changes nothing.
MR_ALWAYS_INLINE PlainSend FindPlainDue(const Tcb& tcb, const Env& env, PlainDue& due) {
  // Facts and algorithms that send in their own way.
  constexpr uint32_t kNotPlain = kRetransmitHead | kProbe | kResetNow | kTimeoutRecovery | kNoPush |
                                 kFastOpen | kCork | kKeepaliveDue | kRecord | kSackDue | kEcnOn |
                                 kEcnEcho | kWatched | kDuplicateAckMask;
  const uint32_t bits = tcb.bits;
  if ((bits & kNotPlain) != 0) return PlainSend::kNotPlain;
  if (!IsIn(tcb.state, env.plain_send_states)) {
    return tcb.state == State::kClosed ? PlainSend::kNothing : PlainSend::kNotPlain;
  }
  if (tcb.snd_una != tcb.snd_nxt || tcb.rtx_nxt != tcb.snd_nxt) return PlainSend::kNotPlain;
  const uint32_t fin = (bits & (kFinQueued | kFinAcked)) == kFinQueued ? 1 : 0;
  due.length = tcb.send.size_bytes();
  due.sent = due.length + fin;
  if (due.sent == 0) return (bits & kAckNow) == 0 ? PlainSend::kNothing : PlainSend::kSegment;
  if (due.length > tcb.snd_mss || due.sent > tcb.snd_wnd || due.sent > tcb.congestion.cwnd) {
    return PlainSend::kNotPlain;
  }
  return PlainSend::kSegment;
}

// Sends what FindPlainDue has found: `out` is told each number as soon as it is known, so that it
// can be stored into the frame and forgotten, because all together do not fit the registers. In
// this order, those in brackets where the segment has them:
//   SetNumbers(seq, ack) [SetTimestamps(tsval, tsecr)] SetControl(flags, window)
//   [SetText(cursor, length, pool)]
// `out` knows whether there are timestamps, that is whether the connection has kTimestampsOn.
template <class Out>
MR_ALWAYS_INLINE void SendPlainSegment(Tcb& tcb, Env& env, PlainDue due, Out& out) {
  MR_DCHECK(out.HasTimestamps() == tcb.Has(kTimestampsOn));
  const SeqNum ack = tcb.rcv_nxt;
  out.SetNumbers(tcb.snd_nxt, ack);
  tcb.last_ack_sent = ack;
  if (out.HasTimestamps()) out.SetTimestamps(env.ts_clock + tcb.ts_offset, tcb.ts_recent);
  const uint32_t fin = due.sent - due.length;
  static_assert(wire::kFin == 1);
  out.SetControl(wire::kAck | fin | (due.length > 0 ? wire::kPsh : 0u), OfferWindow(tcb));
  tcb.Clear(kAckNow);
  tcb.timers.Stop(Timer::kDelayedAck);
  ++env.counters.out_segs;
  if (due.sent == 0) return;
  if (due.length > 0) out.SetText(tcb.send.At(0, env.send_pool), due.length, env.send_pool);
  if (fin != 0 && tcb.state == State::kCloseWait) Transition(tcb, State::kLastAck);
  tcb.snd_nxt += due.sent;
  tcb.rtx_nxt = tcb.snd_nxt;
  tcb.progress_tick = env.tick;
  if (!tcb.Has(kRttTiming)) {
    tcb.Set(kRttTiming);
    tcb.rtt_seq = tcb.snd_nxt;
    tcb.rtt_start_us = env.us;
  }
  if (!tcb.timers.IsArmed(Timer::kRetransmit)) ArmRetransmit(tcb, env);
}

// An `out` for SendPlainSegment: the segment as numbers.
class PlainFields {
 public:
  PlainFields(const Tcb& tcb, TxFields& fields)
      : has_timestamps_(tcb.Has(kTimestampsOn)), fields_(fields) {
    fields_ = TxFields();
  }
  bool HasTimestamps() const { return has_timestamps_; }
  void SetNumbers(SeqNum seq, SeqNum ack) {
    fields_.seq = seq;
    fields_.ack = ack;
  }
  void SetTimestamps(uint32_t tsval, uint32_t tsecr) {
    fields_.options = wire::kTimestampsOption;
    fields_.tsval = tsval;
    fields_.tsecr = tsecr;
  }
  void SetControl(uint32_t flags, uint16_t window) {
    fields_.flags = static_cast<wire::Flags>(flags);
    fields_.window = window;
  }
  void SetText(SendCursor text, uint32_t length, const SendPool& /*pool*/) {
    fields_.payload = text;
    fields_.payload_length = static_cast<uint16_t>(length);
  }

 private:
  bool has_timestamps_;
  TxFields& fields_;
};

// PollSend for a connection that OpenActive has just made, when its SYN is all that is due: false,
// and nothing has changed, when it is not, or when more is asked for with it.
MR_ALWAYS_INLINE bool SendFirstSyn(Tcb& tcb, Env& env, TxFields& segment) {
  constexpr uint32_t kMore =
      kResetNow | kKeepaliveDue | kFastOpen | kEcnOn | kAckNow | kDuplicateAckMask;
  if (tcb.state != State::kSynSent || tcb.snd_nxt != tcb.iss) return false;
  if (tcb.Has(kMore) || tcb.extra != 0) return false;
  segment = TxFields();
  segment.options = static_cast<wire::OptionBits>(wire::kMssOption | (tcb.bits & kNegotiated));
  segment.seq = tcb.iss;
  segment.flags = wire::kSyn;
  segment.window = env.syn_window;
  segment.mss = env.config.mss;
  segment.window_scale = env.window_shift;
  segment.tsval = env.ts_clock + tcb.ts_offset;
  segment.tsecr = 0;
  ++env.counters.out_segs;
  tcb.Set(kRttTiming);
  tcb.rtt_start_us = env.us;
  tcb.snd_nxt = tcb.rtx_nxt = tcb.iss + 1;
  tcb.timers.Set(Timer::kRetransmit, env.rto_initial_tick);
  return true;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_OUTPUT_PLAIN_H_
