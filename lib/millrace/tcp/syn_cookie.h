// tcp/syn_cookie.h - SYN cookies: a passive open that is remembered by the peer (RFC 4987 3.6).
//
// The sequence number of the SYN-ACK is the whole state:
//   bits 31..8  24 bits of SipHash-2-4 over the tuple, the peer's ISN and the bits below
//   bit      7  which of the two keys it was made under (tcp/syn_cookie_keys.h)
//   bits  6..0  MSS index (3), window scale index (3), SACK-permitted (1), hidden by a hash
// With timestamps the low four bits of the SYN-ACK's TSval carry the peer's window shift exactly;
// the index is coarser.
// A blind guess is right with probability 2^-24. The MSS and, without timestamps, the window scale
// are rounded down: never more is sent than the peer allows.
// Threading: the keys' owner. Cost: two SipHashes.
#ifndef MILLRACE_TCP_SYN_COOKIE_H_
#define MILLRACE_TCP_SYN_COOKIE_H_

#include <cstdint>

#include "millrace/tcp/half_open.h"
#include "millrace/tcp/syn_cookie_keys.h"

namespace millrace::tcp {

// What names the tuple (stack/flow_key.h).
struct SynCookieTuple {
  uint64_t addresses, ports;
};

// The sequence number of the SYN-ACK that answers the SYN of which `half_open` was made.
SeqNum MakeSynCookie(SynCookieKeys& keys, const SynCookieTuple& tuple, const HalfOpen& half_open,
                     const Env& env);

// The SYN-ACK with the cookie in it. Nothing else is kept.
TxSegment SynAckWithCookie(SynCookieKeys& keys, const SynCookieTuple& tuple, HalfOpen half_open,
                           const Env& env);

// True when `segment` acknowledges a cookie of the tuple: *half_open is then what the SYN said, for
// Establish. REQUIRES: ACK without SYN and RST.
[[nodiscard]] bool CheckSynCookie(SynCookieKeys& keys, const SynCookieTuple& tuple,
                                  const wire::Segment& segment, uint32_t ts_offset, const Env& env,
                                  HalfOpen* half_open);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SYN_COOKIE_H_
