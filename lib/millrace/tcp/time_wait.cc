#include "millrace/tcp/time_wait.h"

#include "millrace/tcp/half_open.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

using wire::Segment;

TimeWaitVerdict AnswerLimited(TimeWait& t, Env& env) {
  if (t.replied && env.tick - t.reply_tick < env.challenge_ticks) {
    ++env.counters.time_wait_acks_skipped;
    return TimeWaitVerdict::kDrop;
  }
  t.replied = true;
  t.reply_tick = env.tick;
  return TimeWaitVerdict::kSendAck;
}

// RFC 6191 section 2: may this SYN begin a new incarnation? rcv_nxt - 1 is the last sequence
// number seen.
bool IsNewIncarnation(const TimeWait& t, const Segment& syn, const Config& config) {
  const bool later_seq = syn.seq >= t.rcv_nxt;
  // "If TCP Timestamps would not be enabled for the new incarnation": offered and agreed to.
  if (!config.timestamps || !syn.HasOption(wire::kTimestampsOption)) return later_seq;
  if (!t.timestamps) return true;
  const int32_t age = static_cast<int32_t>(syn.tsval - t.ts_recent);
  return age > 0 || (age == 0 && later_seq);
}

}  // namespace

TimeWaitVerdict OnTimeWaitSegment(TimeWait& t, const Segment& segment, Env& env) {
  if (segment.Has(wire::kRst)) {
    // RFC 1337 section 3, fix (F1): "Ignore RST segments in TIME-WAIT state."
    if (env.config.time_wait_honours_rst && segment.seq == t.rcv_nxt) {
      return TimeWaitVerdict::kRemove;
    }
    ++env.counters.time_wait_rst_ignored;
    return TimeWaitVerdict::kDrop;
  }
  if (IsOpeningSyn(segment)) {
    return IsNewIncarnation(t, segment, env.config) ? TimeWaitVerdict::kAcceptSyn
                                                    : AnswerLimited(t, env);
  }
  // RFC 9293 3.10.7.4: "The only thing that can arrive in this state is a retransmission of the
  // remote FIN. Acknowledge it, and restart the 2 MSL timeout."
  if (segment.Has(wire::kFin) && segment.seq + segment.SequenceLength() == t.rcv_nxt) {
    return TimeWaitVerdict::kRestart;
  }
  // A bare ACK in place needs no answer: two ends in TIME-WAIT would answer each other for ever.
  if (segment.SequenceLength() == 0 && segment.seq == t.rcv_nxt) return TimeWaitVerdict::kDrop;
  return AnswerLimited(t, env);
}

TxSegment AckOf(const TimeWait& t, uint32_t ts_offset, const Env& env) {
  TxSegment segment;
  segment.seq = t.snd_nxt;
  segment.ack = t.rcv_nxt;
  segment.flags = wire::kAck;
  segment.window = t.window;
  if (t.timestamps) {
    segment.options = wire::kTimestampsOption;
    segment.tsval = env.ts_clock + ts_offset;
    segment.tsecr = t.ts_recent;
  }
  return segment;
}

}  // namespace millrace::tcp
