#include "model/lockstep.h"

#include <algorithm>
#include <sstream>

namespace millrace::model {
namespace {

using testing::Seg;

testing::TraceOptions TraceOptionsFor(uint32_t peer_isn, uint16_t receive_window) {
  testing::TraceOptions options;
  if (receive_window != Lockstep::kWindow) {
    options.config.tcp.receive_buffer_bytes = receive_window;
  }
  options.peer_isn = peer_isn;
  options.config.limits = {.connections = 4,
                           .half_open = 4,
                           .time_wait = 4,
                           .send_extents = 64,
                           .send_chunks = 16,
                           .receive_nodes = 256};
  // No retransmission and no loss probe inside a sequence: that is not the model's subject.
  options.config.tcp.rto_initial = Duration::Seconds(60);
  options.config.tcp.rto_min = Duration::Seconds(60);
  options.config.tcp.rto_max = Duration::Seconds(240);
  options.config.tcp.r2 = Duration::Seconds(1000);
  return options;
}

State FromEngine(tcp::State state) {
  switch (state) {
    case tcp::State::kClosed:
      return State::kClosed;
    case tcp::State::kListen:
      return State::kListen;
    case tcp::State::kSynSent:
      return State::kSynSent;
    case tcp::State::kSynReceived:
      return State::kSynReceived;
    case tcp::State::kEstablished:
      return State::kEstablished;
    case tcp::State::kFinWait1:
      return State::kFinWait1;
    case tcp::State::kFinWait2:
      return State::kFinWait2;
    case tcp::State::kCloseWait:
      return State::kCloseWait;
    case tcp::State::kClosing:
      return State::kClosing;
    case tcp::State::kLastAck:
      return State::kLastAck;
    case tcp::State::kTimeWait:
      return State::kTimeWait;
  }
  return State::kClosed;
}

std::string Text(const Seg& seg) {
  std::ostringstream out;
  out << seg;
  return out.str();
}

Seg Shown(const Segment& s) {
  return {.flags = s.flags, .seq = s.seq, .ack = s.ack, .data = std::string(s.text, 'x')};
}

bool Same(const Segment& wanted, const Seg& sent, bool closed) {
  if (wanted.flags != (sent.flags & ~kPsh) || wanted.text != sent.data.size()) return false;
  if (wanted.Has(kAck) && wanted.ack != sent.ack) return false;
  // "If the ACK bit is off, sequence number zero is used": absolute, while the trace counts from
  // our ISN, and there is none then.
  if (closed && wanted.Has(kAck)) return true;
  return wanted.seq == sent.seq;
}

}  // namespace

Segment SegmentFor(const Symbol& symbol, const Model& model) {
  Segment s{.flags = symbol.flags, .text = symbol.text, .window = symbol.window};
  const uint32_t next = model.rcv_nxt();
  switch (symbol.seq) {
    case SeqAt::kIsn:
      s.seq = 0;
      break;
    case SeqAt::kNext:
      s.seq = next;
      break;
    case SeqAt::kOld:
      s.seq = next - 1;
      break;
    case SeqAt::kAhead:
      s.seq = next + 10;
      break;
    case SeqAt::kLast:
      s.seq = next + model.rcv_wnd() - 2;  // a FIN may have taken one of the window
      break;
    case SeqAt::kBeyond:
      s.seq = next + model.rcv_wnd();
      break;
  }
  switch (symbol.ack) {
    case AckAt::kNone:
      break;
    case AckAt::kUna:
      s.ack = model.snd_una();
      break;
    case AckAt::kNext:
      s.ack = model.snd_nxt();
      break;
    case AckAt::kBeyond:
      s.ack = model.snd_nxt() + 1;
      break;
    case AckAt::kOld:
      s.ack = model.snd_una() - 1;
      break;
    case AckAt::kTooOld:
      s.ack = model.snd_una() - 70'000;
      break;
  }
  return s;
}

Lockstep::Lockstep(Opening opening, const Decisions& decisions, uint32_t peer_isn,
                   uint16_t receive_window)
    : trace_(TraceOptionsFor(peer_isn, receive_window)),
      model_({.iss = 0,
              .next_iss = 0,
              .receive_window = receive_window,
              .listener = opening == Opening::kPassive,
              .decisions = decisions}) {
  trace_.app().log_data = false;
  trace_.app().in_open = [](stack::Socket socket) { socket.SetNoDelay(true); };
  if (opening == Opening::kPassive) {
    trace_.Listen();
  } else {
    trace_.Connect();
    model_.ActiveOpen();
    trace_.ForgetSent();
  }
}

// A half-open connection answers so many segments until its SYN-ACK is sent again, which it is not
// here (rto_initial).
bool Lockstep::AnswersNoMore() {
  stack::Engine& engine = trace_.engine();
  const stack::FlowRef ref = engine.FindFlowForTest(trace_.key());
  return ref.kind() == stack::FlowKind::kHalfOpen &&
         engine.half_opens()[ref.index()].tcp.answers == tcp::HalfOpen::kAnswersMax;
}

bool Lockstep::CallMakesSense(const Symbol& symbol) {
  const State state = model_.state();
  // The listener's half-open connection has no user yet, and the engine gives its record back when
  // TIME-WAIT begins.
  const bool has_user = trace_.state() != tcp::State::kClosed && state != State::kClosed &&
                        state != State::kListen && state != State::kTimeWait;
  switch (symbol.call) {
    case Call::kSegment:
      return !AnswersNoMore();
    case Call::kTimeWaitTimeout:
      return state == State::kTimeWait;
    default:
      return has_user;
  }
}

Model::Step Lockstep::ModelStep(const Symbol& symbol) {
  switch (symbol.call) {
    case Call::kSegment:
      return model_.SegmentArrives(SegmentFor(symbol, model_));
    case Call::kSend:
      return model_.Send(symbol.text);
    case Call::kClose:
      return model_.Close();
    case Call::kAbort:
      return model_.Abort();
    case Call::kTimeWaitTimeout:
      return model_.TimeWaitTimeout();
    case Call::kStopReading:
      model_.StopReading();
      return {};
  }
  return {};
}

void Lockstep::EngineStep(const Symbol& symbol) {
  switch (symbol.call) {
    case Call::kSegment: {
      const Segment s = SegmentFor(symbol, model_);
      // The next SYN-ACK of a listener, or of a reopened TIME-WAIT, begins at a new ISN.
      if (model_.state() == State::kListen || model_.state() == State::kTimeWait) {
        trace_.ForgetIsn();
      }
      trace_.Receives({.flags = s.flags,
                       .seq = s.seq,
                       .ack = s.ack,
                       .data = testing::Octets(s.text),
                       .window = static_cast<uint16_t>(s.window)});
      break;
    }
    case Call::kSend:
      trace_.Send(testing::Octets(symbol.text));
      break;
    case Call::kClose:
      trace_.Shutdown();
      break;
    case Call::kAbort:
      trace_.Abort();
      break;
    case Call::kTimeWaitTimeout:
      trace_.Advance(Duration::Seconds(61));
      break;
    case Call::kStopReading:
      trace_.app().reading = false;
      break;
  }
  trace_.Advance(kStepTime);
}

std::string Lockstep::CompareSent(const Model::Step& wanted, uint32_t snd_nxt_before) {
  std::vector<Seg> sent = trace_.AllSent();
  engine_sent_.clear();
  for (const Seg& seg : sent) {
    engine_sent_.push_back({.flags = seg.flags & ~kPsh,
                            .seq = seg.seq,
                            .ack = seg.ack,
                            .text = static_cast<uint32_t>(seg.data.size()),
                            .window = 0});
  }
  // What repeats text or FIN that is out already is a retransmission (fast retransmit, loss probe):
  // right or not is for other tests. It acknowledges as any segment does.
  std::vector<Segment> expected = wanted.sent;
  std::erase_if(sent, [&](const Seg& seg) {
    const uint32_t end =
        seg.seq + static_cast<uint32_t>(seg.data.size()) + ((seg.flags & kFin) != 0 ? 1 : 0);
    if (end == seg.seq || static_cast<int32_t>(end - snd_nxt_before) > 0) return false;
    std::erase_if(expected, [&](const Segment& s) {
      return s.flags == kAck && s.text == 0 && s.ack == seg.ack;
    });
    return true;
  });
  // A duplicate ACK carries no text (RFC 5681 section 2), so the one that a gap earns goes out
  // behind text that acknowledges the same.
  if (expected.size() + 1 == sent.size() && !expected.empty() && expected.back().Length() != 0 &&
      (sent.back().flags & ~kPsh) == kAck && sent.back().data.empty() &&
      sent.back().ack == expected.back().ack && sent.back().ack == model_.rcv_nxt()) {
    sent.pop_back();
  }
  const bool same =
      std::equal(expected.begin(), expected.end(), sent.begin(), sent.end(),
                 [this](const Segment& e, const Seg& s) { return Same(e, s, unread_seq_zero_); });
  if (same) return "";
  std::string text = "model sends:";
  for (const Segment& s : expected) text += " [" + Text(Shown(s)) + "]";
  text += "; engine:";
  for (const Seg& s : sent) text += " [" + Text(s) + "]";
  return text;
}

std::string Lockstep::CompareVariables() {
  State wanted = model_.state();
  if (wanted == State::kListen) wanted = State::kClosed;  // no record of the connection
  const State actual = FromEngine(trace_.FlowState());
  if (wanted != actual) {
    return std::string("model is in ") + ToString(wanted) + ", engine in " + ToString(actual);
  }
  const tcp::Tcb* tcb = trace_.tcb();
  if (tcb == nullptr || wanted == State::kClosed || wanted == State::kTimeWait) return "";
  // The block of a connection that is over, whose text the user has not read.
  if (FromEngine(tcb->state) != actual) return "";
  std::ostringstream out;
  const auto compare = [&](const char* name, uint32_t model, uint32_t engine) {
    if (model != engine) out << name << ": model " << model << ", engine " << engine << ' ';
  };
  const uint32_t iss = tcb->iss.value();
  compare("SND.UNA", model_.snd_una(), tcb->snd_una.value() - iss);
  compare("SND.NXT", model_.snd_nxt(), tcb->snd_nxt.value() - iss);
  if (wanted != State::kSynSent) {
    compare("RCV.NXT", model_.rcv_nxt(), tcb->rcv_nxt.value() - trace_.options().peer_isn);
  }
  return out.str();
}

std::string Lockstep::CompareUser(const Model::Step& wanted) {
  std::string model, engine;
  for (const Event event : wanted.events) {
    static constexpr const char* kNames[] = {"open ", "fin ", "reset ", "refused "};
    model += kNames[static_cast<int>(event)];
  }
  for (const std::string& line : trace_.TakeLog()) {
    if (line == "open" || line == "fin") engine += line + ' ';
    if (line == "close reset") engine += "reset ";
    if (line == "close refused") engine += "refused ";
  }
  if (model != engine) return "model tells the user: " + model + "; engine: " + engine;
  const size_t delivered = std::exchange(trace_.app().received, {}).size();
  if (delivered == wanted.delivered) return "";
  return "model delivers " + std::to_string(wanted.delivered) + ", engine " +
         std::to_string(delivered);
}

std::string Lockstep::Apply(const Symbol& symbol) {
  if (!CallMakesSense(symbol)) return "";
  unread_seq_zero_ = model_.state() == State::kClosed;
  const uint32_t snd_nxt_before = model_.snd_nxt();
  EngineStep(symbol);
  const Model::Step wanted = ModelStep(symbol);
  std::string difference = CompareSent(wanted, snd_nxt_before);
  if (difference.empty()) difference = CompareVariables();
  if (difference.empty()) difference = CompareUser(wanted);
  return difference;
}

std::string Compare(Opening opening, const Decisions& decisions, std::span<const Symbol> sequence,
                    uint32_t peer_isn, uint16_t receive_window) {
  Lockstep pair(opening, decisions, peer_isn, receive_window);
  std::string steps = opening == Opening::kPassive ? "listen" : "connect";
  for (const Symbol& symbol : sequence) {
    const State before = pair.state();
    const std::string difference = pair.Apply(symbol);
    steps += std::string(", ") + symbol.name;
    if (!difference.empty()) return steps + " (in " + ToString(before) + "): " + difference;
  }
  return "";
}

}  // namespace millrace::model
