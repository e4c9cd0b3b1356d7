#include "millrace/tcp/half_open.h"

#include <algorithm>

#include "millrace/tcp/internal.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

using wire::Segment;

// Of either kind: n answers need n times Config::challenge_ack_interval since the last SYN-ACK, and
// there are kAnswersMax until the next. sent_us itself stays: it says when the entry times out,
// which nobody on the network may put off.
bool MayAnswer(HalfOpen& half_open, Env& env) {
  const int64_t wait_us = env.config.challenge_ack_interval.us() * (half_open.answers + 1);
  if (env.us - half_open.sent_us < wait_us || half_open.answers == HalfOpen::kAnswersMax) {
    ++env.counters.challenge_acks_skipped;
    return false;
  }
  half_open.answers = (half_open.answers + 1) & HalfOpen::kAnswersMax;
  return true;
}

// RFC 7323 has nothing against a segment that is no SYN.
bool HasPlainOptions(const HalfOpen& h, const Segment& segment) {
  return (h.options & wire::kTimestampsOption) == 0 ||
         (segment.HasOption(wire::kTimestampsOption) &&
          static_cast<int32_t>(segment.tsval - h.ts_recent) >= 0);
}

// What nearly all send: the next in sequence, which acknowledges our SYN. (35 instructions less
// than step by step.)
bool Completes(const HalfOpen& h, const Segment& segment, const Env& env) {
  constexpr wire::Flags kTold = wire::kSyn | wire::kRst | wire::kAck;
  return (segment.flags & kTold) == wire::kAck && segment.seq == h.irs + 1 &&
         segment.ack == h.iss + 1 && HasPlainOptions(h, segment) &&
         env.fresh.receive_buffer_bytes != 0;
}

}  // namespace

TxSegment ChallengeAckOf(const HalfOpen& h, const Env& env) {
  TxSegment segment = SynAckOf(h, env);
  segment.seq = h.iss + 1;
  segment.flags = wire::kAck;
  segment.options &= wire::kTimestampsOption;
  return segment;
}

HalfOpenVerdict OnHalfOpenSegment(HalfOpen& h, const Segment& segment, Env& env) {
  if (Completes(h, segment, env)) [[likely]]
    return HalfOpenVerdict::kEstablish;
  const bool is_syn = segment.Has(wire::kSyn);
  const SeqNum rcv_nxt = h.irs + 1;
  if (is_syn && segment.seq == h.irs && !segment.Has(wire::kAck | wire::kRst)) {
    // The peer's SYN again: our SYN-ACK was lost.
    return MayAnswer(h, env) ? HalfOpenVerdict::kSendSynAck : HalfOpenVerdict::kDrop;
  }
  if ((h.options & wire::kTimestampsOption) != 0 && !segment.Has(wire::kRst) && !is_syn) {
    if (!segment.HasOption(wire::kTimestampsOption)) {
      ++env.counters.timestamp_missing;
      return HalfOpenVerdict::kDrop;
    }
    if (static_cast<int32_t>(segment.tsval - h.ts_recent) < 0) {
      ++env.counters.paws_estab;
      return MayAnswer(h, env) ? HalfOpenVerdict::kSendAck : HalfOpenVerdict::kDrop;
    }
  }
  if (!IsAcceptable(segment.seq, segment.SequenceLength(), rcv_nxt, env.syn_window)) {
    ++env.counters.unacceptable;
    if (segment.Has(wire::kRst)) {
      ++env.counters.rst_out_of_window;
      return HalfOpenVerdict::kDrop;
    }
    return MayAnswer(h, env) ? HalfOpenVerdict::kSendAck : HalfOpenVerdict::kDrop;
  }
  if (segment.Has(wire::kRst)) {
    if (segment.seq == rcv_nxt) {
      // "If this connection was initiated with a passive OPEN ... then return this connection to
      // LISTEN state and return. The user need not be informed."
      ++env.counters.rst_received;
      ++env.counters.attempt_fails;
      return HalfOpenVerdict::kRemove;
    }
    ++env.counters.challenge_acks;
    return MayAnswer(h, env) ? HalfOpenVerdict::kSendAck : HalfOpenVerdict::kDrop;
  }
  if (is_syn) {
    // Departs from RFC 9293 3.10.7.4 ("return to the LISTEN state"), which would let anybody end
    // an opening connection blindly: a challenge ACK, as in the synchronized states (RFC 5961).
    ++env.counters.syn_challenge;
    return MayAnswer(h, env) ? HalfOpenVerdict::kSendAck : HalfOpenVerdict::kDrop;
  }
  if (!segment.Has(wire::kAck)) {
    ++env.counters.ack_missing;
    return HalfOpenVerdict::kDrop;
  }
  if (segment.ack != h.iss + 1) {
    ++env.counters.ack_invalid;
    return HalfOpenVerdict::kSendReset;
  }
  return HalfOpenVerdict::kEstablish;
}

bool OnHalfOpenTimeout(HalfOpen& h, bool crowded, Env& env) {
  const int most = std::min<int>(env.config.syn_ack_retransmits_max, HalfOpen::kRetransmitsMax);
  if (h.retransmits >= (crowded ? std::min(most, 1) : most)) {
    ++env.counters.syn_ack_timeouts;
    ++env.counters.attempt_fails;
    return false;
  }
  h.retransmits = static_cast<uint8_t>(h.retransmits + 1) & 0x0F;
  h.sent_us = env.us;
  h.answers = 0;
  ++env.counters.retrans_segs;
  return true;
}

void Establish(Tcb& tcb, const HalfOpen& h, Env& env) {
  InitTcb(tcb, h.iss, h.ts_offset, env);
  tcb.state = State::kSynReceived;
  tcb.irs = h.irs;
  tcb.rcv_nxt = tcb.last_ack_sent = h.irs + 1;
  tcb.rcv_adv = tcb.rcv_nxt + env.syn_window;
  tcb.snd_nxt = tcb.rtx_nxt = h.iss + 1;
  uint32_t bits = env.fresh.bits | kPassiveOpen | (h.options & kNegotiated);
  if (h.ecn) bits |= kEcnOn;
  if ((bits & kTimestampsOn) != 0) {
    bits |= kTsRecentValid;
    tcb.ts_recent = h.ts_recent;
    tcb.ts_recent_s = env.seconds;
  }
  if ((bits & kWindowScalingOn) != 0) {
    tcb.window_scales = static_cast<uint8_t>(env.window_shift << 4 | h.peer_window_scale);
  } else {
    tcb.receive_buffer_bytes = env.syn_window;
  }
  tcb.snd_mss = EffectiveMss(h.peer_mss, env.config.mss, (bits & kTimestampsOn) != 0, env.config);
  if (h.retransmits > 0) {
    bits |= kSynRetransmitted;
  } else if (h.answers == 0) {  // of the only SYN-ACK (MUST-18)
    bits |= kRttTiming;
    tcb.rtt_start_us = h.sent_us;
  }
  tcb.bits = bits;
  ++env.counters.passive_opens;
}

}  // namespace millrace::tcp
