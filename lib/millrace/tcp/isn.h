// tcp/isn.h - initial sequence numbers and timestamp offsets (RFC 6528, RFC 9293 3.4.1, RFC 7323
// section 5.4).
//
// One SipHash-2-4 of the 4-tuple under a key from the operating system gives 64 bits; the low half
// is F of RFC 6528, the high half offsets the timestamp clock. The halves of a pseudo-random
// function's output are independent, so the TSval that a peer sees tells nothing about F.
#ifndef MILLRACE_TCP_ISN_H_
#define MILLRACE_TCP_ISN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/base/siphash.h"
#include "millrace/base/time.h"

namespace millrace::tcp {

struct TupleSecrets {
  SeqNum iss;
  uint32_t ts_offset;
};

// Of a hash of the tuple.
inline TupleSecrets SecretsOf(uint64_t f, Instant now) {
  const uint32_t m = static_cast<uint32_t>(now.ns() >> 12);  // 4.096 us
  return {SeqNum(m + static_cast<uint32_t>(f)), static_cast<uint32_t>(f >> 32)};
}

// `addresses` and `ports` name the tuple, our side first. RFC 9293 3.4.1 (SHLD-1, MUST-8):
// "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", M the 4-microsecond clock.
inline TupleSecrets DeriveTupleSecrets(SipKey key, uint64_t addresses, uint32_t ports,
                                       Instant now) {
  return SecretsOf(SipHash24Of12(key, addresses, ports), now);
}

// F and the offset of up to kSipLanes tuples, for SecretsOf: tuple_of(i) gives the i-th as a pair
// of `addresses` and `ports`, take(i, hash) takes what became of it.
template <class TupleOf, class Take>
inline void HashTuples(SipKey key, size_t count, TupleOf&& tuple_of, Take&& take) {
  if (count == 1) {
    const auto [addresses, ports] = tuple_of(0);
    return take(0, SipHash24Of12(key, addresses, ports));
  }
  static_assert(kSipLanes == 4);
  const auto [a0, b0] = tuple_of(0);
  const auto [a1, b1] = tuple_of(1);
  const auto [a2, b2] = tuple_of(std::min<size_t>(2, count - 1));
  const auto [a3, b3] = tuple_of(count - 1);
  SipLanes hashes;
  SipHash24Of12(key, SipLanes{a0, a1, a2, a3}, SipLanes{b0, b1, b2, b3}, hashes);
  for (size_t i = 0; i < count; ++i) take(i, hashes[i]);
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_ISN_H_
