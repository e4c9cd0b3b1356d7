// model/model.h - RFC 9293's state machine, as plainly as it can be written.
//
// This is the second opinion that tests/model/compare_test.cc holds the engine against. It is
// written from the text of RFC 9293 section 3.10 and includes nothing of lib/: one connection, one
// pair of sockets, no options, no retransmission, no congestion, unlimited memory. Time exists only
// as the TIME-WAIT time-out, which the user of the model calls. Where the RFC leaves a choice, or
// the engine departs from it on purpose, there is a switch in Decisions.
#ifndef MILLRACE_TESTS_MODEL_MODEL_H_
#define MILLRACE_TESTS_MODEL_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::model {

enum class State {
  kClosed,
  kListen,
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait1,
  kFinWait2,
  kCloseWait,
  kClosing,
  kLastAck,
  kTimeWait
};
const char* ToString(State state);

// Control bits, as in the header.
inline constexpr int kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32;

// A segment without options and with `text` octets of text; all numbers absolute.
struct Segment {
  int flags = 0;
  uint32_t seq = 0, ack = 0;
  uint32_t text = 0;
  uint32_t window = 65535;
  bool Has(int flag) const { return (flags & flag) != 0; }
  // SEG.LEN: the octets occupied by the data in the segment, counting SYN and FIN.
  uint32_t Length() const { return text + (Has(kSyn) ? 1 : 0) + (Has(kFin) ? 1 : 0); }
  bool operator==(const Segment&) const = default;
};

// What the user is told.
enum class Event { kOpened, kPeerClosed, kReset, kRefused };

// Choices that RFC 9293 leaves open, and departures from it. All false: the main text, every
// SHOULD followed, no MAY taken.
struct Decisions {
  // RFC 1337 F1 instead of 3.10.7.4: a RST does not end TIME-WAIT.
  bool rst_ignored_in_time_wait = false;
  // RFC 5961 section 4 in SYN-RECEIVED too, instead of going back to LISTEN.
  bool syn_challenged_in_syn_received = false;
  // A listener's SYN with FIN is dropped.
  bool syn_fin_dropped_in_listen = false;
  // Text (and FIN) on a segment that makes SYN-RECEIVED is not kept: the peer sends it again.
  bool text_on_syn_dropped = false;
  // MAY-2: a SYN above the last sequence number reopens a connection in TIME-WAIT.
  bool syn_reopens_time_wait = false;
  // MAY-12, RFC 5961 section 5: an ACK too old is answered and its segment dropped.
  bool old_ack_challenged = false;
  // The peer's SYN again in SYN-RECEIVED means that our SYN,ACK was lost: it is sent again, where
  // the main text answers with an ACK because the SYN lies left of the window.
  bool syn_again_answered_by_syn_ack = false;
  // Figure 7 against the first step: the SYN,ACK that crosses ours in a simultaneous open counts
  // as the ACK that it carries, although its SYN lies left of the window.
  bool crossing_syn_ack_taken = false;
  // A FIN behind the FIN is nonsense and gets no answer; of two at different places before either
  // is reached the first to arrive counts, and nothing behind it is taken.
  bool second_fin_ignored = false;
  // The user hears of a reset in CLOSING and LAST-ACK too.
  bool reset_told_when_closing = false;
  // TIME-WAIT answers every segment but a bare ACK at RCV.NXT, not only the FIN; that one gets no
  // answer whatever it acknowledges (two ends would answer each other for ever).
  bool time_wait_answers_what_has_length = false;
  // ABORT sends <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK> instead of a bare RST.
  bool abort_reset_has_ack = false;
  // A segment without any control bit is dropped before anything looks at it.
  bool no_flags_dropped = false;
  // MAX.SND.WND begins with the segment that completes the handshake, not with the SYN.
  bool window_of_syn_forgotten = false;
};

class Model {
 public:
  struct Options {
    uint32_t iss = 0;
    uint32_t next_iss = 0;        // of the connection that follows by MAY-2
    uint32_t receive_window = 0;  // RCV.WND while the text is read at once
    bool listener = false;        // there is a LISTEN behind a connection that ends
    Decisions decisions;
  };
  // What one call or segment led to.
  struct Step {
    std::vector<Segment> sent;
    std::vector<Event> events;
    uint32_t delivered = 0;  // octets of text, in order
    bool operator==(const Step&) const = default;
  };

  explicit Model(const Options& options);

  // 3.10.1 to 3.10.5. Send takes `octets` for transmission; Close is the user's CLOSE.
  Step ActiveOpen();
  Step Send(uint32_t octets);
  Step Close();
  Step Abort();
  // The user makes no more RECEIVE calls: from now on text takes its room of the window.
  void StopReading();
  // 3.10.7 and, for TIME-WAIT, 3.10.8.
  Step SegmentArrives(const Segment& segment);
  Step TimeWaitTimeout();

  State state() const { return state_; }
  uint32_t snd_una() const { return snd_una_; }
  uint32_t snd_nxt() const { return snd_nxt_; }
  uint32_t rcv_nxt() const { return rcv_nxt_; }
  uint32_t rcv_wnd() const { return reading_ ? options_.receive_window : right_edge_ - rcv_nxt_; }
  uint32_t iss() const { return iss_; }

 private:
  // 3.10.7.1 to 3.10.7.4, and the steps of the last.
  void ArrivesInClosed(const Segment& segment);
  void ArrivesInListen(const Segment& segment);
  void ArrivesInSynSent(const Segment& segment);
  void ArrivesOtherwise(const Segment& segment);
  bool Acceptable(const Segment& segment) const;
  void ArrivesAtClosedWindow(const Segment& segment);
  bool CheckReset(const Segment& segment);
  bool CheckSyn(const Segment& segment);
  bool CheckAck(const Segment& segment);
  void TakeAck(const Segment& segment);
  void TakeText(const Segment& segment);
  void TakeFin();
  void DeliverHeld();

  // A SYN that begins a connection as passive OPEN does, in LISTEN or (MAY-2) in TIME-WAIT.
  void BeginSynReceived(const Segment& syn, uint32_t iss);
  void UpdateSendWindow(const Segment& segment);
  void Emit(int flags, uint32_t seq, uint32_t ack, uint32_t text = 0);
  void Challenge() { Emit(kAck, snd_nxt_, rcv_nxt_); }
  void Transmit();  // text and FIN that wait and fit the window; an ACK when one is due
  void End(std::optional<Event> event);
  // TIME-WAIT under the decisions; false: go on with the RFC's steps.
  bool ArrivesInTimeWait(const Segment& segment);
  bool FinAcknowledged() const { return fin_sent_ && snd_una_ == snd_nxt_; }
  Step Finish();

  Options options_;
  Step step_;
  State state_ = State::kClosed;
  bool passive_ = false;
  uint32_t iss_ = 0, snd_una_ = 0, snd_nxt_ = 0, snd_wnd_ = 0, snd_wl1_ = 0, snd_wl2_ = 0;
  uint32_t max_snd_wnd_ = 0;
  uint32_t rcv_nxt_ = 0;
  uint32_t queued_ = 0;        // octets that the user sent and no segment carries yet
  bool close_called_ = false;  // a FIN goes behind what is queued
  bool fin_sent_ = false;
  bool ack_due_ = false;
  bool reading_ = true;
  uint32_t right_edge_ = 0;    // RCV.NXT+RCV.WND, when the user does not read
  uint32_t unread_bytes_ = 0;  // of text that the user has not read
  // Text beyond RCV.NXT that is held (SHLD-31), as [first, second), and where a held FIN is.
  std::vector<std::pair<uint32_t, uint32_t>> held_;
  std::optional<uint32_t> held_fin_;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_MODEL_H_
