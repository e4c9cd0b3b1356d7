#include "millrace/wire/icmpv6.h"

#include <algorithm>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::wire {

std::optional<IcmpV6Header> ParseIcmpV6Header(const std::byte* icmp, size_t length) {
  if (length < kIcmpV6HeaderBytes) return std::nullopt;
  return IcmpV6Header{.type = LoadU8(icmp + kIcmpV6TypeAt),
                      .code = LoadU8(icmp + kIcmpV6CodeAt),
                      .parameter = LoadBe32(icmp + kIcmpV6ParameterAt)};
}

std::optional<IcmpV6TcpError> ParseIcmpV6TcpError(const std::byte* icmp, size_t length) {
  constexpr size_t kQuotedTcpBytes = 8;
  const std::optional<IcmpV6Header> header = ParseIcmpV6Header(icmp, length);
  if (!header.has_value()) return std::nullopt;
  if (header->type < kIcmpV6Unreachable || header->type > kIcmpV6ParameterProblem) {
    return std::nullopt;
  }
  if (length < kIcmpV6HeaderBytes + kIpv6HeaderBytes + kQuotedTcpBytes) return std::nullopt;
  const std::byte* ip = icmp + kIcmpV6HeaderBytes;
  if (LoadU8(ip) >> 4 != 6 || LoadU8(ip + kIpv6NextHeaderAt) != kIpProtocolTcp) {
    return std::nullopt;
  }
  const std::byte* tcp = ip + kIpv6HeaderBytes;
  return IcmpV6TcpError{.icmp = *header,
                        .source = LoadIpv6(ip + kIpv6SourceAt),
                        .destination = LoadIpv6(ip + kIpv6DestinationAt),
                        .source_port = LoadBe16(tcp + kTcpSourcePortAt),
                        .destination_port = LoadBe16(tcp + kTcpDestinationPortAt),
                        .seq = SeqNum(LoadBe32(tcp + kTcpSeqAt))};
}

uint32_t EmitIcmpV6Error(std::byte* at, const IcmpV6Error& error, const std::byte* packet,
                         uint32_t packet_length, uint32_t quote_max) {
  const uint32_t quoted = std::min(packet_length, quote_max);
  StoreBe32(at, uint32_t{error.type} << 24 | uint32_t{error.code} << 16);
  StoreBe32(at + kIcmpV6ParameterAt, error.parameter);
  std::memcpy(at + kIcmpV6HeaderBytes, packet, quoted);
  const uint32_t length = kIcmpV6HeaderBytes + quoted;
  StoreBe16(at + kIcmpV6ChecksumAt,
            ChecksumV6(error.source, error.destination, kIpProtocolIcmpV6, at, length));
  return length;
}

void TurnEchoIntoReplyV6(std::byte* icmp) {
  constexpr uint32_t kAdded = uint32_t{kIcmpV6EchoReply - kIcmpV6EchoRequest} << 8;
  // HC' = ~(~HC + ~m + m'): the new type is larger, so the complement of the sum grows by it.
  uint32_t sum = uint32_t{static_cast<uint16_t>(~LoadBe16(icmp + kIcmpV6ChecksumAt))} + kAdded;
  sum = (sum >> 16) + (sum & 0xFFFF);
  StoreU8(icmp + kIcmpV6TypeAt, kIcmpV6EchoReply);
  StoreBe16(icmp + kIcmpV6ChecksumAt, static_cast<uint16_t>(~sum));
}

}  // namespace millrace::wire
