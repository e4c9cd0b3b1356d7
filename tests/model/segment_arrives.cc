// Section 3.10.7 of RFC 9293, SEGMENT ARRIVES: CLOSED, LISTEN, SYN-SENT, and the order of steps.
#include "model/model.h"
#include "model/sequence.h"

namespace millrace::model {

Model::Step Model::SegmentArrives(const Segment& segment) {
  if (segment.flags == 0 && options_.decisions.no_flags_dropped) return Finish();
  switch (state_) {
    case State::kClosed:
      ArrivesInClosed(segment);
      break;
    case State::kListen:
      ArrivesInListen(segment);
      break;
    case State::kSynSent:
      ArrivesInSynSent(segment);
      break;
    default:
      ArrivesOtherwise(segment);
      break;
  }
  return Finish();
}

void Model::ArrivesInClosed(const Segment& segment) {
  // "An incoming segment containing a RST is discarded. An incoming segment not containing a RST
  // causes a RST to be sent in response."
  if (segment.Has(kRst)) return;
  if (segment.Has(kAck)) {
    Emit(kRst, segment.ack, 0);
  } else {
    Emit(kRst | kAck, 0, segment.seq + segment.Length());
  }
}

void Model::ArrivesInListen(const Segment& segment) {
  // "First, check for a RST: An incoming RST segment could not be valid [...]. Return."
  if (segment.Has(kRst)) return;
  // "Second, check for an ACK: Any acknowledgment is bad if it arrives on a connection still in
  // the LISTEN state. [...] <SEQ=SEG.ACK><CTL=RST>. Return."
  if (segment.Has(kAck)) {
    Emit(kRst, segment.ack, 0);
    return;
  }
  // "Fourth, other data or control: This should not be reached. Drop the segment and return."
  if (!segment.Has(kSyn)) return;
  if (segment.Has(kFin) && options_.decisions.syn_fin_dropped_in_listen) return;
  BeginSynReceived(segment, iss_);
}

void Model::BeginSynReceived(const Segment& syn, uint32_t iss) {
  // "Set RCV.NXT to SEG.SEQ+1, IRS is set to SEG.SEQ, and any other control or text should be
  // queued for processing later. ISS should be selected and a SYN segment sent of the form:
  // <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>. SND.NXT is set to ISS+1 and SND.UNA to ISS."
  iss_ = iss;
  rcv_nxt_ = syn.seq + 1;
  snd_una_ = iss_;
  snd_nxt_ = iss_ + 1;
  snd_wnd_ = max_snd_wnd_ = syn.window;
  snd_wl1_ = syn.seq;
  state_ = State::kSynReceived;
  passive_ = true;
  if (!options_.decisions.text_on_syn_dropped) {
    if (syn.text != 0) held_.emplace_back(rcv_nxt_, rcv_nxt_ + syn.text);
    if (syn.Has(kFin)) held_fin_ = rcv_nxt_ + syn.text;
  }
  Emit(kSyn | kAck, iss_, rcv_nxt_);
}

void Model::ArrivesInSynSent(const Segment& segment) {
  // "First, check the ACK bit: If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST
  // bit is set, if so drop the segment and return) <SEQ=SEG.ACK><CTL=RST> and discard the segment.
  // Return. If SND.UNA < SEG.ACK =< SND.NXT, then the ACK is acceptable."
  if (segment.Has(kAck) && (AtMost(segment.ack, iss_) || Above(segment.ack, snd_nxt_))) {
    if (!segment.Has(kRst)) Emit(kRst, segment.ack, 0);
    return;
  }
  // "Second, check the RST bit: [...] If the ACK was acceptable, then signal to the user 'error:
  // connection reset', drop the segment, enter CLOSED state, delete TCB, and return. Otherwise (no
  // ACK), drop the segment and return."
  if (segment.Has(kRst)) {
    if (segment.Has(kAck)) End(Event::kRefused);
    return;
  }
  // "Fifth, if neither of the SYN or RST bits is set, then drop the segment and return."
  if (!segment.Has(kSyn)) return;
  // "Fourth, check the SYN bit: RCV.NXT is set to SEG.SEQ+1, IRS is set to SEG.SEQ. SND.UNA should
  // be advanced to equal SEG.ACK (if there is an ACK)".
  rcv_nxt_ = segment.seq + 1;
  snd_wnd_ = max_snd_wnd_ = segment.window;
  snd_wl1_ = segment.seq;
  if (segment.Has(kAck)) {
    // "If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED, form
    // an ACK segment <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> and send it. [...] If there are other
    // controls or text in the segment, then continue processing at the sixth step".
    snd_una_ = segment.ack;
    snd_wl2_ = segment.ack;
    state_ = State::kEstablished;
    step_.events.push_back(Event::kOpened);
    ack_due_ = true;
    Segment rest = segment;
    rest.flags &= ~kSyn;
    rest.seq = rcv_nxt_;
    if (!options_.decisions.text_on_syn_dropped) TakeText(rest);
    Transmit();
    return;
  }
  // "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and
  // send it. [...] If there are other controls or text in the segment, queue them for processing
  // after the ESTABLISHED state has been reached, return."
  state_ = State::kSynReceived;
  if (!options_.decisions.text_on_syn_dropped) {
    if (segment.text != 0) held_.emplace_back(rcv_nxt_, rcv_nxt_ + segment.text);
    if (segment.Has(kFin)) held_fin_ = rcv_nxt_ + segment.text;
  }
  Emit(kSyn | kAck, iss_, rcv_nxt_);
}

bool Model::ArrivesInTimeWait(const Segment& segment) {
  // MAY-2: "it may accept a new SYN from the remote endpoint to reopen the connection directly
  // from the TIME-WAIT state" when the sequence number is above what was used.
  if (options_.decisions.syn_reopens_time_wait && options_.listener &&
      (segment.flags & (kSyn | kAck | kRst | kFin)) == kSyn && !Above(rcv_nxt_, segment.seq)) {
    End(std::nullopt);
    BeginSynReceived(segment, options_.next_iss);
    return true;
  }
  if (!options_.decisions.time_wait_answers_what_has_length || segment.Has(kRst)) return false;
  if (segment.Length() != 0 || segment.seq != rcv_nxt_) Challenge();
  return true;
}

void Model::ArrivesOtherwise(const Segment& segment) {
  if (state_ == State::kTimeWait && ArrivesInTimeWait(segment)) return;
  if (state_ == State::kSynReceived && segment.Has(kSyn) && !segment.Has(kRst) &&
      segment.seq + 1 == rcv_nxt_) {
    if (!segment.Has(kAck) && passive_ && options_.decisions.syn_again_answered_by_syn_ack) {
      Emit(kSyn | kAck, iss_, rcv_nxt_);
      return;
    }
    if (segment.ack == snd_nxt_ && !passive_ && options_.decisions.crossing_syn_ack_taken) {
      Segment rest = segment;
      rest.flags &= ~kSyn;
      rest.seq = rcv_nxt_;
      ArrivesOtherwise(rest);
      return;
    }
  }
  if (rcv_wnd() == 0 && segment.seq == rcv_nxt_ && segment.Length() != 0) {
    ArrivesAtClosedWindow(segment);
    return;
  }
  // "First, check sequence number: [...] If an incoming segment is not acceptable, an
  // acknowledgment should be sent in reply (unless the RST bit is set, if so drop the segment and
  // return): <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. After sending the acknowledgment, drop the
  // unacceptable segment and return."
  if (!Acceptable(segment)) {
    if (!segment.Has(kRst)) Challenge();
    return;
  }
  if (CheckReset(segment) && CheckSyn(segment) && CheckAck(segment)) {
    TakeText(segment);
    // MUST-58: one acknowledgment for all that the segment led to, with text when there is some.
    if (state_ != State::kClosed && state_ != State::kListen) Transmit();
  }
}

}  // namespace millrace::model
