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
    kSegment,   // `segment` is all that is due
};

// PollSend for the connection that nearly all are.
MR_ALWAYS_INLINE PlainSend SendPlainSegment(Tcb& tcb, Env& env, TxFields& segment) {
  // Facts and algorithms that send in their own way.
  constexpr uint32_t kNotPlain = kRetransmitHead | kProbe | kResetNow | kTimeoutRecovery | kNoPush |
                                 kFastOpen | kCork | kKeepaliveDue | kRecord | kSackDue | kEcnOn |
                                 kEcnEcho | kWatched | kDuplicateAckMask;
  constexpr unsigned kPlainStates =
      kSendingStates | StateBit(State::kFinWait2) | StateBit(State::kTimeWait);
  const uint32_t bits = tcb.bits;
  if ((bits & kNotPlain) != 0) return PlainSend::kNotPlain;
  if (!IsIn(tcb.state, kPlainStates)) {
    return tcb.state == State::kClosed ? PlainSend::kNothing : PlainSend::kNotPlain;
  }
  if (tcb.snd_una != tcb.snd_nxt || tcb.rtx_nxt != tcb.snd_nxt) return PlainSend::kNotPlain;
  if (env.config.push_burst_segments != 0) return PlainSend::kNotPlain;
  const uint32_t length = tcb.send.size_bytes();
  const uint32_t fin = (bits & (kFinQueued | kFinAcked)) == kFinQueued ? wire::kFin : 0;  // 1 or 0
  const uint32_t sent = length + fin;
  if (sent == 0) {
    if ((bits & kAckNow) == 0) return PlainSend::kNothing;
  } else if (length > tcb.snd_mss || sent > tcb.snd_wnd || sent > tcb.congestion.cwnd) {
    return PlainSend::kNotPlain;
  }
  segment = TxFields();
  segment.seq = tcb.snd_nxt;
  segment.ack = tcb.rcv_nxt;
  segment.flags = static_cast<wire::Flags>(wire::kAck | fin | (length > 0 ? wire::kPsh : 0));
  segment.payload_length = static_cast<uint16_t>(length);
  if ((bits & kTimestampsOn) != 0) [[likely]] {
    segment.options = wire::kTimestampsOption;
    segment.tsval = env.ts_clock + tcb.ts_offset;
    segment.tsecr = tcb.ts_recent;
  }
  segment.window = OfferWindow(tcb);
  tcb.last_ack_sent = tcb.rcv_nxt;
  tcb.bits = bits & ~uint32_t{kAckNow};
  tcb.timers.Stop(Timer::kDelayedAck);
  ++env.counters.out_segs;
  if (sent == 0) return PlainSend::kSegment;
  if (length > 0) segment.payload = tcb.send.At(0, env.send_pool);
  if (fin != 0 && tcb.state == State::kCloseWait) Transition(tcb, State::kLastAck);
  tcb.snd_nxt += sent;
  tcb.rtx_nxt = tcb.snd_nxt;
  tcb.progress_tick = env.tick;
  if ((bits & kRttTiming) == 0) {
    tcb.bits |= kRttTiming;
    tcb.rtt_seq = tcb.snd_nxt;
    tcb.rtt_start_us = env.us;
  }
  if (!tcb.timers.IsArmed(Timer::kRetransmit)) ArmRetransmit(tcb, env);
  return PlainSend::kSegment;
}

// PollSend for a connection that OpenActive has just made, when its SYN is all that is due: false,
// and nothing has changed, when it is not, or when more is asked for with it.
MR_ALWAYS_INLINE bool SendFirstSyn(Tcb& tcb, Env& env, TxFields& segment) {
  constexpr uint32_t kMore =
      kResetNow | kKeepaliveDue | kFastOpen | kEcnOn | kAckNow | kDuplicateAckMask;
  if (tcb.state != State::kSynSent || tcb.snd_nxt != tcb.iss) return false;
  if (tcb.Has(kMore) || tcb.extra != 0) return false;
  // What OpenActive has set, bit by bit as the options are numbered.
  static_assert(kTimestampsOn << 3 == wire::kTimestampsOption);
  static_assert(uint32_t{kWindowScalingOn} == wire::kWindowScaleOption);
  static_assert(uint32_t{kSackOn} == wire::kSackPermittedOption);
  segment = TxFields();
  segment.options =
      static_cast<wire::OptionBits>(wire::kMssOption | (tcb.bits & (kWindowScalingOn | kSackOn)) |
                                    (tcb.bits & kTimestampsOn) << 3);
  segment.seq = tcb.iss;
  segment.flags = wire::kSyn;
  segment.window = WindowField(tcb.receive_buffer_bytes, 0);  // never scaled in a SYN
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
