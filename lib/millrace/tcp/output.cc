// tcp/output.cc - the only place that builds segments: turns the facts that input, timers and the
// application left into what goes out (RFC 9293 sections 3.7 and 3.8).

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/ecn.h"
#include "millrace/tcp/fast_open.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/loss_recovery.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

using wire::Flags;

// Header values that every segment of a synchronized connection shares; carries the ACK.
void FillSegment(Tcb& tcb, Env& env, TxSegment& segment, SeqNum seq, Flags flags) {
  segment.seq = seq;
  segment.ack = tcb.rcv_nxt;
  segment.flags = flags;
  segment.options = 0;
  segment.payload_length = 0;
  segment.sack_count = 0;
  segment.traffic_class = 0;
  if (tcb.Has(kEcnEcho)) [[unlikely]]
    AddEcho(tcb, env, segment);
  if (tcb.Has(kTimestampsOn)) {
    // RFC 7323 3.2: "Once TSopt has been successfully negotiated ... the TSopt MUST be sent in
    // every non-<RST> segment".
    segment.options = wire::kTimestampsOption;
    segment.tsval = env.ts_clock + tcb.ts_offset;
    segment.tsecr = tcb.ts_recent;
  }
  if ((flags & wire::kSyn) == 0) {
    segment.window = OfferWindow(tcb);
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.Clear(kAckNow);
    tcb.timers.Stop(Timer::kDelayedAck);
  }
  ++env.counters.out_segs;
}

TxSegment& AddSegment(Tcb& tcb, Env& env, Outbox& out, SeqNum seq, Flags flags) {
  TxSegment& segment = out.Add();
  FillSegment(tcb, env, segment, seq, flags);
  return segment;
}

// SYN of an active open, SYN-ACK of a simultaneous one.
void FillSyn(Tcb& tcb, Env& env, TxSegment& segment) {
  const bool with_ack = tcb.state == State::kSynReceived;
  Flags flags = with_ack ? wire::kSyn | wire::kAck : wire::kSyn;
  if (tcb.Has(kEcnOn)) flags |= with_ack ? wire::kEce : wire::kEce | wire::kCwr;
  FillSegment(tcb, env, segment, tcb.iss, flags);
  if (!with_ack) {
    segment.ack = SeqNum();
    segment.tsecr = 0;
  } else {
    tcb.Clear(kAckNow);
    tcb.last_ack_sent = tcb.rcv_nxt;
  }
  segment.window = env.syn_window;
  segment.options |= wire::kMssOption;
  segment.mss = env.config.mss;
  if (tcb.Has(kWindowScalingOn)) {
    segment.options |= wire::kWindowScaleOption;
    segment.window_scale = env.window_shift;
  }
  if (tcb.Has(kSackOn)) segment.options |= wire::kSackPermittedOption;
  if (tcb.snd_nxt == tcb.iss) {
    tcb.Set(kRttTiming);
    tcb.rtt_start_us = env.us;
  }
  tcb.snd_nxt = Max(tcb.snd_nxt, tcb.iss + 1);
  tcb.rtx_nxt = tcb.iss + 1;
  if (tcb.Has(kFastOpen) && !with_ack) [[unlikely]]
    AddFastOpen(tcb, segment, env);
  ArmRetransmit(tcb, env);
}

// True when a segment of `length` of `pending` octets, less than the effective MSS, may go now:
// Nagle (RFC 9293 3.7.4, SHLD-7) and the sender's SWS avoidance (3.8.6.2.1, MUST-38).
bool MaySendSmall(const Tcb& tcb, const Env& env, uint32_t length, uint32_t pending, bool fin) {
  if (tcb.rtx_nxt < tcb.snd_nxt) return true;  // a retransmission repeats what went before
  if (fin) return true;                        // nothing will ever be added to it
  if (tcb.Has(kCork | kFastOpen)) [[unlikely]] {
    return !tcb.Has(kCork);  // what a cork holds back the override time-out sends in the end
  }
  const bool idle = tcb.snd_una == tcb.snd_nxt;
  if (length == pending) {
    if (idle || tcb.Has(kNoDelay)) return true;
    return env.config.nagle_minshall && tcb.flight() % tcb.snd_mss == 0;
  }
  // The window cut it: worth sending if it is half of the largest window ever offered.
  return length >= tcb.snd_wnd_max / 2 && length > 0 && tcb.snd_wnd < tcb.congestion.cwnd;
}

}  // namespace

void SendText(Tcb& tcb, Env& env, Outbox& out, SeqNum seq, uint32_t length, bool fin) {
  Flags flags = wire::kAck;
  const SeqNum data_end = tcb.data_end();
  // RFC 9293 3.9.1.2 (MUST-60): PSH on the last segment of what is buffered.
  if (length > 0 && seq + length == data_end && !tcb.Has(kNoPush)) flags |= wire::kPsh;
  if (fin) {
    flags |= wire::kFin;
    if (tcb.state == State::kCloseWait) Transition(tcb, State::kLastAck);
  }
  TxSegment& segment = AddSegment(tcb, env, out, seq, flags);
  segment.payload_length = static_cast<uint16_t>(length);
  if (length > 0) {
    segment.payload = tcb.send.At(seq.Since(tcb.data_begin()), env.send_pool);
  }
  const SeqNum end = seq + length + (fin ? 1 : 0);
  if (seq < tcb.snd_nxt) {
    ++env.counters.retrans_segs;
    // RFC 6298 3 (Karn, MUST-18): a retransmitted segment is not timed.
    if (tcb.Has(kRttTiming) && seq < tcb.rtt_seq) tcb.Clear(kRttTiming);
    if (tcb.Has(kRecord)) OnSentAgain(tcb, seq, end, env);
  } else if (!tcb.Has(kRttTiming)) {
    tcb.Set(kRttTiming);
    tcb.rtt_seq = end;
    tcb.rtt_start_us = env.us;
  }
  if (tcb.snd_una == tcb.snd_nxt) {
    tcb.progress_tick = env.tick;
  } else if (seq == tcb.snd_nxt) {
    OnSentBehindOthers(tcb, seq, end, env);
  }
  if (tcb.Has(kRecord)) {
    Recovery& r = RecordOf(tcb, env);
    r.longest_sent = std::max(r.longest_sent, segment.payload_length);
  }
  if (tcb.Has(kEcnOn) && seq == tcb.snd_nxt && length > 0) [[unlikely]]
    MarkEcn(tcb, env, segment);
  tcb.snd_nxt = Max(tcb.snd_nxt, end);
  // RFC 6298 5.1: "if the timer is not running, start it".
  if (!tcb.timers.IsArmed(Timer::kRetransmit)) ArmRetransmit(tcb, env);
}

bool SendNext(Tcb& tcb, Env& env, Outbox& out, uint32_t cwnd) {
  const SeqNum data_end = tcb.data_end();
  if (tcb.rtx_nxt > data_end) return false;  // everything and the FIN are out
  const uint32_t pending = data_end.Since(tcb.rtx_nxt);
  const bool fin_due = tcb.Has(kFinQueued) && !tcb.Has(kFinAcked);
  if (pending == 0 && !fin_due) return false;
  // RFC 5681 2: cwnd "limits the amount of data a TCP can send", and a FIN alone has none.
  const bool bare_fin =
      pending == 0 && tcb.rtx_nxt == tcb.snd_nxt && !tcb.Has(kFastRecovery | kTimeoutRecovery);
  const SeqNum edge = tcb.snd_una + (bare_fin ? tcb.snd_wnd : std::min(tcb.snd_wnd, cwnd));
  const int32_t usable = edge - tcb.rtx_nxt;
  if (usable <= 0) return false;
  const uint32_t length = std::min({pending, uint32_t{tcb.snd_mss}, static_cast<uint32_t>(usable)});
  const bool fin = fin_due && length == pending && length < static_cast<uint32_t>(usable);
  if (length == 0 && !fin) return false;
  if (length < tcb.snd_mss && !MaySendSmall(tcb, env, length, pending, fin)) return false;
  if (tcb.rtx_nxt < tcb.snd_nxt && tcb.Has(kTimeoutRecovery)) ++env.counters.slow_start_retrans;
  SendText(tcb, env, out, tcb.rtx_nxt, length, fin);
  tcb.rtx_nxt += length + (fin ? 1 : 0);
  return true;
}

namespace {

// The first unacknowledged segment again (RFC 5681 3.2, RFC 6582 3.2).
void RetransmitHead(Tcb& tcb, Env& env, Outbox& out) {
  tcb.Clear(kRetransmitHead);
  if (tcb.snd_una == tcb.snd_nxt) return;
  const uint32_t data = Min(tcb.data_end(), tcb.snd_nxt).Since(tcb.snd_una);
  const uint32_t length = std::min(data, uint32_t{tcb.snd_mss});
  const bool fin = tcb.FinSent() && !tcb.Has(kFinAcked) && length == data;
  SendText(tcb, env, out, tcb.snd_una, length, fin);
  tcb.rtx_nxt = Max(tcb.rtx_nxt, tcb.snd_una + length + (fin ? 1 : 0));
}

// RFC 9293 3.8.6.1 (MUST-36): "The sending TCP peer must regularly transmit at least one octet of
// new data (if available), or retransmit to the receiving TCP peer, even if the send window is
// zero". Also the override of SWS avoidance: then as much goes as the window takes.
void SendProbe(Tcb& tcb, Env& env, Outbox& out) {
  tcb.Clear(kProbe | kNoPush);  // the wait for more is over
  ++env.counters.win_probes;
  const SeqNum from = tcb.snd_una;
  if (env.config.empty_window_probes && tcb.snd_wnd == 0) {
    AddSegment(tcb, env, out, from - 1, wire::kAck);
    return;
  }
  const SeqNum data_end = tcb.data_end();
  if (from > data_end) return;
  const uint32_t pending = data_end.Since(from);
  const uint32_t window = std::max<uint32_t>(tcb.snd_wnd, 1);
  const uint32_t length = std::min({pending, window, uint32_t{tcb.snd_mss}});
  const bool fin = length == pending && tcb.Has(kFinQueued) && !tcb.Has(kFinAcked) &&
                   (length < window || length == 0);
  if (length == 0 && !fin) return;
  SendText(tcb, env, out, from, length, fin);
  // The peer may refuse an octet beyond its window: it is sent again, with what follows, when the
  // window opens.
  tcb.rtx_nxt = tcb.snd_wnd == 0 ? from : from + length + (fin ? 1 : 0);
}

SendProgress SendPlain(Tcb& tcb, Env& env, Outbox& out) {
  while (SendNext(tcb, env, out, tcb.congestion.cwnd)) {
    if (tcb.Has(kRecord)) [[unlikely]]
      return SendWithRecord(tcb, env, out);  // taken by now
    if (out.room() == 0) return SendProgress::kMore;
  }
  return SendProgress::kDone;
}

SendProgress SendInTrouble(Tcb& tcb, Env& env, Outbox& out) {
  if (tcb.Has(kRetransmitHead)) RetransmitHead(tcb, env, out);
  if (out.room() == 0) return SendProgress::kMore;
  if (tcb.Has(kProbe)) SendProbe(tcb, env, out);
  if (out.room() == 0) return SendProgress::kMore;
  return tcb.Has(kRecord) ? SendWithRecord(tcb, env, out) : SendPlain(tcb, env, out);
}

// Data waits, nothing is in flight, and neither window nor Nagle will call us again: the persist
// timer does (RFC 9293 3.8.6.1, SHLD-29: first after the retransmission time-out).
void ArmPersist(Tcb& tcb, const Env& env) {
  if (tcb.timers.IsArmed(Timer::kRetransmit)) return;
  const bool waiting = tcb.send.size_bytes() > 0 || (tcb.Has(kFinQueued) && !tcb.Has(kFinAcked));
  if (!waiting) return;
  tcb.progress_tick = env.tick;
  ArmRetransmit(tcb, env);
}

void SendReset(Tcb& tcb, Env& env, Outbox& out) {
  // RFC 9293 3.10.5: "<SEQ=SND.NXT><CTL=RST>", with ACK so that a peer which checks only the
  // acknowledgment of a SYN-ACK believes it.
  TxSegment& segment = out.Add();
  segment = TxSegment();
  segment.seq = tcb.snd_nxt;
  segment.ack = tcb.rcv_nxt;
  segment.flags = wire::kRst | wire::kAck;
  // RFC 7323 3.2: the option "SHOULD be sent in an <RST> segment".
  if (tcb.Has(kTimestampsOn)) {
    segment.options = wire::kTimestampsOption;
    segment.tsval = env.ts_clock + tcb.ts_offset;
    segment.tsecr = tcb.ts_recent;
  }
  ++env.counters.out_rsts;
  ++env.counters.out_segs;
  tcb.Clear(kResetNow);
  CloseNow(tcb, tcb.close_reason, env);
}

// A segment without text. Only these carry SACK blocks: beside text there is no room for them
// within the MSS.
void SendAck(Tcb& tcb, Env& env, Outbox& out) {
  // A peer with a closed window takes an ACK at its RCV.NXT only, and has refused the octet of our
  // probe (RFC 9293 A.2), so that octet does not count here; BSD does the same.
  const SeqNum seq = tcb.snd_wnd == 0 ? tcb.rtx_nxt : tcb.snd_nxt;
  TxSegment& segment = AddSegment(tcb, env, out, seq, wire::kAck);
  if (tcb.Has(kSackDue)) [[unlikely]]
    AddSack(tcb, env, segment);
}

// RFC 9293 3.8.4: "SEG.SEQ = SND.NXT-1", and without an octet of garbage (SHLD-12).
void SendKeepalive(Tcb& tcb, Env& env, Outbox& out) {
  tcb.Clear(kKeepaliveDue);
  ++env.counters.keepalives;
  AddSegment(tcb, env, out, tcb.snd_nxt - 1, wire::kAck);
}

// RFC 7413 4.2.2: "the server ... MAY send data in response to the SYN" before the handshake is
// complete.
bool MaySendBeforeEstablished(const Tcb& tcb) {
  constexpr uint32_t kBoth = kFastOpen | kPassiveOpen;
  return (tcb.bits & kBoth) == kBoth && tcb.state == State::kSynReceived;
}

// RFC 9293 3.10.4, CLOSE in SYN-RECEIVED: "If no SENDs have been issued and there is no pending
// data to send, then form a FIN segment and send it". The state stays SYN-RECEIVED until our SYN is
// acknowledged, because the handshake is not done before; FIN-WAIT-1 follows then.
void SendEarlyFin(Tcb& tcb, Env& env, Outbox& out) {
  if (tcb.state != State::kSynReceived || tcb.Has(kFastOpen) || !tcb.Has(kFinQueued)) return;
  if (tcb.rtx_nxt != tcb.iss + 1 || tcb.send.size_bytes() > 0 || tcb.snd_wnd < 2) return;
  tcb.rtx_nxt = tcb.iss + 2;
  SendText(tcb, env, out, tcb.iss + 1, 0, true);
}

// The ACK that nothing else has carried, and duplicate ACKs for what came out of order.
SendProgress SendAcks(Tcb& tcb, Env& env, Outbox& out) {
  if (tcb.state == State::kClosed) return SendProgress::kDone;
  while (tcb.Has(kDuplicateAckMask)) {
    if (out.room() == 0) return SendProgress::kMore;
    tcb.bits -= kDuplicateAckUnit;
    SendAck(tcb, env, out);
  }
  if (!tcb.Has(kAckNow)) return SendProgress::kDone;
  if (out.room() == 0) return SendProgress::kMore;
  SendAck(tcb, env, out);
  return SendProgress::kDone;
}

}  // namespace

SendProgress PollSend(Tcb& tcb, Env& env, Outbox& out) {
  if (out.room() == 0) return SendProgress::kMore;
  if (tcb.Has(kResetNow | kKeepaliveDue)) [[unlikely]] {
    if (tcb.Has(kResetNow)) {
      SendReset(tcb, env, out);
      return SendProgress::kDone;
    }
    SendKeepalive(tcb, env, out);
    if (out.room() == 0) return SendProgress::kMore;
  }
  if (tcb.SynOutstanding()) [[unlikely]] {
    if (tcb.rtx_nxt == tcb.iss) FillSyn(tcb, env, out.Add());
    SendEarlyFin(tcb, env, out);
  }
  if (IsIn(tcb.state, kSendingStates) || MaySendBeforeEstablished(tcb)) {
    const SendProgress progress = tcb.Has(kRetransmitHead | kProbe | kRecord)
                                      ? SendInTrouble(tcb, env, out)
                                      : SendPlain(tcb, env, out);
    if (env.config.push_burst_segments != 0) [[unlikely]]
      PushBursts(tcb, env.config, out);
    if (progress == SendProgress::kMore) return progress;
    ArmPersist(tcb, env);
  }
  return SendAcks(tcb, env, out);
}

bool MakeReset(const wire::Segment& segment, TxSegment& out) {
  if (segment.Has(wire::kRst)) return false;
  out = TxSegment();
  if (segment.Has(wire::kAck)) {
    out.seq = segment.ack;
    out.flags = wire::kRst;
  } else {
    out.ack = segment.seq + segment.SequenceLength();
    out.flags = wire::kRst | wire::kAck;
  }
  return true;
}

}  // namespace millrace::tcp
