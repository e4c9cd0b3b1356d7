// Section 3.10.7.4 of RFC 9293: the eight steps of every state from SYN-RECEIVED to TIME-WAIT.
#include <algorithm>

#include "model/model.h"
#include "model/sequence.h"

namespace millrace::model {

bool Model::Acceptable(const Segment& segment) const {
  // Table 6.
  const uint32_t window = rcv_wnd();
  const uint32_t length = segment.Length();
  if (window == 0) return length == 0 && segment.seq == rcv_nxt_;
  if (length == 0) return Inside(segment.seq, rcv_nxt_, window);
  return Inside(segment.seq, rcv_nxt_, window) ||
         Inside(segment.seq + length - 1, rcv_nxt_, window);
}

void Model::ArrivesAtClosedWindow(const Segment& segment) {
  // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made
  // to accept valid ACKs, URGs, and RSTs." The rest of it is answered as unacceptable.
  Segment allowed = segment;
  allowed.text = 0;
  allowed.flags &= ~kFin;
  if (!CheckReset(allowed)) return;
  const bool taken = CheckSyn(allowed) && CheckAck(allowed);
  if (state_ == State::kClosed || state_ == State::kListen) return;
  if (taken) {
    ack_due_ = true;
    Transmit();
  } else if (step_.sent.empty()) {
    Challenge();
  }
}

bool Model::CheckReset(const Segment& segment) {
  if (!segment.Has(kRst)) return true;
  if (state_ == State::kTimeWait && options_.decisions.rst_ignored_in_time_wait) return false;
  // "1) If the RST bit is set and the sequence number is outside the current receive window,
  // silently drop the segment. 2) If the RST bit is set and the sequence number exactly matches the
  // next expected sequence number (RCV.NXT), then TCP endpoints MUST reset the connection [...].
  // 3) If the RST bit is set and the sequence number does not exactly match the next expected
  // sequence value, yet is within the current receive window, TCP endpoints MUST send an
  // acknowledgment (challenge ACK)".
  if (segment.seq != rcv_nxt_) {
    if (Inside(segment.seq, rcv_nxt_, rcv_wnd())) Challenge();
    return false;
  }
  switch (state_) {
    case State::kSynReceived:
      // "If this connection was initiated with a passive OPEN [...], then return this connection to
      // LISTEN state and return. The user need not be informed. If [...] an active OPEN [...], then
      // the connection was refused".
      End(passive_ ? std::nullopt : std::optional(Event::kRefused));
      break;
    case State::kEstablished:
    case State::kFinWait1:
    case State::kFinWait2:
    case State::kCloseWait:
      // "Users should also receive an unsolicited general 'connection reset' signal."
      End(Event::kReset);
      break;
    default:
      // CLOSING, LAST-ACK, TIME-WAIT: "enter the CLOSED state, delete the TCB, and return."
      End(options_.decisions.reset_told_when_closing && state_ != State::kTimeWait
              ? std::optional(Event::kReset)
              : std::nullopt);
      break;
  }
  return false;
}

bool Model::CheckSyn(const Segment& segment) {
  if (!segment.Has(kSyn)) return true;
  // "SYN-RECEIVED STATE: If the connection was initiated with a passive OPEN, then return this
  // connection to the LISTEN state and return."
  if (state_ == State::kSynReceived && passive_ &&
      !options_.decisions.syn_challenged_in_syn_received) {
    End(std::nullopt);
    return false;
  }
  // "for the synchronized states, RFC 5961 recommends that [...] irrespective of the sequence
  // number, TCP endpoints MUST send a 'challenge ACK' to the remote peer".
  Challenge();
  return false;
}

bool Model::CheckAck(const Segment& segment) {
  // "If the ACK bit is off, drop the segment and return."
  if (!segment.Has(kAck)) return false;
  // RFC 5961 section 5: "The ACK value is considered acceptable only if it is in the range of
  // ((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT)".
  if (options_.decisions.old_ack_challenged && state_ != State::kSynReceived &&
      Above(snd_una_ - max_snd_wnd_, segment.ack)) {
    Challenge();
    return false;
  }
  if (state_ == State::kSynReceived) {
    // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing [...].
    // If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>
    // and send it."
    if (!Above(segment.ack, snd_una_) || Above(segment.ack, snd_nxt_)) {
      Emit(kRst, segment.ack, 0);
      return false;
    }
    // A CLOSE that waited is processed now: "In any case, enter FIN-WAIT-1 state."
    state_ = close_called_ ? State::kFinWait1 : State::kEstablished;
    step_.events.push_back(Event::kOpened);
    snd_wnd_ = segment.window;
    if (options_.decisions.window_of_syn_forgotten) max_snd_wnd_ = 0;
    max_snd_wnd_ = std::max(max_snd_wnd_, snd_wnd_);
    snd_wl1_ = segment.seq;
    snd_wl2_ = segment.ack;
  }
  // "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
  // segment, and return."
  if (Above(segment.ack, snd_nxt_)) {
    Challenge();
    return false;
  }
  TakeAck(segment);
  return state_ != State::kClosed && state_ != State::kListen;
}

void Model::TakeAck(const Segment& segment) {
  if (Above(segment.ack, snd_una_)) snd_una_ = segment.ack;
  UpdateSendWindow(segment);
  switch (state_) {
    case State::kFinWait1:
      // "if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in
      // that state."
      if (FinAcknowledged()) state_ = State::kFinWait2;
      break;
    case State::kClosing:
      // "if the ACK acknowledges our FIN, then enter the TIME-WAIT state; otherwise, ignore".
      if (FinAcknowledged()) state_ = State::kTimeWait;
      break;
    case State::kLastAck:
      // "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."
      if (FinAcknowledged()) End(std::nullopt);
      break;
    default:
      break;
  }
}

void Model::UpdateSendWindow(const Segment& segment) {
  // "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated. If (SND.WL1 < SEG.SEQ or
  // (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ,
  // and set SND.WL2 <- SEG.ACK."
  if (Above(snd_una_, segment.ack)) return;
  if (Above(segment.seq, snd_wl1_) || (segment.seq == snd_wl1_ && AtMost(snd_wl2_, segment.ack))) {
    snd_wnd_ = segment.window;
    max_snd_wnd_ = std::max(max_snd_wnd_, snd_wnd_);
    snd_wl1_ = segment.seq;
    snd_wl2_ = segment.ack;
  }
}

void Model::TakeText(const Segment& segment) {
  switch (state_) {
    case State::kEstablished:
    case State::kFinWait1:
    case State::kFinWait2:
      break;
    case State::kTimeWait:
      // "The only thing that can arrive in this state is a retransmission of the remote FIN.
      // Acknowledge it, and restart the 2 MSL timeout." Under the decision this is reached only by
      // the segment that ended CLOSING.
      if (segment.Has(kFin) && !options_.decisions.time_wait_answers_what_has_length) {
        ack_due_ = true;
      }
      return;
    default:
      // "CLOSE-WAIT, CLOSING, LAST-ACK, TIME-WAIT: This should not occur since a FIN has been
      // received from the remote side. Ignore the segment text." and "send an acknowledgment for
      // the FIN".
      if (segment.Has(kFin) && !options_.decisions.second_fin_ignored) ack_due_ = true;
      return;
  }
  if (segment.Length() != 0) {
    ack_due_ = true;
    // "trimming off any portions that lie outside the window (including SYN and FIN)".
    const uint32_t edge = rcv_nxt_ + rcv_wnd();
    uint32_t first = segment.seq;
    uint32_t end = segment.seq + segment.text;
    const bool fin = segment.Has(kFin) && Above(edge, end) && AtMost(rcv_nxt_, end);
    if (Above(end, edge)) end = edge;
    if (Above(rcv_nxt_, first)) first = rcv_nxt_;
    if (options_.decisions.second_fin_ignored && held_fin_ && Above(end, *held_fin_)) {
      end = *held_fin_;
    }
    if (Above(end, first)) held_.emplace_back(first, end);
    if (fin && !(options_.decisions.second_fin_ignored && held_fin_)) held_fin_ = end;
  }
  DeliverHeld();
}

void Model::DeliverHeld() {
  // "Segments with higher beginning sequence numbers SHOULD be held for later processing."
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [first, end] : held_) {
      if (AtMost(first, rcv_nxt_) && Above(end, rcv_nxt_)) {
        (reading_ ? step_.delivered : unread_bytes_) += end - rcv_nxt_;
        rcv_nxt_ = end;
        ack_due_ = true;
        moved = true;
      }
    }
  }
  std::erase_if(held_, [this](const auto& piece) { return AtMost(piece.second, rcv_nxt_); });
  if (held_fin_ && *held_fin_ == rcv_nxt_) TakeFin();
}

void Model::TakeFin() {
  // "If the FIN bit is set, signal the user 'connection closing' [...], advance RCV.NXT over the
  // FIN, and send an acknowledgment for the FIN."
  held_fin_.reset();
  held_.clear();
  ++rcv_nxt_;
  ack_due_ = true;
  // The user reads of it behind the text.
  if (unread_bytes_ == 0) step_.events.push_back(Event::kPeerClosed);
  switch (state_) {
    case State::kEstablished:
      state_ = State::kCloseWait;
      break;
    case State::kFinWait1:
      // "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT [...];
      // otherwise, enter the CLOSING state." Acknowledged means FIN-WAIT-2 by now.
      state_ = State::kClosing;
      break;
    case State::kFinWait2:
      state_ = State::kTimeWait;
      break;
    default:
      break;
  }
}

}  // namespace millrace::model
