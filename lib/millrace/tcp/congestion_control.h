// tcp/congestion_control.h - the closed set of congestion controls behind one interface.
//
// Congestion (tcp/congestion.h) is the window and the threshold that every connection has;
// CongestionState is what an algorithm remembers beside them, in the connection's recovery record.
// Config::congestion chooses; a switch dispatches, there is no virtual call and no allocation.
// A connection that never has two segments in flight comes to none of these functions.
#ifndef MILLRACE_TCP_CONGESTION_CONTROL_H_
#define MILLRACE_TCP_CONGESTION_CONTROL_H_

#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/tcp/config.h"
#include "millrace/tcp/congestion.h"
#include "millrace/tcp/cubic.h"
#include "millrace/tcp/hystart.h"

namespace millrace::tcp {

// DCTCP's estimate of the share of marked octets (RFC 8257 3.3).
struct DctcpState {
  static constexpr uint32_t kOne = 1u << 16;  // alpha of 1
  uint32_t alpha = kOne;                      // "DCTCP.Alpha ... SHOULD be initialized to 1"
  uint32_t acked_bytes = 0;                   // of the observation window
  uint32_t marked_bytes = 0;
  SeqNum window_end;
  bool started = false;
};

class Bbr;

struct CongestionState {
  Cubic cubic;
  HyStart hystart;
  DctcpState dctcp;
  Bbr* bbr = nullptr;  // in RecoveryPool::bbrs; of kBbr, null: it is NewReno
};

// What an ACK of new data says to the algorithm.
struct AckSample {
  uint32_t acked_bytes;
  uint32_t flight_bytes;  // outstanding before the ACK
  uint32_t mss;
  uint32_t now_us;
  uint32_t srtt_us;
  uint32_t rtt_us;  // of a segment that was sent once; 0: none
  SeqNum snd_una, snd_nxt;
};

// An ACK outside of recovery: the window grows. Not by BBR, which takes every ACK (FollowModel of
// tcp/loss_recovery.h).
void GrowWindow(Congestion& c, CongestionState& s, const AckSample& ack, const Config& config);

// DCTCP's bookkeeping, for every ACK of new data of a connection with ECN. `echo`: ECE was set.
void CountMarks(CongestionState& s, const AckSample& ack, bool echo);

// A loss was detected with so many octets outstanding: sets ssthresh and leaves cwnd to the
// recovery (PRR brings it to ssthresh).
void ReduceForLoss(Congestion& c, CongestionState& s, uint32_t outstanding, uint32_t mss,
                   const Config& config);
// ECE: ssthresh and cwnd at once (RFC 3168 6.1.2, RFC 8257 3.3, RFC 9438 4.6).
void ReduceForEcho(Congestion& c, CongestionState& s, uint32_t mss, uint32_t now_us,
                   const Config& config);
// The retransmission timer expired: the loss window. `first`: not a repeated time-out of the same
// data, which leaves ssthresh (RFC 5681 3.1).
void ReduceForTimeout(Congestion& c, CongestionState& s, uint32_t outstanding, uint32_t mss,
                      bool first, const Config& config);
// A tail loss probe of `length` octets has repaired the single loss of a flight: as for a loss.
void ReduceForProbe(Congestion& c, CongestionState& s, uint32_t length, uint32_t mss,
                    uint32_t now_us, const Config& config);
// RFC 5681 4.1: nothing was sent for longer than the RTO.
void RestartAfterIdle(Congestion& c, CongestionState& s, uint32_t mss, const Config& config);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_CONGESTION_CONTROL_H_
