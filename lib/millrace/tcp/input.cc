// tcp/input.cc - RFC 9293 section 3.10.7.4: a segment for a connection that knows its peer.
//
// One function per step of the RFC, in the RFC's order. Everything a peer can do wrong ends in a
// counter, an ACK or nothing. The segments of an exchange without trouble do not come this way
// (tcp/input_plain.cc).

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/ecn.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

using wire::Segment;

// RFC 7323 5.3 R1. False: the segment is dropped.
bool CheckTimestamp(Tcb& tcb, const Segment& segment, Env& env) {
  if (!tcb.Has(kTimestampsOn) || segment.Has(wire::kRst)) return true;
  if (!segment.HasOption(wire::kTimestampsOption)) {
    // A SYN is not judged by it: the peer that has rebooted gets its challenge (RFC 5961 4.2).
    if (segment.Has(wire::kSyn)) return true;
    // RFC 7323 3.2: "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently
    // drop the segment."
    ++env.counters.timestamp_missing;
    return false;
  }
  if (!tcb.Has(kTsRecentValid)) return true;
  if (static_cast<int32_t>(segment.tsval - tcb.ts_recent) >= 0) return true;
  // RFC 7323 5.5: after 24 days of silence TS.Recent says nothing any more.
  constexpr uint32_t kIdleSeconds = 24 * 24 * 3600;
  if (env.seconds - tcb.ts_recent_s > kIdleSeconds) {
    tcb.Clear(kTsRecentValid);
    return true;
  }
  ++env.counters.paws_estab;
  AckUnacceptable(tcb, segment, env);
  return false;
}

// First: check sequence number. False: dropped. *take_text is false for a segment of which only
// ACK, URG and RST count.
bool CheckSequence(Tcb& tcb, const Segment& segment, Env& env, bool* take_text) {
  const uint32_t window = tcb.rcv_wnd();
  if (IsAcceptable(segment.seq, segment.SequenceLength(), tcb.rcv_nxt, window)) [[likely]] {
    return true;
  }
  if (window == 0 && segment.seq == tcb.rcv_nxt) {
    // RFC 9293 3.10.7.4: "If the RCV.WND is zero, no segments will be acceptable, but special
    // allowance should be made to accept valid ACKs, URGs, and RSTs." (MUST-66)
    *take_text = false;
    if (!segment.Has(wire::kRst)) tcb.Set(kAckNow);
    return true;
  }
  ++env.counters.unacceptable;
  if (segment.Has(wire::kRst)) {
    ++env.counters.rst_out_of_window;
  } else {
    // "If an incoming segment is not acceptable, an acknowledgment should be sent in reply"
    AckUnacceptable(tcb, segment, env);
  }
  return false;
}

// RFC 7323 4.3 (2): TS.Recent moves with segments at the left edge only, so that a delayed ACK
// echoes the earliest one.
void UpdateTsRecent(Tcb& tcb, const Segment& segment, const Env& env) {
  if (!tcb.Has(kTimestampsOn) || !segment.HasOption(wire::kTimestampsOption)) return;
  if (segment.seq > tcb.last_ack_sent) return;
  if (tcb.Has(kTsRecentValid) && static_cast<int32_t>(segment.tsval - tcb.ts_recent) < 0) return;
  tcb.ts_recent = segment.tsval;
  tcb.ts_recent_s = env.seconds;
  tcb.Set(kTsRecentValid);
}

// Second: check the RST bit (RFC 5961 section 3.2).
void OnReset(Tcb& tcb, const Segment& segment, Env& env) {
  if (segment.seq != tcb.rcv_nxt) {
    if (!segment.seq.InWindow(tcb.rcv_nxt, tcb.rcv_wnd())) {
      ++env.counters.rst_out_of_window;  // old, though text behind it reaches into the window
      return;
    }
    ++env.counters.challenge_acks;
    AckLimited(tcb, env);
    return;
  }
  ++env.counters.rst_received;
  if (tcb.state == State::kSynReceived) {
    // An active open has its SYN-RECEIVED here: "the connection was refused". And a passive one
    // with Fast Open, which the application knows and may have answered.
    ++env.counters.attempt_fails;
    if (tcb.Has(kPassiveOpen)) env.fast_open_resets.Add(env.tick);
    CloseNow(tcb, tcb.Has(kPassiveOpen) ? CloseReason::kReset : CloseReason::kRefused, env);
  } else if (tcb.state == State::kClosing || tcb.state == State::kLastAck) {
    // "enter the CLOSED state, delete the TCB, and return": both sides were done.
    CloseNow(tcb, CloseReason::kReset, env);
  } else {
    ++env.counters.estab_resets;
    CloseNow(tcb, CloseReason::kReset, env);
  }
}

// Cuts the text to what is new and inside the window.
Text Trim(Tcb& tcb, const Segment& segment, Env& env) {
  Text text{segment.seq, segment.payload, segment.payload_length, segment.Has(wire::kFin)};
  if (text.seq < tcb.rcv_nxt) {
    const uint32_t old = std::min(tcb.rcv_nxt.Since(text.seq), text.length);
    NoteDuplicate(tcb, text.seq, text.seq + old, env);
    text.seq += old;
    text.data += old;
    text.length -= old;
    if (text.seq != tcb.rcv_nxt) text.fin = false;  // the FIN itself is old
  }
  // "Segments with higher beginning sequence numbers SHOULD be held for later processing"; what
  // lies right of the window is cut, a FIN there with it, and so is what follows the peer's FIN.
  SeqNum right = tcb.rcv_adv;
  if (tcb.Has(kFinSeen) && tcb.rcv_fin_seq < right) right = tcb.rcv_fin_seq;
  if (text.seq + text.length > right) {
    text.length = right > text.seq ? right.Since(text.seq) : 0;
    text.fin = false;
  }
  if (text.fin && text.seq + text.length == tcb.rcv_adv) text.fin = false;
  return text;
}

}  // namespace

PayloadFate TakeText(Tcb& tcb, const Segment& segment, const Text& text, Env& env) {
  if (text.length == 0) {
    ++env.counters.rcv_collapsed_trim;
    tcb.Set(kAckNow);
    return PayloadFate::kNotKept;
  }
  if (tcb.Has(kReceiveClosed)) {
    // RFC 9293 3.6.1 (SHLD-3): data for an application that has gone.
    ++env.counters.abort_on_data;
    Abort(tcb, CloseReason::kAborted, env);
    return PayloadFate::kNotKept;
  }
  const bool had_gap = tcb.receive.has_gap();
  const ReceiveQueue::Limits limits{env.config.receive_packets_max,
                                    env.config.reassembly_packets_max};
  const auto outcome = tcb.receive.Offer(text.seq, text.data, text.length, segment.handle, limits,
                                         &tcb.rcv_nxt, env.receive_pool, env.released);
  switch (outcome) {
    case ReceiveQueue::Insert::kAdvanced:
      tcb.events |= kEventReadable;
      ScheduleAck(tcb, had_gap, env);
      return PayloadFate::kKept;
    case ReceiveQueue::Insert::kCopied:
      ++env.counters.rcv_coalesce;
      tcb.events |= kEventReadable;
      ScheduleAck(tcb, had_gap, env);
      return PayloadFate::kNotKept;
    case ReceiveQueue::Insert::kQueued:
      ++env.counters.ofo_queue;
      // RFC 5681 4.2: "A TCP receiver SHOULD send an immediate duplicate ACK when an out-of-order
      // segment arrives", up to three in one burst.
      if ((tcb.bits & kDuplicateAckMask) != kDuplicateAckMask) tcb.bits += kDuplicateAckUnit;
      if (tcb.Has(kSackOn)) tcb.Set(kSackDue);
      return PayloadFate::kKept;
    case ReceiveQueue::Insert::kDuplicate:
      ++env.counters.rcv_collapsed_trim;
      NoteDuplicate(tcb, text.seq, text.seq + text.length, env);
      break;
    case ReceiveQueue::Insert::kFull:
      ++(text.seq == tcb.rcv_nxt ? env.counters.rcv_queue_drop : env.counters.ofo_drop);
      break;
  }
  tcb.Set(kAckNow);
  return PayloadFate::kNotKept;
}

void TakeFin(Tcb& tcb, const Env& env) {
  tcb.rcv_nxt += 1;
  tcb.rcv_fin_seq = SeqNum(env.tick);  // its number is rcv_nxt - 1 from now on
  tcb.Set(kFinReceived | kAckNow);
  tcb.events |= kEventPeerClosed;
  switch (tcb.state) {
    case State::kEstablished:
      Transition(tcb, State::kCloseWait);
      break;
    case State::kFinWait1:
      // An ACK of our FIN in this segment has already moved us to FIN-WAIT-2.
      Transition(tcb, State::kClosing);
      break;
    case State::kFinWait2:
      EnterTimeWait(tcb);
      break;
    default:
      break;
  }
}

namespace {

// A SYN-ACK that crosses ours in a simultaneous open has its SYN where we have it already, so the
// acceptability test would refuse it together with the ACK that we wait for.
bool HasKnownSyn(const Tcb& tcb, const Segment& segment) {
  return tcb.state == State::kSynReceived && segment.Has(wire::kSyn) && segment.Has(wire::kAck) &&
         segment.seq == tcb.irs && segment.ack > tcb.iss && segment.ack <= tcb.snd_nxt;
}

Segment WithoutSyn(Segment segment) {
  segment.seq += 1;
  segment.flags = static_cast<wire::Flags>(segment.flags & ~(wire::kSyn | wire::kUrg));
  return segment;
}

// The eight steps, for a segment of a connection that is not in SYN-SENT and not over.
InputResult ProcessSegment(Tcb& tcb, const Segment& segment, int window_shift, Env& env) {
  InputResult result;
  bool take_text = true;
  if (!CheckTimestamp(tcb, segment, env)) return result;
  if (!CheckSequence(tcb, segment, env, &take_text)) return result;
  constexpr wire::Flags kRare = wire::kRst | wire::kSyn | wire::kUrg | wire::kEce | wire::kCwr;
  const bool rare = segment.Has(kRare) || segment.ecn == wire::kEcnCe;
  if (rare && segment.Has(wire::kRst | wire::kSyn)) [[unlikely]] {
    if (segment.Has(wire::kRst)) {
      OnReset(tcb, segment, env);
    } else {
      // RFC 5961 4.2: "If the SYN bit is set, irrespective of the sequence number, TCP MUST send
      // an ACK (also referred to as challenge ACK)".
      ++env.counters.syn_challenge;
      AckLimited(tcb, env);
    }
    return result;
  }
  const uint32_t window = uint32_t{segment.window} << window_shift;
  const bool goes_on = CheckAck(tcb, segment, window, env, result);
  // Not by a segment that acknowledges what was never sent: whoever guesses a sequence number
  // could have PAWS refuse the peer.
  if (goes_on || IsOver(tcb)) UpdateTsRecent(tcb, segment, env);
  if (!goes_on) return result;
  if (rare) [[unlikely]] {
    if (segment.Has(wire::kUrg)) OnUrgent(tcb, segment, env);
    if (tcb.Has(kEcnOn)) OnEcnSegment(tcb, segment, env);
  }
  if (segment.payload_length == 0 && !segment.Has(wire::kFin)) return result;
  if (!take_text) return result;
  if (!IsIn(tcb.state, kReceivingStates)) {
    // "This should not occur since a FIN has been received from the remote side. Ignore".
    ++env.counters.data_after_fin;
    return result;
  }
  const Text text = Trim(tcb, segment, env);
  if (env.config.reset_from_segment && tcb.Has(kReceiveClosed) && text.length > 0) [[unlikely]] {
    ++env.counters.abort_on_data;
    CloseNow(tcb, CloseReason::kAborted, env);
    result.reply = Reply::kReset;
    return result;
  }
  if (segment.payload_length > 0) result.fate = TakeText(tcb, segment, text, env);
  if (tcb.Has(kResetNow)) return result;
  if (text.fin && !tcb.Has(kFinSeen)) {
    tcb.rcv_fin_seq = text.seq + text.length;
    tcb.Set(kFinSeen | kAckNow);
    // Data behind its own FIN is a lie that could otherwise carry rcv_nxt past the FIN.
    if (tcb.receive.has_gap()) {
      tcb.receive.DropBehind(tcb.rcv_fin_seq, env.receive_pool, env.released);
    }
  }
  if (tcb.Has(kFinSeen)) {
    // A FIN that came early comes again: "A TCP receiver SHOULD send an immediate duplicate ACK
    // when an out-of-order segment arrives" (RFC 5681 4.2), with text or without.
    if (segment.Has(wire::kFin)) tcb.Set(kAckNow);
    if (tcb.rcv_nxt == tcb.rcv_fin_seq) TakeFin(tcb, env);
  }
  return result;
}

InputResult OnKnownPeer(Tcb& tcb, const Segment& segment, Env& env) {
  if (HasKnownSyn(tcb, segment)) [[unlikely]] {
    // RFC 7323 2.2: the window of a SYN-ACK is not scaled.
    return ProcessSegment(tcb, WithoutSyn(segment), 0, env);
  }
  return ProcessSegment(tcb, segment, tcb.snd_window_shift(), env);
}

}  // namespace

InputResult OnSegment(Tcb& tcb, const Segment& segment, Env& env) {
  InputResult result;
  if (TakePlainSegment(tcb, segment, env, result)) [[likely]]
    return result;
  return OnSegmentInSteps(tcb, segment, env);
}

InputResult OnSegmentInSteps(Tcb& tcb, const Segment& segment, Env& env) {
  InputResult result;
  if (tcb.state == State::kSynSent) {
    result.reply = OnSynSentSegment(tcb, segment, env);
    return result;
  }
  if (IsOver(tcb) || tcb.Has(kResetNow | kWatched)) [[unlikely]] {
    if (IsOver(tcb) || tcb.Has(kResetNow)) return result;
    result = OnKnownPeer(tcb, segment, env);
    WatchSegment(tcb, segment, env);
    return result;
  }
  return OnKnownPeer(tcb, segment, env);
}

}  // namespace millrace::tcp
