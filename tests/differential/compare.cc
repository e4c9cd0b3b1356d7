#include "differential/compare.h"

#include <algorithm>

#include "differential/rules.h"

namespace millrace::differential {
namespace {

using model::Call;
using model::Lockstep;
using model::Segment;
using model::State;
using model::Symbol;

// What repeats a SYN, text or FIN below SND.NXT is a retransmission: its time is not compared here
// (and a busy machine may let a second pass).
void DropRetransmissions(std::vector<Segment>& sent, const model::Model& before) {
  std::erase_if(sent, [&before](const Segment& s) {
    if (s.Has(model::kSyn)) return before.state() == State::kSynSent && !s.Has(model::kAck);
    const uint32_t end = s.seq + s.Length();
    return s.Length() != 0 && static_cast<int32_t>(end - before.snd_nxt()) <= 0;
  });
}

std::string Text(const Segment& s) {
  static constexpr const char* kLetters = "FSRPAU";
  std::string text;
  for (int bit = 0; bit < 6; ++bit) {
    if ((s.flags & 1 << bit) != 0) text += kLetters[bit];
  }
  text += ' ' + std::to_string(s.seq);
  if (s.Has(model::kAck)) text += ':' + std::to_string(s.ack);
  if (s.text != 0) text += " len " + std::to_string(s.text);
  return '[' + text + ']';
}

std::string Text(const std::vector<Segment>& sent) {
  std::string text;
  for (const Segment& s : sent) text += Text(s);
  return text.empty() ? "nothing" : text;
}

// SEQ of a RST without an acceptable ACK is an absolute zero, which relative numbers do not show.
bool Same(const Segment& a, const Segment& b) {
  if (a.flags != b.flags || a.text != b.text) return false;
  if (a.Has(model::kAck) && a.ack != b.ack) return false;
  return a.seq == b.seq || a.flags == (model::kRst | model::kAck);
}

void KernelStep(KernelConnection& kernel, const Symbol& symbol, const Segment& segment) {
  switch (symbol.call) {
    case Call::kSegment:
      kernel.Receives(segment);
      break;
    case Call::kSend:
      kernel.Send(symbol.text);
      break;
    case Call::kClose:
      kernel.Shutdown();
      break;
    case Call::kAbort:
      kernel.Abort();
      break;
    case Call::kTimeWaitTimeout:  // not in real time
    case Call::kStopReading:      // not in RandomSequence
      break;
  }
}

}  // namespace

Outcome Compare(KernelHost& host, model::Opening opening, std::span<const Symbol> sequence,
                uint32_t index, uint32_t peer_isn) {
  Outcome outcome;
  KernelConnection kernel(host, opening, index, peer_isn);
  Lockstep millrace(opening, model::kShipped, peer_isn);
  kernel.TakeSent();  // the SYN of an active opening
  std::string steps = opening == model::Opening::kPassive ? "listen" : "connect";
  bool window_was_closed = false, fin_ahead = false;
  for (const Symbol& symbol : sequence) {
    window_was_closed |= symbol.window == 0;
    if (symbol.call == Call::kTimeWaitTimeout || !millrace.CallMakesSense(symbol)) continue;
    if (symbol.call != Call::kSegment && !kernel.has_user()) continue;
    const model::Model before = millrace.model();
    // Linux takes no text on a socket that does not wait for its opening.
    if (symbol.call == Call::kSend && before.state() <= State::kSynReceived) continue;
    const Segment segment = symbol.call == Call::kSegment ? SegmentFor(symbol, before) : Segment{};
    if (before.state() == State::kListen || before.state() == State::kTimeWait) {
      kernel.ForgetIsn();
    }
    KernelStep(kernel, symbol, segment);
    std::vector<Segment> by_kernel = kernel.TakeSent();
    fin_ahead |= segment.Has(model::kFin) && symbol.seq == model::SeqAt::kAhead;
    const std::string trouble = millrace.Apply(symbol);
    steps += std::string(", ") + symbol.name;
    if (!trouble.empty()) {
      outcome.difference = steps + ": Millrace and the model: " + trouble;
      return outcome;
    }
    std::vector<Segment> by_millrace = millrace.TakeSent();
    DropRetransmissions(by_kernel, before);
    DropRetransmissions(by_millrace, before);
    ++outcome.steps;
    const bool differs = !std::equal(by_kernel.begin(), by_kernel.end(), by_millrace.begin(),
                                     by_millrace.end(), Same);
    const Rule* const rule = Explain({.before = before.state(),
                                      .after = millrace.state(),
                                      .differs = differs,
                                      .window_was_closed = window_was_closed,
                                      .fin_ahead = fin_ahead,
                                      .active = opening == model::Opening::kActive,
                                      .symbol = symbol,
                                      .segment = segment,
                                      .rcv_nxt = before.rcv_nxt(),
                                      .snd_una = before.snd_una(),
                                      .snd_nxt = before.snd_nxt(),
                                      .rcv_wnd = before.rcv_wnd(),
                                      .kernel = by_kernel,
                                      .millrace = by_millrace});
    if (rule == nullptr && !differs) continue;
    if (rule == nullptr) {
      outcome.difference = steps + " (in " + ToString(before.state()) +
                           "): Linux: " + Text(by_kernel) + ", Millrace: " + Text(by_millrace);
      return outcome;
    }
    ++outcome.explained[rule->name];
    if (!rule->goes_on) return outcome;
  }
  return outcome;
}

}  // namespace millrace::differential
