// wire/checksum.h - the Internet checksum of IPv4, TCP and ICMP (RFC 1071, RFC 9293 3.1).
//
// Byte order: a running `sum` counts 16-bit words as they lie in memory (little-endian loads), and
// means nothing but to the functions here. RFC 1071 2(B): swapping the bytes of every word swaps
// the bytes of the sum, so only ChecksumFold swaps, once. What leaves this file as uint16_t is in
// host byte order and goes through StoreBe16. Three uses:
//   to fill in:   field = 0; StoreBe16(field, ~ChecksumFold(ChecksumAdd(data, n, pseudo)))
//   to verify:    ChecksumFold(ChecksumAdd(data, n, pseudo)) == kChecksumValid
//   to offload:   StoreBe16(field, ChecksumFold(pseudo)), and the port adds the rest.
// A sum may be continued over several pieces when all but the last have an even length.
// Threading: pure functions. Cost: ChecksumAdd 2 ns for 40 octets, then about 40 octets per ns.
#ifndef MILLRACE_WIRE_CHECKSUM_H_
#define MILLRACE_WIRE_CHECKSUM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "millrace/base/inline.h"

namespace millrace::wire {

static_assert(std::endian::native == std::endian::little);

// What a fold over data that contains its own, correct checksum yields.
inline constexpr uint16_t kChecksumValid = 0xFFFF;

// a + b with the carry added back in (end-around, mod 2^64 - 1 and mod 2^32 - 1).
inline uint64_t OnesComplementAdd(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < b ? 1 : 0);
}

inline uint32_t OnesComplementAdd(uint32_t a, uint32_t b) {
  const uint32_t sum = a + b;
  return sum + (sum < b ? 1 : 0);
}

// The same of several words, each addition with the carry of the one before: an instruction a word
// and one at the end, where OnesComplementAdd takes two a word. REQUIRES: the last is below 2^32.
template <class... Words>
MR_ALWAYS_INLINE uint64_t OnesComplementSum(uint64_t first, Words... words) {
#if defined(__x86_64__)
  // One variable for all: of several, each is stored.
  unsigned long long sum = first;
  unsigned char carry = 0;
  ((carry = _addcarry_u64(carry, sum, words, &sum)), ...);
  _addcarry_u64(carry, sum, 0, &sum);
  return sum;
#else
  ((first = OnesComplementAdd(first, words)), ...);
  return first;
#endif
}

// The last `length & 7` octets of a piece as they would lie in a 64-bit word filled up with zeros.
// `end` is behind the last one. REQUIRES: at least 8 octets lie before `end`: one load that goes
// back over octets already summed, and a shift that drops them, instead of a branch per bit of the
// length.
inline uint64_t LoadTail(const std::byte* end, size_t length) {
  uint64_t v;
  std::memcpy(&v, end - sizeof v, sizeof v);
  return (v >> 1) >> (63 - 8 * (length & 7));  // two shifts: 64 at once is undefined
}

// The same for a piece shorter than 8 octets: of loads that overlap where the length asks for it.
inline uint64_t LoadShort(const std::byte* data, size_t length) {
  const auto octet = [data](size_t i) {
    return uint64_t{static_cast<uint8_t>(data[i])} << (8 * i);
  };
  if (length >= 4) {
    uint32_t first, last;
    std::memcpy(&first, data, sizeof first);
    std::memcpy(&last, data + length - sizeof last, sizeof last);
    return first | uint64_t{last} << (8 * (length - sizeof last));
  }
  return length == 0 ? 0 : octet(0) | octet(length / 2) | octet(length - 1);
}

// `sum` continued by `length` octets at `data`, of any length and alignment; an odd last octet
// counts as if a zero octet followed.
inline uint64_t ChecksumAddLong(const std::byte* data, size_t length, uint64_t sum);
MR_ALWAYS_INLINE uint64_t ChecksumAdd(const std::byte* data, size_t length, uint64_t sum) {
  // The texts of load tests, without a call.
  if (length < 8) return OnesComplementAdd(sum, LoadShort(data, length));
  return ChecksumAddLong(data, length, sum);
}

// The same for what lies behind a header of 8 octets at least: without LoadShort's branches.
MR_ALWAYS_INLINE uint64_t ChecksumAddBehind(const std::byte* data, size_t length, uint64_t sum) {
  if (length < 8) return OnesComplementAdd(sum, LoadTail(data + length, length));
  return ChecksumAddLong(data, length, sum);
}

// REQUIRES: length >= 8.
inline uint64_t ChecksumAddLong(const std::byte* data, size_t length, uint64_t sum) {
  const auto load64 = [](const std::byte* p) {
    uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
  };
  const std::byte* const end = data + length;
  size_t left = length;
  if (left >= 128) {
    // 32-bit halves into 64-bit lanes cannot overflow below 2^32 rounds: this vectorises.
    uint64_t even = 0, odd = 0;
    for (; left >= 16; left -= 16, data += 16) {
      const uint64_t a = load64(data), b = load64(data + 8);
      even += (a & 0xFFFF'FFFF) + (b & 0xFFFF'FFFF);
      odd += (a >> 32) + (b >> 32);
    }
    sum = OnesComplementAdd(sum, even + odd);
  }
  // Headers: an add and an add with carry per eight octets, a third of what the lanes cost.
  for (; left >= 16; left -= 16, data += 16) {
    sum = OnesComplementAdd(OnesComplementAdd(sum, load64(data)), load64(data + 8));
  }
  if (left >= 8) sum = OnesComplementAdd(sum, load64(data));
  return OnesComplementAdd(sum, LoadTail(end, length));
}

// Adding a word to itself with its halves exchanged leaves in the upper half the sum of both halves
// with the carry added back in: a 32-bit one's complement sum.
inline uint32_t OnesComplementHalf(uint64_t sum) {
  return static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
}

// The 16-bit one's complement sum, in the order of the words that were summed, not inverted, in the
// upper half. The lower one has no meaning.
inline uint32_t OnesComplementFoldHigh(uint64_t sum) {
  const uint32_t half = OnesComplementHalf(sum);
  return half + std::rotl(half, 16);
}

inline uint16_t OnesComplementFold(uint64_t sum) {
  return static_cast<uint16_t>(OnesComplementFoldHigh(sum) >> 16);
}

// Tells whether OnesComplementFold(sum) is kChecksumValid: that is so for multiples of 2^16 - 1,
// which is odd, so the product of a number with its inverse is the quotient when there is no
// remainder, and larger than any quotient when there is one. 3 instructions, where the fold and a
// comparison take 8: the two constants are in memory, because else each use loads them first.
class ChecksumTest {
 public:
  // REQUIRES: sum != 0.
  bool IsZero(uint64_t sum) const { return sum * inverse_ <= quotient_max_; }

 private:
  static constexpr uint64_t kInverse = 0xFFFE'FFFE'FFFE'FFFF;
  static_assert(kInverse * 0xFFFF == 1);
  uint64_t inverse_ = kInverse, quotient_max_ = ~uint64_t{0} / 0xFFFF;
};

// OnesComplementFold in host byte order, for StoreBe16.
inline uint16_t ChecksumFold(uint64_t sum) { return __builtin_bswap16(OnesComplementFold(sum)); }

// Stores a word in network byte order and counts it into `sum`: a header is summed from registers
// while it is written, because reading back what two narrower stores have just written waits until
// they have left the store buffer.
inline void StoreBe32Summed(std::byte* at, uint32_t value, uint64_t& sum) {
  const uint32_t word = __builtin_bswap32(value);
  std::memcpy(at, &word, sizeof word);
  sum += word;
}

// Sum of the pseudo-header (RFC 9293 3.1) of a segment of `length` octets, header included.
// Addresses in host byte order.
inline uint64_t PseudoHeaderSumV4(uint32_t source, uint32_t destination, uint8_t protocol,
                                  uint16_t length) {
  return uint64_t{__builtin_bswap32(source)} + __builtin_bswap32(destination) +
         __builtin_bswap16(protocol) + __builtin_bswap16(length);
}

// Value of the checksum field, for StoreBe16, of a TCP segment whose checksum field holds zero.
// `length`: octets of header and payload, up to 65515.
inline uint16_t TcpChecksumV4(uint32_t source, uint32_t destination, const std::byte* segment,
                              uint16_t length) {
  constexpr uint8_t kProtocol = 6;
  const uint64_t pseudo = PseudoHeaderSumV4(source, destination, kProtocol, length);
  return static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(segment, length, pseudo)));
}

// True when the TCP segment's own checksum is right.
inline bool TcpChecksumIsValidV4(uint32_t source, uint32_t destination, const std::byte* segment,
                                 uint16_t length) {
  constexpr uint8_t kProtocol = 6;
  const uint64_t pseudo = PseudoHeaderSumV4(source, destination, kProtocol, length);
  return OnesComplementFold(ChecksumAdd(segment, length, pseudo)) == kChecksumValid;
}

// Value of the checksum field, for StoreBe16, of an ICMP message whose checksum field holds zero;
// zero when the field holds the right checksum.
inline uint16_t IcmpChecksum(const std::byte* message, size_t length) {
  return static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(message, length, 0)));
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_CHECKSUM_H_
