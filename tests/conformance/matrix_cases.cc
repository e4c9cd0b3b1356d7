#include "conformance/matrix_cases.h"

#include <algorithm>
#include <utility>

namespace millrace::conformance {
namespace {

using model::AckAt;
using model::Call;
using model::kAck;
using model::kFin;
using model::kPsh;
using model::kRst;
using model::kSyn;
using model::kUrg;
using model::Model;
using model::Opening;
using model::Segment;
using model::SeqAt;
using model::State;
using model::Symbol;

constexpr Symbol kSynArrives{.name = "", .flags = kSyn, .seq = SeqAt::kIsn};
constexpr Symbol kSynAckArrives{
    .name = "", .flags = kSyn | kAck, .seq = SeqAt::kIsn, .ack = AckAt::kNext};
constexpr Symbol kAckArrives{.name = "", .flags = kAck, .ack = AckAt::kNext};
// Acknowledges nothing new, so that our FIN or text stays in flight.
constexpr Symbol kFinArrives{.name = "", .flags = kFin | kAck, .ack = AckAt::kUna};
constexpr Symbol kFinAckArrives{.name = "", .flags = kFin | kAck, .ack = AckAt::kNext};
constexpr Symbol kWeSend{.name = "", .call = Call::kSend, .text = 10};
constexpr Symbol kWeClose{.name = "", .call = Call::kClose};

const Place kClosed{"CLOSED", Opening::kActive, {{.name = "", .call = Call::kClose}}};
const Place kListen{"LISTEN", Opening::kPassive, {}};
const Place kSynSent{"SYN-SENT", Opening::kActive, {}};

// Ten octets, or a FIN, are in flight wherever the state allows it: SND.UNA and SND.NXT differ.
const Place kSynchronized[] = {
    {"SYN-RECEIVED (passive)", Opening::kPassive, {kSynArrives}},
    {"SYN-RECEIVED (active)", Opening::kActive, {kSynArrives}},
    {"ESTABLISHED", Opening::kPassive, {kSynArrives, kAckArrives, kWeSend}},
    {"FIN-WAIT-1", Opening::kPassive, {kSynArrives, kAckArrives, kWeClose}},
    {"FIN-WAIT-2", Opening::kActive, {kSynAckArrives, kWeClose, kAckArrives}},
    {"CLOSE-WAIT", Opening::kPassive, {kSynArrives, kAckArrives, kFinArrives, kWeSend}},
    {"CLOSING", Opening::kPassive, {kSynArrives, kAckArrives, kWeClose, kFinArrives}},
    {"LAST-ACK", Opening::kActive, {kSynAckArrives, kFinArrives, kWeClose}},
    {"TIME-WAIT", Opening::kPassive, {kSynArrives, kAckArrives, kWeClose, kFinAckArrives}},
};

// The same with RCV.WND zero: the user does not read, and text has filled the window, with the FIN
// where there is one. Before the connection is synchronized no text is taken, so it is not zero.
constexpr uint16_t kSmallWindow = 1000;
constexpr Symbol kStopReading{.name = "", .call = Call::kStopReading};
constexpr Symbol kTextFills{.name = "", .flags = kAck, .ack = AckAt::kNext, .text = kSmallWindow};
constexpr Symbol kTextAndFinFill{
    .name = "", .flags = kFin | kAck, .ack = AckAt::kUna, .text = kSmallWindow - 1};
constexpr Symbol kTextAndFinAckFill{
    .name = "", .flags = kFin | kAck, .ack = AckAt::kNext, .text = kSmallWindow - 1};

Place Full(const char* name, std::vector<Symbol> steps) {
  steps.insert(steps.begin(), {kSynArrives, kAckArrives, kStopReading});
  return {name, Opening::kPassive, std::move(steps), kSmallWindow, true};
}
const Place kFull[] = {
    Full("ESTABLISHED", {kTextFills, kWeSend}),
    Full("FIN-WAIT-1", {kTextFills, kWeClose}),
    Full("FIN-WAIT-2", {kTextFills, kWeClose, kAckArrives}),
    Full("CLOSE-WAIT", {kTextAndFinFill, kWeSend}),
    Full("CLOSING", {kWeClose, kTextAndFinFill}),
    Full("LAST-ACK", {kTextAndFinFill, kWeClose}),
    Full("TIME-WAIT", {kWeClose, kTextAndFinAckFill}),
};

// Without a connection SEQ says nothing, so only bits and text vary.
constexpr int kBitsWithoutAck[] = {kSyn, kFin,        kRst,        0,          kPsh,
                                   kUrg, kSyn | kFin, kSyn | kRst, kFin | kRst};
constexpr int kBitsWithAck[] = {kAck,        kSyn | kAck,        kFin | kAck,       kRst | kAck,
                                kPsh | kAck, kSyn | kFin | kAck, kSyn | kRst | kAck};

constexpr SeqAt kSeqs[] = {SeqAt::kOld, SeqAt::kNext, SeqAt::kAhead, SeqAt::kLast, SeqAt::kBeyond};
constexpr AckAt kAcks[] = {AckAt::kTooOld, AckAt::kOld, AckAt::kUna, AckAt::kNext, AckAt::kBeyond};

void AddUnsynchronized(const Place& place, std::vector<Case>& cases) {
  for (const int bits : kBitsWithoutAck) {
    for (const uint32_t text : {0u, 5u}) {
      cases.push_back({&place, {.name = "", .flags = bits, .seq = SeqAt::kIsn, .text = text}});
    }
  }
  for (const int bits : kBitsWithAck) {
    for (const AckAt ack : {AckAt::kUna, AckAt::kNext, AckAt::kBeyond}) {
      // Only in SYN-SENT is there something to acknowledge.
      if (&place != &kSynSent && ack != AckAt::kBeyond) continue;
      for (const uint32_t text : {0u, 5u}) {
        cases.push_back(
            {&place, {.name = "", .flags = bits, .seq = SeqAt::kIsn, .ack = ack, .text = text}});
      }
    }
  }
}

void AddSynchronized(const Place& place, std::vector<Case>& cases) {
  const auto add = [&](int bits, SeqAt seq, AckAt ack, uint32_t text) {
    cases.push_back({&place, {.name = "", .flags = bits, .seq = seq, .ack = ack, .text = text}});
  };
  add(kSyn, SeqAt::kIsn, AckAt::kNone, 0);
  add(kSyn | kAck, SeqAt::kIsn, AckAt::kNext, 0);
  for (const SeqAt seq : kSeqs) {
    for (const AckAt ack : kAcks) add(kAck, seq, ack, 0);
    for (const AckAt ack : kAcks) add(kAck, seq, ack, 5);
    for (const AckAt ack : {AckAt::kUna, AckAt::kNext, AckAt::kBeyond}) {
      add(kFin | kAck, seq, ack, 0);
    }
    add(kFin | kAck, seq, AckAt::kNext, 5);
    add(kRst, seq, AckAt::kNone, 0);
    add(kRst | kAck, seq, AckAt::kNext, 0);
    add(kRst | kAck, seq, AckAt::kBeyond, 0);
    add(kSyn, seq, AckAt::kNone, 0);
    add(kSyn | kAck, seq, AckAt::kNext, 0);
    add(kFin, seq, AckAt::kNone, 0);
    add(kPsh, seq, AckAt::kNone, 5);
    add(kUrg | kAck, seq, AckAt::kNext, 5);
    add(0, seq, AckAt::kNone, 0);
  }
}

// What says something of a closed window: where SEQ lies, whether there is text, and what counts
// all the same (MUST-66).
void AddAtClosedWindow(const Place& place, std::vector<Case>& cases) {
  for (const SeqAt seq : {SeqAt::kOld, SeqAt::kNext, SeqAt::kAhead}) {
    const auto add = [&](int bits, AckAt ack, uint32_t text) {
      cases.push_back({&place, {.name = "", .flags = bits, .seq = seq, .ack = ack, .text = text}});
    };
    for (const uint32_t text : {0u, 1u, 5u}) {
      for (const AckAt ack : kAcks) add(kAck, ack, text);
      add(kFin | kAck, AckAt::kNext, text);
      add(kUrg | kAck, AckAt::kNext, text);
      add(kRst, AckAt::kNone, text);
      add(kRst | kAck, AckAt::kNext, text);
    }
    add(kSyn, AckAt::kNone, 0);
    add(kSyn | kAck, AckAt::kNext, 0);
    add(kFin, AckAt::kNone, 0);
    add(kPsh, AckAt::kNone, 5);
    add(0, AckAt::kNone, 5);
  }
}

// The peer closes its window: acknowledging what is in flight or not, with text and FIN.
void AddClosingWindow(const Place& place, std::vector<Case>& cases) {
  for (const SeqAt seq : {SeqAt::kOld, SeqAt::kNext, SeqAt::kAhead}) {
    for (const AckAt ack : {AckAt::kOld, AckAt::kUna, AckAt::kNext, AckAt::kBeyond}) {
      for (const uint32_t text : {0u, 5u}) {
        for (const int bits : {kAck, kFin | kAck}) {
          cases.push_back(
              {&place,
               {.name = "", .flags = bits, .seq = seq, .ack = ack, .text = text, .window = 0}});
        }
      }
    }
  }
}

std::string BitsText(int flags) {
  static constexpr std::pair<int, const char*> kNames[] = {
      {kSyn, "SYN"}, {kFin, "FIN"}, {kRst, "RST"}, {kPsh, "PSH"}, {kUrg, "URG"}, {kAck, "ACK"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((flags & bit) != 0) text += (text.empty() ? "" : ",") + std::string(name);
  }
  return text.empty() ? "none" : text;
}

const char* SeqText(SeqAt seq) {
  static constexpr const char* kNames[] = {"IRS",        "RCV.NXT",           "RCV.NXT-1",
                                           "RCV.NXT+10", "RCV.NXT+RCV.WND-2", "RCV.NXT+RCV.WND"};
  return kNames[static_cast<int>(seq)];
}

const char* AckText(AckAt ack) {
  static constexpr const char* kNames[] = {"-",         "SND.UNA",   "SND.NXT",
                                           "SND.NXT+1", "SND.UNA-1", "SND.UNA-70000"};
  return kNames[static_cast<int>(ack)];
}

// What a step of the model did, in the RFC's words: numbers are named after the variables.
std::string Outcome(const Model::Step& step, const Model& after, State before,
                    uint32_t snd_una_before) {
  std::string text;
  for (const Segment& s : step.sent) {
    text += "<CTL=" + BitsText(s.flags) + ">";
    if (s.Has(kRst)) {
      text += s.Has(kAck) ? "<SEQ=0><ACK=SEG.SEQ+SEG.LEN>" : "<SEQ=SEG.ACK>";
    } else if (s.Has(kSyn)) {
      text += "<SEQ=ISS><ACK=RCV.NXT>";
    } else {
      text += "<SEQ=SND.NXT><ACK=RCV.NXT>";
    }
  }
  if (text.empty()) text = "-";
  text += "\t";
  text += after.state() == before ? "same" : ToString(after.state());
  std::string taken;
  // Not of a connection that begins anew in TIME-WAIT.
  const bool lives = after.state() != State::kClosed && after.state() != State::kListen &&
                     (before != State::kTimeWait || after.state() == before);
  if (lives && before != State::kListen && after.snd_una() != snd_una_before) {
    taken += " acks " + std::to_string(after.snd_una() - snd_una_before);
  }
  if (step.delivered != 0) taken += " text " + std::to_string(step.delivered);
  for (const model::Event event : step.events) {
    static constexpr const char* kNames[] = {" open", " fin", " reset", " refused"};
    taken += kNames[static_cast<int>(event)];
  }
  return text + "\t" + (taken.empty() ? "-" : taken.substr(1));
}

// The model alone: the place, then the segment.
std::string ModelOutcome(const Case& c, const model::Decisions& decisions) {
  Model m({.receive_window = c.place->window,
           .listener = c.place->opening == Opening::kPassive,
           .decisions = decisions});
  if (c.place->opening == Opening::kActive) m.ActiveOpen();
  for (const Symbol& step : c.place->steps) {
    switch (step.call) {
      case Call::kSend:
        m.Send(step.text);
        break;
      case Call::kClose:
        m.Close();
        break;
      case Call::kStopReading:
        m.StopReading();
        break;
      default:
        m.SegmentArrives(SegmentFor(step, m));
        break;
    }
  }
  const State before = m.state();
  const uint32_t snd_una = m.snd_una();
  const Model::Step step = m.SegmentArrives(SegmentFor(c.segment, m));
  return Outcome(step, m, before, snd_una);
}

}  // namespace

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const Place* place : {&kClosed, &kListen, &kSynSent}) AddUnsynchronized(*place, cases);
  for (const Place& place : kSynchronized) AddSynchronized(place, cases);
  for (const Place& place : kSynchronized) AddClosingWindow(place, cases);
  for (const Place& place : kFull) AddAtClosedWindow(place, cases);
  for (const Place& place : kFull) AddClosingWindow(place, cases);
  return cases;
}

std::string Row(const Case& c, std::string* difference) {
  // What the engine does is what the model with the engine's decisions does, or there is a
  // difference.
  std::vector<Symbol> sequence = c.place->steps;
  sequence.push_back(c.segment);
  *difference = Compare(c.place->opening, model::kShipped, sequence, 1'000'000, c.place->window);
  const std::string shipped = ModelOutcome(c, model::kShipped);
  std::string main_text = ModelOutcome(c, {});
  const bool departs = shipped != main_text;
  std::replace(main_text.begin(), main_text.end(), '\t', ' ');
  const std::string rcv_wnd = c.place->closes_window ? "0" : std::to_string(c.place->window);
  std::string row = std::string(c.place->name) + "\t" + rcv_wnd + "\t" + BitsText(c.segment.flags) +
                    "\t" + SeqText(c.segment.seq) + "\t" + AckText(c.segment.ack) + "\t" +
                    std::to_string(c.segment.window) + "\t" + std::to_string(c.segment.text) +
                    "\t" + shipped;
  return row + "\t" + (departs ? main_text : "=");
}

}  // namespace millrace::conformance
