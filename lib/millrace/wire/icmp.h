// wire/icmp.h - ICMP for IPv4 (RFC 792): echo, errors, and the segment that an error quotes.
//
// Who sends an ICMP error, and how often, is decided above (RFC 1122 3.2.2, RFC 5927); here are
// only bytes and values. Threading: pure functions; not on the packet path.
#ifndef MILLRACE_WIRE_ICMP_H_
#define MILLRACE_WIRE_ICMP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "millrace/base/endian.h"
#include "millrace/base/seq.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::wire {

inline constexpr uint32_t kIcmpHeaderBytes = 8;
inline constexpr uint32_t kIcmpQuotedPayloadBytes = 8;  // RFC 792: "64 bits of data"
// The longest message that EmitIcmpUnreachable writes.
inline constexpr uint32_t kIcmpUnreachableBytesMax =
    kIcmpHeaderBytes + kIpv4HeaderBytesMax + kIcmpQuotedPayloadBytes;

// Offsets in the header.
inline constexpr uint32_t kIcmpTypeAt = 0;
inline constexpr uint32_t kIcmpCodeAt = 1;
inline constexpr uint32_t kIcmpChecksumAt = 2;
inline constexpr uint32_t kIcmpMtuAt = 6;  // of "fragmentation needed" (RFC 1191 4)

inline constexpr uint8_t kIcmpEchoReply = 0, kIcmpUnreachable = 3, kIcmpSourceQuench = 4;
inline constexpr uint8_t kIcmpEchoRequest = 8, kIcmpTimeExceeded = 11, kIcmpParameterProblem = 12;

// Codes of kIcmpUnreachable.
inline constexpr uint8_t kIcmpNetUnreachable = 0, kIcmpHostUnreachable = 1;
inline constexpr uint8_t kIcmpProtocolUnreachable = 2, kIcmpPortUnreachable = 3;
inline constexpr uint8_t kIcmpFragmentationNeeded = 4, kIcmpSourceRouteFailed = 5;

struct IcmpHeader {
  uint8_t type = 0, code = 0;
  uint16_t mtu = 0;  // next-hop MTU in octets, only with kIcmpFragmentationNeeded
};

// Reads the first 8 octets of a message; nullopt when there are fewer.
inline std::optional<IcmpHeader> ParseIcmpHeader(const std::byte* icmp, size_t length) {
  if (length < kIcmpHeaderBytes) return std::nullopt;
  return IcmpHeader{.type = LoadU8(icmp + kIcmpTypeAt),
                    .code = LoadU8(icmp + kIcmpCodeAt),
                    .mtu = LoadBe16(icmp + kIcmpMtuAt)};
}

// An ICMP error about a TCP segment, which by what the error says we sent. Anybody can forge one:
// the engine believes it only when the connection exists and `seq` is in flight (RFC 5927 4.1).
struct IcmpTcpError {
  IcmpHeader icmp;
  uint32_t source_v4 = 0, destination_v4 = 0;      // of the quoted packet, host byte order
  uint16_t source_port = 0, destination_port = 0;  // of the quoted segment
  SeqNum seq;
};

// Reads an ICMP error of `length` octets whose checksum was verified. nullopt when it is not one of
// the four types above that report on a segment, does not quote the first fragment of a TCP segment
// over IPv4, or quotes fewer than 8 octets of TCP. The quoted checksum and total length are not
// looked at: hosts on the way have changed or shortened what they quote.
inline std::optional<IcmpTcpError> ParseIcmpTcpError(const std::byte* icmp, size_t length) {
  const std::optional<IcmpHeader> header = ParseIcmpHeader(icmp, length);
  if (!header.has_value()) return std::nullopt;
  if (header->type != kIcmpUnreachable && header->type != kIcmpSourceQuench &&
      header->type != kIcmpTimeExceeded && header->type != kIcmpParameterProblem) {
    return std::nullopt;
  }
  const std::byte* ip = icmp + kIcmpHeaderBytes;
  const size_t quoted = length - kIcmpHeaderBytes;
  if (quoted < kIpv4HeaderBytes + kIcmpQuotedPayloadBytes) return std::nullopt;
  const uint32_t version_ihl = LoadU8(ip + kIpv4VersionIhlAt);
  const uint32_t ip_bytes = (version_ihl & 0xF) * 4;
  if (version_ihl >> 4 != 4 || ip_bytes < kIpv4HeaderBytes) return std::nullopt;
  if (quoted < ip_bytes + kIcmpQuotedPayloadBytes) return std::nullopt;
  if (LoadU8(ip + kIpv4ProtocolAt) != kIpProtocolTcp) return std::nullopt;
  if ((LoadBe16(ip + kIpv4FragmentAt) & kIpv4FragmentOffsetMask) != 0) return std::nullopt;
  const std::byte* tcp = ip + ip_bytes;
  return IcmpTcpError{.icmp = *header,
                      .source_v4 = LoadBe32(ip + kIpv4SourceAt),
                      .destination_v4 = LoadBe32(ip + kIpv4DestinationAt),
                      .source_port = LoadBe16(tcp + kTcpSourcePortAt),
                      .destination_port = LoadBe16(tcp + kTcpDestinationPortAt),
                      .seq = SeqNum(LoadBe32(tcp + kTcpSeqAt))};
}

// Writes a "destination unreachable" with its checksum and returns its length in octets, at most
// kIcmpUnreachableBytesMax. It quotes the IP header and the first 8 octets behind it (fewer if
// there are fewer) of the packet at `ip`.
// REQUIRES: the packet of `ip_length` octets passed ParseFrame, so its header length is possible.
inline uint32_t EmitIcmpUnreachable(std::byte* at, uint8_t code, const std::byte* ip,
                                    uint32_t ip_length) {
  const uint32_t ip_bytes = (LoadU8(ip + kIpv4VersionIhlAt) & 0xFu) * 4;
  const uint32_t quoted = std::min(ip_bytes + kIcmpQuotedPayloadBytes, ip_length);
  StoreBe32(at, uint32_t{kIcmpUnreachable} << 24 | uint32_t{code} << 16);
  StoreBe32(at + 4, 0);
  std::memcpy(at + kIcmpHeaderBytes, ip, quoted);
  const uint32_t length = kIcmpHeaderBytes + quoted;
  StoreBe16(at + kIcmpChecksumAt, IcmpChecksum(at, length));
  return length;
}

// Turns an echo request whose checksum was verified into its reply, in place: type 8 becomes 0 and
// the checksum follows (RFC 1624). The caller turns the addresses round.
inline void TurnEchoIntoReply(std::byte* icmp) {
  constexpr uint32_t kRemoved = uint32_t{kIcmpEchoRequest} << 8;
  uint32_t sum = LoadBe16(icmp + kIcmpChecksumAt) + kRemoved;
  sum = (sum >> 16) + (sum & 0xFFFF);
  StoreU8(icmp + kIcmpTypeAt, kIcmpEchoReply);
  StoreBe16(icmp + kIcmpChecksumAt, static_cast<uint16_t>(sum));
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_ICMP_H_
