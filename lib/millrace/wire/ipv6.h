// wire/ipv6.h - the IPv6 header (RFC 8200), as sent: 40 octets, no extension headers; and where the
// extension headers that are received have their fields.
//
// Threading: pure functions. Cost: two loads or stores per address, six stores per header.
#ifndef MILLRACE_WIRE_IPV6_H_
#define MILLRACE_WIRE_IPV6_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/base/ip_address.h"
#include "millrace/wire/checksum.h"

namespace millrace::wire {

inline constexpr uint32_t kIpv6HeaderBytes = 40;
// RFC 8200 5: "IPv6 requires that every link in the Internet have an MTU of 1280 octets or
// greater."
inline constexpr uint16_t kIpv6MtuMin = 1280;

// Offsets in the header.
inline constexpr uint32_t kIpv6VersionAt = 0;  // 4 bits; traffic class 8; flow label 20
inline constexpr uint32_t kIpv6PayloadLengthAt = 4;
inline constexpr uint32_t kIpv6NextHeaderAt = 6;
inline constexpr uint32_t kIpv6HopLimitAt = 7;
inline constexpr uint32_t kIpv6SourceAt = 8;
inline constexpr uint32_t kIpv6DestinationAt = 24;
inline constexpr uint32_t kIpv6AddressBytes = 16;

// Next-header values; TCP and UDP have the numbers of IPv4.
inline constexpr uint8_t kIpv6HopByHop = 0, kIpv6Routing = 43, kIpv6Fragment = 44;
inline constexpr uint8_t kIpv6DestinationOptions = 60, kIpProtocolIcmpV6 = 58;
inline constexpr uint8_t kIpv6NoNextHeader = 59;

// Extension headers: the next header is their first octet, the length their second, in units of
// 8 octets behind the first 8. The fragment header always has 8.
inline constexpr uint32_t kIpv6ExtensionUnit = 8;
inline constexpr uint32_t kIpv6RoutingSegmentsLeftAt = 3;
inline constexpr uint32_t kIpv6FragmentOffsetAt = 2;  // 13 bits, 2 reserved, M
inline constexpr uint32_t kIpv6FragmentIdAt = 4;
inline constexpr uint16_t kIpv6FragmentOffsetMask = 0xFFF8, kIpv6MoreFragments = 0x0001;

inline IpAddress LoadIpv6(const std::byte* at) {
  return IpAddress::V6(uint64_t{LoadBe32(at)} << 32 | LoadBe32(at + 4),
                       uint64_t{LoadBe32(at + 8)} << 32 | LoadBe32(at + 12));
}

inline void StoreIpv6(std::byte* at, const IpAddress& address) {
  StoreBe32(at, static_cast<uint32_t>(address.high() >> 32));
  StoreBe32(at + 4, static_cast<uint32_t>(address.high()));
  StoreBe32(at + 8, static_cast<uint32_t>(address.low() >> 32));
  StoreBe32(at + 12, static_cast<uint32_t>(address.low()));
}

// The kinds of address of RFC 4291 2.4.
inline bool IsMulticastV6(const IpAddress& a) { return a.high() >> 56 == 0xFF; }
inline bool IsLinkLocalV6(const IpAddress& a) { return a.high() >> 54 == 0xFE80 >> 6; }
inline bool IsUnspecifiedV6(const IpAddress& a) { return a == IpAddress(); }
inline bool IsLoopbackV6(const IpAddress& a) { return a.high() == 0 && a.low() == 1; }

inline constexpr IpAddress kAllNodesV6 = IpAddress::V6(0xFF02'0000'0000'0000, 1);
inline constexpr IpAddress kAllRoutersV6 = IpAddress::V6(0xFF02'0000'0000'0000, 2);

// RFC 4291 2.7.1: ff02::1:ff00:0/104 and the low 24 bits of the address.
inline IpAddress SolicitedNode(const IpAddress& address) {
  return IpAddress::V6(0xFF02'0000'0000'0000, 0x1'FF00'0000 | (address.low() & 0xFF'FFFF));
}

// RFC 2464 7: 33:33 and the low 32 bits of the group.
inline MacAddress GroupMacV6(const IpAddress& group) {
  const uint64_t low = group.low();
  return {{0x33, 0x33, static_cast<uint8_t>(low >> 24), static_cast<uint8_t>(low >> 16),
           static_cast<uint8_t>(low >> 8), static_cast<uint8_t>(low)}};
}

// RFC 2464 4, RFC 4291 appendix A: fe80::/64 and the EUI-64 of the MAC address.
inline IpAddress LinkLocalOf(const MacAddress& mac) {
  const auto& o = mac.octets;
  const uint64_t high = uint64_t{static_cast<uint8_t>(o[0] ^ 2)} << 16 | uint64_t{o[1]} << 8 | o[2];
  const uint64_t low = uint64_t{o[3]} << 16 | uint64_t{o[4]} << 8 | o[5];
  return IpAddress::V6(0xFE80'0000'0000'0000, high << 40 | 0xFF'FE00'0000 | low);
}

struct Ipv6Fields {
  uint16_t payload_length = 0;  // octets behind the header
  uint8_t next_header = 0;
  uint8_t hop_limit = 0;
  uint8_t traffic_class = 0;  // DSCP and ECN
  IpAddress source, destination;
};

// Writes 40 octets. RFC 6437 3: a flow label of zero says that the flow is not labelled.
inline void EmitIpv6(std::byte* at, const Ipv6Fields& fields) {
  StoreBe32(at, 6u << 28 | uint32_t{fields.traffic_class} << 20);
  StoreBe32(at + kIpv6PayloadLengthAt, uint32_t{fields.payload_length} << 16 |
                                           uint32_t{fields.next_header} << 8 | fields.hop_limit);
  StoreIpv6(at + kIpv6SourceAt, fields.source);
  StoreIpv6(at + kIpv6DestinationAt, fields.destination);
}

// Sum of the pseudo-header of RFC 8200 8.1 for an upper-layer packet of `length` octets, for
// wire/checksum.h.
inline uint64_t PseudoHeaderSumV6(const IpAddress& source, const IpAddress& destination,
                                  uint8_t protocol, uint32_t length) {
  uint64_t sum =
      OnesComplementAdd(__builtin_bswap64(source.high()), __builtin_bswap64(source.low()));
  sum = OnesComplementAdd(sum, __builtin_bswap64(destination.high()));
  sum = OnesComplementAdd(sum, __builtin_bswap64(destination.low()));
  return OnesComplementAdd(sum,
                           uint64_t{__builtin_bswap32(length)} << 32 | __builtin_bswap32(protocol));
}

// Value of the checksum field, for StoreBe16, of a TCP segment or an ICMPv6 message over IPv6 whose
// checksum field holds zero; zero when the field holds the right checksum.
inline uint16_t ChecksumV6(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                           const std::byte* packet, uint32_t length) {
  const uint64_t pseudo = PseudoHeaderSumV6(source, destination, protocol, length);
  return static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(packet, length, pseudo)));
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_IPV6_H_
