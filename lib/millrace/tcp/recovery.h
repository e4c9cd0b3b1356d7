// tcp/recovery.h - what a connection remembers once more than one segment is in flight, or
// something went wrong; taken from a pool of the core then, and given back when it says nothing
// any more. A connection without one recovers by NewReno from the variables of its Tcb.
//
// Tcb::recovery names the record (kRecord says that there is one). kTracked says that its
// scoreboard covers [snd_una, snd_nxt), which it does for a peer with SACK while more than one
// segment is outstanding; then tcp/recovery.cc replaces the rules of tcp/input_ack.cc.
#ifndef MILLRACE_TCP_RECOVERY_H_
#define MILLRACE_TCP_RECOVERY_H_

#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/base/slab.h"
#include "millrace/tcp/bbr.h"
#include "millrace/tcp/congestion_control.h"
#include "millrace/tcp/prr.h"
#include "millrace/tcp/rack.h"
#include "millrace/tcp/rtt.h"
#include "millrace/tcp/scoreboard.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::tcp {

// What Timer::kRetransmit stands for in a tracked connection: exactly one of the three (RFC 8985
// section 8).
enum class LossTimer : uint8_t { kRetransmission, kProbe, kReorder };

// What is needed to undo a reduction that turns out to be wrong (RFC 4015).
struct Undo {
  CongestionState state;   // before the reduction
  uint32_t pipe_prev = 0;  // RFC 4015: max(FlightSize, ssthresh) before it
  uint32_t srtt_prev_us = 0, rttvar_prev_us = 0;
  uint32_t retransmit_ts = 0;   // TSval of the first retransmission, with has_retransmit_ts
  SeqNum first_end;             // and where it ended
  uint32_t repeated_bytes = 0;  // retransmitted since, less what D-SACK reported as duplicate
  SeqNum from;                  // SND.UNA at the reduction: D-SACK below it is of earlier times
  SeqNum repeated_end;          // nothing from here on was retransmitted since
  bool possible = false;        // a reduction that may be undone is in force
  bool has_retransmit_ts = false;
  bool repeated = false;  // something was retransmitted since
};

// RFC 5682: forward RTO-recovery.
enum class Frto : uint8_t {
  kOff,
  kHeadSent,  // step 1 done: the first segment went out again
  kNewSent,   // step 2b done: two new segments went out (without SACK)
};

struct Recovery {
  Scoreboard board;
  Rack rack;
  TailProbe probe;
  Prr prr;
  CongestionState congestion;
  Undo undo;
  uint32_t rto_tick = 0;      // when the RTO expires or would, were another timer not armed
  uint32_t reorder_tick = 0;  // when RACK looks again, with reorder_pending
  wire::SackBlock duplicate;  // to be reported as D-SACK, with duplicate_due
  uint32_t sent_tick = 0;     // when data was sent last, as far as the record knows
  uint32_t flight_max = 0;    // octets outstanding at most before flight_end is acknowledged
  SeqNum flight_end;
  uint32_t fresh = 0;         // NewReno: octets behind Tcb::recover when the hole was sent again
  SeqNum echo_end;            // with echo_guard: no reaction to ECE before this is acknowledged
  uint32_t gate_us = 0;       // with gated: the next segment may go at this Env::us
  uint16_t gate_ns = 0;       // and so many nanoseconds
  uint16_t longest_sent = 0;  // text of a segment, since there is a record
  // A "packet too big" that is not believed yet (tcp/path_mtu.cc): so many octets pass, options
  // included, and the segment at claim_seq was longer. 0: there is none.
  uint16_t claim_mss = 0;
  SeqNum claim_seq;
  bool timeout_explained = false;  // by such a message: the first time-out has reduced nothing
  LossTimer timer = LossTimer::kRetransmission;
  Frto frto = Frto::kOff;
  bool reorder_pending = false;
  bool duplicate_due = false;
  bool probe_due = false;  // the probe timer has expired: output sends a tail loss probe
  bool echo_guard = false;
  bool gated = false;    // by pacing, or by ECE at a window of one segment
  bool cwr_due = false;  // the window was reduced: the next new segment says CWR (RFC 3168)
  bool rescued = false;  // RFC 6675 NextSeg (4): once per recovery
  bool limited_transmit = false;  // RFC 3042: one or two duplicate ACKs let new segments go
  bool partial_seen = false;      // RFC 6582: the first partial ACK has restarted the timer
};

struct RecoveryPool {
  // `with_bbr`: what BBR needs beside each record and run.
  RecoveryPool(uint32_t records_max, uint32_t runs_max, bool with_bbr)
      : records(records_max),
        runs(runs_max, Region::Pages::kPreferHuge, with_bbr),
        bbrs(with_bbr ? records_max : 0) {}
  // False: memory for less than was asked for.
  bool IsComplete(uint32_t records_max, uint32_t runs_max, bool with_bbr) const {
    return records.capacity() == records_max && runs.capacity() == runs_max &&
           (!with_bbr || (bbrs.capacity() == records_max && runs.has_marks()));
  }
  Slab<Recovery> records;
  SentRunPool runs;
  Slab<Bbr> bbrs;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RECOVERY_H_
