// tcp/tcb.h - the transmission control block: one connection from SYN-SENT to LAST-ACK.
//
// The variables carry the names of RFC 9293 section 3.3.1. The layout is by use, in thirds of 64
// octets ("lines"): the first is what every segment touches, the second what sending and timers
// touch, the third what opening, closing and loss touch. The static_asserts at the end keep it so.
// They are not cache lines: records of 240 octets (stack/records.h) begin anywhere.
// SYN-RECEIVED of a passive open lives in tcp/half_open.h, TIME-WAIT in tcp/time_wait.h.
#ifndef MILLRACE_TCP_TCB_H_
#define MILLRACE_TCP_TCB_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/check.h"
#include "millrace/base/seq.h"
#include "millrace/tcp/congestion.h"
#include "millrace/tcp/receive_queue.h"
#include "millrace/tcp/rtt.h"
#include "millrace/tcp/send_buffer.h"
#include "millrace/tcp/state.h"
#include "millrace/tcp/timers.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

// Properties and facts of a connection, in Tcb::bits.
enum TcbBit : uint32_t {
  kPassiveOpen = 1u << 0,  // RFC 9293 3.5 (MUST-11): the origin of the OPEN is remembered
  // Negotiated: where wire::OptionBits have them.
  kWindowScalingOn = wire::kWindowScaleOption,
  kSackOn = wire::kSackPermittedOption,
  kTimestampsOn = wire::kTimestampsOption,
  kNegotiated = kWindowScalingOn | kSackOn | kTimestampsOn,
  // The application's wishes.
  kNoDelay = 1u << 4,         // Nagle off (MUST-17)
  kFinQueued = 1u << 5,       // nothing will be sent after what is in the buffer
  kReceiveClosed = 1u << 6,   // the application takes no more data (full close)
  kWritableWanted = 1u << 7,  // Send returned short; say when there is room
  // Facts that input, timers and the application leave for output.
  kAckNow = 1u << 8,
  kRetransmitHead = 1u << 9,  // fast retransmit, partial ACK
  kProbe = 1u << 10,          // zero-window probe or the SWS override (RFC 9293 3.8.6.2.1)
  kResetNow = 1u << 11,       // send RST, then CLOSED
  // State of algorithms.
  kRttTiming = 1u << 12,        // rtt_seq and rtt_start_us are valid
  kFastRecovery = 1u << 13,     // RFC 6582
  kTimeoutRecovery = 1u << 14,  // between a retransmission time-out and its recover
  kTsRecentValid = 1u << 15,
  kFinSeen = 1u << 16,      // rcv_fin_seq is valid: the peer's FIN arrived, maybe early
  kFinReceived = 1u << 17,  // and everything before it: rcv_nxt counts it
  kSynRetransmitted = 1u << 18,
  kRecoverValid = 1u << 19,  // recover holds a value (RFC 6582: initially none)
  kFinAcked = 1u << 20,      // the peer acknowledged our FIN
  kNoPush = 1u << 25,        // more is to follow what was sent last: no PSH behind it
  // Fast Open, until the handshake is complete: data may go with the SYN or, passive, before it is.
  kFastOpen = 1u << 26,
  kCork = 1u << 27,          // less than a segment waits (FLW-10), whatever kNoDelay says
  kKeepaliveDue = 1u << 28,  // send a probe (tcp/liveness.h)
  kWatched = 1u << 29,       // `extra` has a say: segments and sends pass tcp/liveness.h
  kRecord = 1u << 21,        // `recovery` names a record (tcp/recovery.h)
  kSackDue = 1u << 22,       // the next ACK has SACK blocks to tell of
  // ECN (RFC 3168).
  kEcnOn = 1u << 23,    // negotiated
  kEcnEcho = 1u << 24,  // congestion was experienced: ECE on every segment until CWR comes
  // Two bits: duplicate ACKs owed for segments out of order, 0 to 3. A burst is acknowledged once,
  // but a sender that counts duplicate ACKs (RFC 5681 3.2) needs three to repair a loss.
  kDuplicateAckUnit = 1u << 30,
  kDuplicateAckMask = 3u << 30,
};

// What the application is to be told, in Tcb::events.
enum Event : uint8_t {
  kEventOpened = 1u << 0,
  kEventReadable = 1u << 1,
  kEventPeerClosed = 1u << 2,  // FIN after all data
  kEventWritable = 1u << 3,
  kEventClosed = 1u << 4,  // close_reason says why; the last event
  kEventUrgent = 1u << 5,  // the peer's urgent pointer has moved (tcp/urgent.cc)
};

enum class CloseReason : uint8_t {
  kNormal,       // both FINs acknowledged (MUST-12: told from an abort)
  kRefused,      // RST in SYN-SENT or SYN-RECEIVED of an active open
  kReset,        // RST from the peer, in SYN-RECEIVED of a passive Fast Open too
  kTimedOut,     // R2 (RFC 9293 3.8.3), or SYN retries used up
  kAborted,      // by the application, or because its close lost data (SHLD-3)
  kUnreachable,  // no neighbour answers, or ICMP in SYN-SENT
};
const char* ToString(CloseReason reason);

struct Tcb {
  // Line 0: every segment.
  SeqNum snd_una, snd_nxt;
  SeqNum rtx_nxt;    // what output sends next: snd_nxt, or below it while retransmitting
  uint32_t snd_wnd;  // scaled, octets
  SeqNum rcv_nxt;
  SeqNum rcv_adv;  // right edge of the window that was advertised; never moves left (SHLD-14)
  SeqNum last_ack_sent;
  uint32_t ts_recent;
  uint32_t bits;  // TcbBit
  State state;
  uint8_t events;
  CloseReason close_reason;
  uint8_t window_scales;  // low nibble: shift for what the peer sends; high: for what we send
  uint16_t snd_mss;       // effective, options subtracted (MUST-16)
  uint8_t duplicate_acks;
  uint8_t backoff : 5;   // doublings of the RTO; they stay until a round trip is timed
  uint8_t timeouts : 3;  // in a row without progress; 7 and more are 7
  SeqNum snd_wl1, snd_wl2;
  uint32_t snd_wnd_max;
  uint32_t ts_offset;             // added to the timestamp clock, per tuple (RFC 7323 5.4)
  uint32_t receive_buffer_bytes;  // at most what the window field can say

  // Line 1: sending, receiving, timers.
  SendBuffer send;                          // 20
  ReceiveQueue receive;                     // 24
  [[no_unique_address]] TimerTable timers;  // 17
  // Octets of text of the longest segment that the peer has acknowledged, as far as NoteArrived
  // (tcp/internal.h) keeps count.
  uint16_t longest_arrived;

  // Line 2: opening, closing, loss.
  Congestion congestion;  // 12
  SeqNum recover;         // RFC 6582
  RttEstimator rtt;       // 8
  SeqNum rtt_seq;         // the timed segment ends here
  uint32_t rtt_start_us;
  SeqNum iss, irs;
  SeqNum rcv_fin_seq;       // sequence number of the peer's FIN; after kFinReceived see fin_tick()
  uint32_t challenge_tick;  // of the last limited ACK
  uint32_t progress_tick;   // when the peer last showed life while we waited for it (R2)
  uint32_t recovery;        // index in RecoveryPool::records, with kRecord
  uint32_t ts_recent_s;     // seconds of `now` when ts_recent was taken (24 days, RFC 7323 5.5)
  uint32_t extra;           // index + 1 in Env::extras, 0: none (tcp/extra.h)

  bool Has(uint32_t any_of) const { return (bits & any_of) != 0; }
  void Set(uint32_t which) { bits |= which; }
  void Clear(uint32_t which) { bits &= ~which; }

  int snd_window_shift() const { return window_scales & 0x0F; }
  int rcv_window_shift() const { return window_scales >> 4; }
  // Of the options of every segment.
  uint16_t OptionBytes() const { return Has(kTimestampsOn) ? 12 : 0; }
  uint32_t flight() const { return snd_nxt.Since(snd_una); }  // octets sent, not acknowledged
  // The window that the peer may use, from rcv_nxt on.
  uint32_t rcv_wnd() const { return rcv_adv.Since(rcv_nxt); }

  // Env::tick when the peer's FIN was taken. REQUIRES: kFinReceived.
  uint32_t fin_tick() const { return rcv_fin_seq.value(); }
  // True while our SYN is not acknowledged: it occupies snd_una.
  bool SynOutstanding() const { return !IsSynchronized(state) && state != State::kClosed; }
  // Sequence number of the first octet of the send buffer, and of the octet behind the last one,
  // which is where our FIN goes.
  SeqNum data_begin() const { return SynOutstanding() ? snd_una + 1 : snd_una; }
  SeqNum data_end() const { return data_begin() + send.size_bytes(); }
  // True when our FIN was sent at least once; false before, and when none is queued.
  bool FinSent() const { return Has(kFinAcked) || (Has(kFinQueued) && snd_nxt == data_end() + 1); }
};

static_assert(offsetof(Tcb, send) == 64, "line 0 is what every segment touches");
static_assert(offsetof(Tcb, congestion) == 128, "line 1 is sending, receiving and timers");
static_assert(sizeof(Tcb) == 192);

// The only way to change the state: checks the table of state.h.
inline void Transition(Tcb& tcb, State to) {
  MR_DCHECK(IsLegalTransition(tcb.state, to));
  tcb.state = to;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_TCB_H_
