#include "differential/rules.h"

namespace millrace::differential {
namespace {

using model::kAck;
using model::kFin;
using model::kRst;
using model::kSyn;
using model::Segment;
using model::State;

bool Above(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

bool IsSegment(const Difference& d) { return d.symbol.call == model::Call::kSegment; }

bool AfterPeersFin(State state) {
  return state == State::kCloseWait || state == State::kClosing || state == State::kLastAck;
}

// Only one side sent something, and that one bare ACK.
bool OnlyOneAcks(const Difference& d) {
  const auto is_ack = [](const std::vector<Segment>& sent) {
    return sent.size() == 1 && sent[0].flags == kAck && sent[0].text == 0;
  };
  return (d.kernel.empty() && is_ack(d.millrace)) || (d.millrace.empty() && is_ack(d.kernel));
}

// Only one segment was sent, and this one; `ack` counts where it has an ACK.
bool Is(const std::vector<Segment>& sent, int flags, uint32_t seq, uint32_t ack) {
  return sent.size() == 1 && sent[0].flags == flags && sent[0].text == 0 && sent[0].seq == seq &&
         (!sent[0].Has(kAck) || sent[0].ack == ack);
}

constexpr Rule kRules[] = {
    {"no control bits",
     "Millrace drops a segment without any control bit before anything looks at it; Linux answers "
     "it from CLOSED.",
     true, false, [](const Difference& d) { return IsSegment(d) && d.segment.flags == 0; }},
    {"text behind the peer's FIN",
     "Linux resets the connection; Millrace ignores what cannot be (RFC 9293: \"Ignore the segment "
     "text\").",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && AfterPeersFin(d.before) &&
              Above(d.segment.seq + d.segment.Length(), d.rcv_nxt);
     }},
    {"SYN with RST",
     "Linux counts the SYN of a RST at RCV.NXT-1 into the window and challenges it; Millrace looks "
     "at SEQ alone.",
     true, false,
     [](const Difference& d) {
       return IsSegment(d) && d.segment.Has(kSyn) && d.segment.Has(kRst) && OnlyOneAcks(d);
     }},
    {"ACK of nothing in a simultaneous open",
     "In SYN-RECEIVED Millrace resets what acknowledges nothing new (RFC 9293: \"form a reset "
     "segment\"); Linux drops it, or keeps its text, and from then on challenges what it reset "
     "before.",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && d.active && d.before == State::kSynReceived &&
              d.segment.flags == kAck && d.segment.ack == d.snd_una &&
              Is(d.millrace, kRst, d.segment.ack, 0) &&
              (d.segment.text == 0 ? d.kernel.empty() : Is(d.kernel, kAck, d.snd_nxt, d.rcv_nxt));
     }},
    {"CLOSE in a simultaneous open",
     "Millrace sends its FIN in SYN-RECEIVED (RFC 9293 3.10.4); Linux waits for ESTABLISHED.",
     false, false,
     [](const Difference& d) {
       return d.symbol.call == model::Call::kClose && d.active && d.before == State::kSynReceived &&
              d.kernel.empty() && Is(d.millrace, kFin | kAck, d.snd_nxt, d.rcv_nxt);
     }},
    {"text on the SYN,ACK that crosses ours",
     "Millrace takes it with the ACK (figure 7); Linux leaves it to be sent again.", false, false,
     [](const Difference& d) {
       return IsSegment(d) && d.active && d.before == State::kSynReceived &&
              d.segment.flags == (kSyn | kAck) && d.segment.seq + 1 == d.rcv_nxt &&
              d.segment.ack == d.snd_nxt && d.segment.text != 0 &&
              Is(d.kernel, kAck, d.snd_nxt, d.rcv_nxt) &&
              Is(d.millrace, kAck, d.snd_nxt, d.rcv_nxt + d.segment.text);
     }},
    {"RST at the peer's FIN",
     "Linux takes a RST one below RCV.NXT when the peer's FIN was the last: some peers send that. "
     "Millrace asks for RCV.NXT (RFC 5961).",
     false, true,
     [](const Difference& d) {
       return IsSegment(d) && AfterPeersFin(d.before) && d.segment.Has(kRst) &&
              d.segment.seq + 1 == d.rcv_nxt;
     }},
    {"ACK and FIN apart",
     "Linux acknowledges and then closes in two segments where Millrace's FIN carries the ACK.",
     true, false,
     [](const Difference& d) {
       return d.kernel.size() == 2 && d.millrace.size() == 1 && d.kernel[0].flags == kAck &&
              d.kernel[1] == d.millrace[0] && d.millrace[0].Has(kFin);
     }},
    {"duplicate ACK beside text",
     "A segment out of order earns a duplicate ACK, which has no text (RFC 5681 section 2); Linux "
     "lets text that goes out at the same time stand for it.",
     true, false,
     [](const Difference& d) {
       return d.millrace.size() == d.kernel.size() + 1 && !d.kernel.empty() &&
              d.kernel.back() == d.millrace[d.kernel.size() - 1] &&
              d.millrace.back().flags == kAck && d.millrace.back().text == 0;
     }},
    {"which window is the last",
     "Millrace takes a window by SND.WL1 and SND.WL2 as the RFC says; Linux also that of every ACK "
     "of something new, and of segments that end at RCV.NXT. So one has an open window and sends.",
     false, false,
     [](const Difference& d) {
       const bool kernel_sends = !d.kernel.empty() && d.kernel.back().Length() != 0;
       const bool millrace_sends = !d.millrace.empty() && d.millrace.back().Length() != 0;
       return d.window_was_closed && kernel_sends != millrace_sends;
     }},
    {"SYN in the window of SYN-RECEIVED",
     "Linux follows RFC 9293 (back to LISTEN, with a RST); Millrace challenges it as RFC 5961 does "
     "in the synchronized states.",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && !d.active && d.before == State::kSynReceived &&
              d.segment.flags == kSyn && d.segment.seq - d.rcv_nxt < d.rcv_wnd &&
              d.kernel.size() == 1 && d.kernel[0].flags == (kRst | kAck) &&
              d.kernel[0].ack == d.segment.seq + d.segment.Length() &&
              Is(d.millrace, kAck, d.snd_nxt, d.rcv_nxt);
     }},
    {"repeated SYN with more on it",
     "A SYN as the first, but with text or a FIN: our SYN,ACK was lost, so Millrace repeats it; "
     "Linux does so for a bare one only.",
     true, false,
     [](const Difference& d) {
       return IsSegment(d) && !d.active && d.before == State::kSynReceived &&
              (d.segment.flags & ~kFin) == kSyn && d.segment.Length() > 1 &&
              d.segment.seq + 1 == d.rcv_nxt && Is(d.kernel, kAck, d.snd_nxt, d.rcv_nxt) &&
              Is(d.millrace, kSyn | kAck, d.snd_nxt - 1, d.rcv_nxt);
     }},
    {"SYN,ACK in SYN-RECEIVED of the unsent",
     "Millrace looks at the SYN first (RFC 9293, fourth step) and challenges it; Linux at the ACK, "
     "which it resets.",
     true, false,
     [](const Difference& d) {
       return IsSegment(d) && !d.active && d.before == State::kSynReceived &&
              d.segment.flags == (kSyn | kAck) && Above(d.segment.ack, d.snd_nxt) &&
              Is(d.kernel, kRst, d.segment.ack, 0) && Is(d.millrace, kAck, d.snd_nxt, d.rcv_nxt);
     }},
    {"two ends of the peer's stream",
     "Text or a FIN lies behind another FIN: Linux believes the nearer FIN, Millrace the first to "
     "arrive.",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && (d.segment.Has(kFin) || d.fin_ahead) && d.kernel.size() == 1 &&
              d.millrace.size() == 1 && d.kernel[0].ack != d.millrace[0].ack;
     }},
    {"segment that ends at RCV.NXT",
     "Left of the window for the RFC and Millrace, so that its ACK does not count; Linux takes the "
     "ACK of a segment that ends at RCV.NXT.",
     false, true,
     [](const Difference& d) {
       return IsSegment(d) && d.segment.Length() != 0 &&
              d.segment.seq + d.segment.Length() == d.rcv_nxt &&
              (d.differs || Above(d.segment.ack, d.snd_una));
     }},
    {"header prediction and old ACKs",
     "Linux does not look at the result of the RFC 5961 section 5 check for text in order that "
     "takes "
     "its fast path; Millrace drops the text.",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && d.segment.text != 0 && d.segment.seq == d.rcv_nxt &&
              Above(d.snd_una - 65535, d.segment.ack) && d.kernel.size() == 1 &&
              d.kernel[0].ack == d.rcv_nxt + d.segment.text;
     }},
    {"ACK below all that was acknowledged",
     "Linux takes RFC 5961's MAX.SND.WND as no more than what was ever acknowledged, so an ACK "
     "below "
     "ISS+1 is challenged.",
     false, false,
     [](const Difference& d) {
       return IsSegment(d) && d.segment.Has(kAck) && Above(1, d.segment.ack) && OnlyOneAcks(d);
     }},
};

}  // namespace

const Rule* Explain(const Difference& difference) {
  for (const Rule& rule : kRules) {
    if ((difference.differs || rule.silent) && rule.explains(difference)) return &rule;
  }
  return nullptr;
}

}  // namespace millrace::differential
