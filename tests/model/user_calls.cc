// Sections 3.10.1 to 3.10.5 and 3.10.8 of RFC 9293: what the user and the clock may ask for.
#include "model/model.h"

namespace millrace::model {

const char* ToString(State state) {
  static constexpr const char* kNames[] = {
      "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
      "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT"};
  return kNames[static_cast<int>(state)];
}

Model::Model(const Options& options) : options_(options), iss_(options.iss) {
  if (options_.listener) {
    state_ = State::kListen;
    passive_ = true;
  }
}

Model::Step Model::ActiveOpen() {
  // "If active and the remote socket is specified, issue a SYN segment. An initial send sequence
  // number (ISS) is selected. A SYN segment of the form <SEQ=ISS><CTL=SYN> is sent. Set SND.UNA to
  // ISS, SND.NXT to ISS+1, enter SYN-SENT state, and return."
  passive_ = false;
  snd_una_ = iss_;
  snd_nxt_ = iss_ + 1;
  state_ = State::kSynSent;
  Emit(kSyn, iss_, 0);
  return Finish();
}

Model::Step Model::Send(uint32_t octets) {
  switch (state_) {
    case State::kSynSent:
    case State::kSynReceived:
      // "Queue the data for transmission after entering ESTABLISHED state."
      if (!close_called_) queued_ += octets;
      break;
    case State::kEstablished:
    case State::kCloseWait:
      // "Segmentize the buffer and send it with a piggybacked acknowledgment".
      if (!close_called_) queued_ += octets;
      Transmit();
      break;
    default:
      break;  // "Return 'error: connection closing'", or "does not exist".
  }
  return Finish();
}

Model::Step Model::Close() {
  switch (state_) {
    case State::kListen:
    case State::kSynSent:
      // "Delete the TCB and return 'error: closing' responses to any queued SENDs, or RECEIVEs."
      End(std::nullopt);
      break;
    case State::kSynReceived:
      // "If no SENDs have been issued and there is no pending data to send, then form a FIN segment
      // and send it, and enter FIN-WAIT-1 state; otherwise, queue for processing after entering
      // ESTABLISHED state."
      close_called_ = true;
      if (queued_ == 0) Transmit();
      break;
    case State::kEstablished:
      // "Queue this until all preceding SENDs have been segmentized, then form a FIN segment and
      // send it. In any case, enter FIN-WAIT-1 state."
      state_ = State::kFinWait1;
      [[fallthrough]];
    case State::kCloseWait:
      // "Queue this until all preceding SENDs have been segmentized, then send a FIN segment, enter
      // LAST-ACK state."
      close_called_ = true;
      Transmit();
      break;
    default:
      break;  // "Respond with 'error: connection closing' and return."
  }
  return Finish();
}

Model::Step Model::Abort() {
  switch (state_) {
    case State::kSynReceived:
    case State::kEstablished:
    case State::kFinWait1:
    case State::kFinWait2:
    case State::kCloseWait:
      // "Send a reset segment: <SEQ=SND.NXT><CTL=RST>".
      Emit(options_.decisions.abort_reset_has_ack ? kRst | kAck : kRst, snd_nxt_, rcv_nxt_);
      break;
    default:
      break;  // "Respond with 'ok' and delete the TCB, enter CLOSED state, and return."
  }
  End(std::nullopt);
  return Finish();
}

void Model::StopReading() {
  reading_ = false;
  right_edge_ = rcv_nxt_ + options_.receive_window;
}

Model::Step Model::TimeWaitTimeout() {
  // "TIME-WAIT TIMEOUT: If the time-wait timeout expires on a connection, delete the TCB, enter
  // the CLOSED state, and return."
  if (state_ == State::kTimeWait) End(std::nullopt);
  return Finish();
}

void Model::Transmit() {
  // What was queued before CLOSE goes out in the states behind it.
  const bool may_send_text = state_ != State::kSynSent && state_ != State::kSynReceived;
  // SND.UNA + SND.WND is the right edge of what the peer takes.
  const uint32_t in_flight = snd_nxt_ - snd_una_;
  const uint32_t usable = snd_wnd_ > in_flight ? snd_wnd_ - in_flight : 0;
  const bool text_fits = queued_ != 0 && may_send_text && queued_ <= usable;
  const uint32_t text = text_fits ? queued_ : 0;
  const bool fin = close_called_ && !fin_sent_ && queued_ == text && usable > text;
  if (text == 0 && !fin) {
    if (ack_due_) Challenge();
    ack_due_ = false;
    return;
  }
  Emit(kAck | (fin ? kFin : 0), snd_nxt_, rcv_nxt_, text);
  queued_ -= text;
  snd_nxt_ += text + (fin ? 1 : 0);
  ack_due_ = false;
  if (fin) {
    fin_sent_ = true;
    if (state_ == State::kCloseWait) state_ = State::kLastAck;
    if (state_ == State::kEstablished) state_ = State::kFinWait1;
  }
}

void Model::Emit(int flags, uint32_t seq, uint32_t ack, uint32_t text) {
  step_.sent.push_back({.flags = flags, .seq = seq, .ack = ack, .text = text, .window = 0});
}

void Model::End(std::optional<Event> event) {
  if (event) step_.events.push_back(*event);
  const Options options = options_;
  Step step = std::move(step_);
  *this = Model(options);
  step_ = std::move(step);
}

Model::Step Model::Finish() { return std::exchange(step_, {}); }

}  // namespace millrace::model
