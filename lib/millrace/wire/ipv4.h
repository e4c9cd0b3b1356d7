// wire/ipv4.h - the IPv4 header (RFC 791), as sent: 20 octets, no options, no fragments.
//
// Threading: pure functions. Cost: five stores; the checksum is made from the fields, so nothing
// just written is read back.
#ifndef MILLRACE_WIRE_IPV4_H_
#define MILLRACE_WIRE_IPV4_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"

namespace millrace::wire {

inline constexpr uint32_t kIpv4HeaderBytes = 20;     // without options
inline constexpr uint32_t kIpv4HeaderBytesMax = 60;  // with 40 octets of options
inline constexpr uint8_t kIpv4VersionIhl = 0x45;     // version 4, five 32-bit words

// Offsets in the header.
inline constexpr uint32_t kIpv4VersionIhlAt = 0;
inline constexpr uint32_t kIpv4TosAt = 1;
inline constexpr uint32_t kIpv4TotalLengthAt = 2;
inline constexpr uint32_t kIpv4IdAt = 4;
inline constexpr uint32_t kIpv4FragmentAt = 6;
inline constexpr uint32_t kIpv4TtlAt = 8;
inline constexpr uint32_t kIpv4ProtocolAt = 9;
inline constexpr uint32_t kIpv4ChecksumAt = 10;
inline constexpr uint32_t kIpv4SourceAt = 12;
inline constexpr uint32_t kIpv4DestinationAt = 16;

// The 16 bits at kIpv4FragmentAt.
inline constexpr uint16_t kIpv4DontFragment = 0x4000;
inline constexpr uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr uint16_t kIpv4FragmentOffsetMask = 0x1FFF;  // in units of 8 octets

inline constexpr uint8_t kIpProtocolIcmp = 1, kIpProtocolTcp = 6, kIpProtocolUdp = 17;

// IP options that parsing looks at (RFC 791 3.1).
inline constexpr uint8_t kIpOptionEnd = 0, kIpOptionNop = 1;
inline constexpr uint8_t kIpOptionLooseSourceRoute = 131, kIpOptionStrictSourceRoute = 137;

struct Ipv4Fields {
  uint16_t total_length = 0;  // octets, header included
  uint16_t id = 0;
  uint8_t ttl = 0;
  uint8_t protocol = 0;
  uint8_t tos = 0;                       // DSCP and ECN
  uint32_t source = 0, destination = 0;  // host byte order
  bool dont_fragment = true;
};

// The header checksum of `fields`, for StoreBe16; `addresses` is the sum of both (any fold of it).
MR_ALWAYS_INLINE uint16_t Ipv4HeaderChecksum(const Ipv4Fields& fields, uint32_t addresses) {
  uint32_t sum = (uint32_t{kIpv4VersionIhl} << 8 | fields.tos) + fields.total_length + fields.id +
                 (fields.dont_fragment ? kIpv4DontFragment : 0) +
                 (uint32_t{fields.ttl} << 8 | fields.protocol) + addresses;
  sum = (sum >> 16) + (sum & 0xFFFF);
  sum = (sum >> 16) + (sum & 0xFFFF);
  return static_cast<uint16_t>(~sum);
}

inline uint16_t Ipv4HeaderChecksum(const Ipv4Fields& fields) {
  return Ipv4HeaderChecksum(fields, (fields.source >> 16) + (fields.source & 0xFFFF) +
                                        (fields.destination >> 16) + (fields.destination & 0xFFFF));
}

// Writes 20 octets. `checksum` is Ipv4HeaderChecksum, or zero, as ports that fill it in want it.
MR_ALWAYS_INLINE void EmitIpv4Header(std::byte* at, const Ipv4Fields& fields, uint16_t checksum) {
  StoreBe32(at + kIpv4VersionIhlAt,
            uint32_t{kIpv4VersionIhl} << 24 | uint32_t{fields.tos} << 16 | fields.total_length);
  StoreBe32(at + kIpv4IdAt,
            uint32_t{fields.id} << 16 | (fields.dont_fragment ? kIpv4DontFragment : 0u));
  StoreBe32(at + kIpv4TtlAt,
            uint32_t{fields.ttl} << 24 | uint32_t{fields.protocol} << 16 | checksum);
  StoreBe32(at + kIpv4SourceAt, fields.source);
  StoreBe32(at + kIpv4DestinationAt, fields.destination);
}

inline void EmitIpv4(std::byte* at, const Ipv4Fields& fields, bool with_checksum) {
  EmitIpv4Header(at, fields, with_checksum ? Ipv4HeaderChecksum(fields) : uint16_t{0});
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_IPV4_H_
