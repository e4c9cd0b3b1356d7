// tcp/half_open.h - SYN-RECEIVED of a passive open: what is known of a peer before it has shown
// that it receives what is sent to it.
//
// 28 octets instead of a Tcb: a flood of SYNs costs little. The engine adds the tuple and a timer
// link and keeps all within one cache line (stack/records.h).
#ifndef MILLRACE_TCP_HALF_OPEN_H_
#define MILLRACE_TCP_HALF_OPEN_H_

#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/isn.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

struct HalfOpen {
  SeqNum iss, irs;
  uint32_t ts_recent;
  uint32_t ts_offset;
  uint32_t sent_us;          // Env::us of the last SYN-ACK or challenge ACK
  uint16_t peer_mss;         // as received; 536 when there was no option
  wire::OptionBits options;  // of the SYN that we agree to
  uint8_t peer_window_scale : 4;
  uint8_t retransmits : 4;
  bool ecn : 1;         // agreed to (RFC 3168 6.1.1)
  bool sent_again : 1;  // sent_us is not that of the first SYN-ACK: not to be timed (MUST-18)
};

enum class HalfOpenVerdict : uint8_t {
  kDrop,
  kSendSynAck,  // again
  kSendAck,     // challenge ACK
  kSendReset,   // MakeReset of the segment; the entry stays (ACK-09)
  kRemove,      // RST: back to LISTEN, the application is not told
  kEstablish,   // make a Tcb by Establish and give it the segment
};

// True for a SYN that may open: SYN alone among SYN, ACK, RST, FIN (RFC 9293 3.10.7.2).
inline bool IsOpeningSyn(const wire::Segment& segment) {
  return (segment.flags & (wire::kSyn | wire::kAck | wire::kRst | wire::kFin)) == wire::kSyn;
}

HalfOpen MakeHalfOpen(const wire::Segment& syn, const TupleSecrets& secrets, const Env& env);

// RFC 9293 section 3.10.7.4 in SYN-RECEIVED after a passive open.
HalfOpenVerdict OnHalfOpenSegment(HalfOpen& half_open, const wire::Segment& segment, Env& env);

TxSegment SynAckOf(const HalfOpen& half_open, const Env& env);
TxSegment ChallengeAckOf(const HalfOpen& half_open, const Env& env);

// Called when the deadline is reached: true, send the SYN-ACK again; false, given up. `crowded`:
// its listener is short of room, so that one retransmission has to do (SFL-08, SFL-12).
[[nodiscard]] bool OnHalfOpenTimeout(HalfOpen& half_open, bool crowded, Env& env);
// The tick of the next deadline: 1, 2, 4, ... s from now.
uint32_t HalfOpenDeadlineTick(const HalfOpen& half_open, const Env& env);

// Makes `tcb` a SYN-RECEIVED connection that OnSegment completes with the peer's ACK.
void Establish(Tcb& tcb, const HalfOpen& half_open, Env& env);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_HALF_OPEN_H_
