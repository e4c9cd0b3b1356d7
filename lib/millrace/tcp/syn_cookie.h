// tcp/syn_cookie.h - SYN cookies: a passive open that is remembered by the peer (RFC 4987 3.6).
//
// The sequence number of the SYN-ACK is the whole state:
//   bits 31..8  24 bits of SipHash-2-4 over the tuple, the peer's ISN, the epoch and the bits below
//   bits  7..0  epoch parity (1), SACK-permitted (1), window scale index (3), MSS index (3), hidden
//               by eight more bits of the hash
// An epoch lasts 15 s and its number is part of what is hashed, which makes it a key of its own;
// the present and the previous one are believed, so a cookie lives 15 to 30 s. With timestamps the
// low four bits of the SYN-ACK's TSval carry the peer's window shift exactly; the index is coarser.
// A blind guess is right with probability 2^-24. The MSS and, without timestamps, the window scale
// are rounded down: never more is sent than the peer allows.
// Threading: pure functions. Cost: two SipHashes.
#ifndef MILLRACE_TCP_SYN_COOKIE_H_
#define MILLRACE_TCP_SYN_COOKIE_H_

#include <cstdint>

#include "millrace/base/siphash.h"
#include "millrace/base/time.h"
#include "millrace/tcp/half_open.h"

namespace millrace::tcp {

inline constexpr Duration kSynCookieEpoch = Duration::Seconds(15);
// A cookie is never believed for longer than this after it was sent.
inline constexpr Duration kSynCookieLife = kSynCookieEpoch * 2;

// What names the tuple (stack/flow_key.h) and the secret; the key is used for nothing else.
struct SynCookieKey {
  SipKey key;
  uint64_t addresses, ports;
};

// The sequence number of the SYN-ACK that answers the SYN of which `half_open` was made.
SeqNum MakeSynCookie(const SynCookieKey& key, const HalfOpen& half_open, const Env& env);

// The SYN-ACK with the cookie in it. Nothing else is kept.
TxSegment SynAckWithCookie(const SynCookieKey& key, HalfOpen half_open, const Env& env);

// True when `segment` acknowledges a cookie of the tuple: *half_open is then what the SYN said, for
// Establish. REQUIRES: ACK without SYN and RST.
[[nodiscard]] bool CheckSynCookie(const SynCookieKey& key, const wire::Segment& segment,
                                  uint32_t ts_offset, const Env& env, HalfOpen* half_open);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SYN_COOKIE_H_
