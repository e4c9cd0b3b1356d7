// wire/icmpv6.h - ICMP for IPv6 (RFC 4443): echo, errors, and the segment that an error quotes.
//
// As wire/icmp.h is for IPv4; neighbour discovery is in wire/ndp.h. Threading: pure functions; not
// on the packet path.
#ifndef MILLRACE_WIRE_ICMPV6_H_
#define MILLRACE_WIRE_ICMPV6_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/ip_address.h"
#include "millrace/base/seq.h"

namespace millrace::wire {

inline constexpr uint32_t kIcmpV6HeaderBytes = 8;  // with the four octets that each type uses

// Offsets in the header.
inline constexpr uint32_t kIcmpV6TypeAt = 0;
inline constexpr uint32_t kIcmpV6CodeAt = 1;
inline constexpr uint32_t kIcmpV6ChecksumAt = 2;
inline constexpr uint32_t kIcmpV6ParameterAt = 4;  // MTU, or pointer of a parameter problem

inline constexpr uint8_t kIcmpV6Unreachable = 1, kIcmpV6PacketTooBig = 2;
inline constexpr uint8_t kIcmpV6TimeExceeded = 3, kIcmpV6ParameterProblem = 4;
inline constexpr uint8_t kIcmpV6EchoRequest = 128, kIcmpV6EchoReply = 129;

// Codes of kIcmpV6Unreachable that parsing and sending look at.
inline constexpr uint8_t kIcmpV6AdminProhibited = 1, kIcmpV6PortUnreachable = 4;
// Codes of kIcmpV6ParameterProblem.
inline constexpr uint8_t kIcmpV6ErroneousField = 0, kIcmpV6UnknownNextHeader = 1;
inline constexpr uint8_t kIcmpV6UnknownOption = 2;

struct IcmpV6Header {
  uint8_t type = 0, code = 0;
  uint32_t parameter = 0;
};

// Reads the first 8 octets of a message; nullopt when there are fewer.
std::optional<IcmpV6Header> ParseIcmpV6Header(const std::byte* icmp, size_t length);

// An ICMPv6 error about a TCP segment, which by what the error says we sent. Anybody can forge one:
// the engine believes it only when the connection exists and `seq` is in flight (RFC 5927 4.1).
struct IcmpV6TcpError {
  IcmpV6Header icmp;
  IpAddress source, destination;                   // of the quoted packet
  uint16_t source_port = 0, destination_port = 0;  // of the quoted segment
  SeqNum seq;
};

// Reads an ICMPv6 error of `length` octets whose checksum was verified. nullopt when it is no error
// or does not quote the first 8 octets of a TCP segment directly behind an IPv6 header: we send no
// extension headers.
std::optional<IcmpV6TcpError> ParseIcmpV6TcpError(const std::byte* icmp, size_t length);

// What an error of ours says about the packet that it answers.
struct IcmpV6Error {
  uint8_t type = 0, code = 0;
  uint32_t parameter = 0;
  IpAddress source, destination;  // of the error
};

// Writes an error with its checksum and returns its length in octets. RFC 4443 3 quotes "as much
// of invoking packet as possible without the ICMPv6 packet exceeding the minimum IPv6 MTU"; here at
// most `quote_max` octets of the `packet_length` at `packet`, so that nobody is sent more than he
// sent. `at` has room for 8 + quote_max octets.
uint32_t EmitIcmpV6Error(std::byte* at, const IcmpV6Error& error, const std::byte* packet,
                         uint32_t packet_length, uint32_t quote_max);

// Turns an echo request whose checksum was verified into its reply, in place; the addresses change
// places, which leaves the sum of the pseudo-header as it is (RFC 1624 for the type).
void TurnEchoIntoReplyV6(std::byte* icmp);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_ICMPV6_H_
