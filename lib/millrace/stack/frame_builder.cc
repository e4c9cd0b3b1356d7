#include "millrace/stack/frame_builder.h"

#include "millrace/wire/icmpv6.h"

namespace millrace::stack {

uint32_t FrameBuilder::BuildTcpV6(std::byte* at, const FlowKey& key, const MacAddress& destination,
                                  const tcp::TxSegment& segment, const tcp::SendPool& pool) const {
  constexpr uint16_t kMoreHeader = wire::kIpv6HeaderBytes - wire::kIpv4HeaderBytes;
  const IpAddress& local = pairs_.local(key);
  const IpAddress& remote = pairs_.remote(key);
  wire::EmitEthernet(at, destination, port_.mac, wire::kEtherTypeIpv6);
  std::byte* const ip = at + wire::kEthernetHeaderBytes;
  std::byte* const tcp = ip + wire::kIpv6HeaderBytes;
  const auto mss = static_cast<uint16_t>(segment.mss - kMoreHeader);
  uint64_t sum = 0;
  const uint32_t header = EmitHeader(tcp, key, segment, mss, sum);
  const uint16_t tcp_length = static_cast<uint16_t>(header + segment.payload_length);
  if (segment.payload_length > 0) {
    pool.Copy(segment.payload, segment.payload_length, tcp + header);
  }
  const uint64_t pseudo = wire::PseudoHeaderSumV6(local, remote, wire::kIpProtocolTcp, tcp_length);
  uint16_t checksum = wire::ChecksumFold(pseudo);
  if (!port_.tx_tcp_checksum) {
    sum = wire::ChecksumAdd(tcp + header, segment.payload_length,
                            wire::OnesComplementAdd(sum, pseudo));
    checksum = static_cast<uint16_t>(~wire::ChecksumFold(sum));
  }
  StoreBe16(tcp + wire::kTcpChecksumAt, checksum);
  wire::EmitIpv6(ip, {.payload_length = tcp_length,
                      .next_header = wire::kIpProtocolTcp,
                      .hop_limit = ttl_,
                      .traffic_class = segment.ecn,
                      .source = local,
                      .destination = remote});
  return wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes + tcp_length;
}

uint32_t FrameBuilder::BuildIcmpV6(std::byte* at, const MacAddress& destination_mac,
                                   const IpAddress& source, const IpAddress& destination,
                                   uint8_t hop_limit, uint32_t length) const {
  wire::EmitEthernet(at, destination_mac, port_.mac, wire::kEtherTypeIpv6);
  wire::EmitIpv6(at + wire::kEthernetHeaderBytes, {.payload_length = static_cast<uint16_t>(length),
                                                   .next_header = wire::kIpProtocolIcmpV6,
                                                   .hop_limit = hop_limit,
                                                   .source = source,
                                                   .destination = destination});
  return kIcmpV6At + length;
}

}  // namespace millrace::stack
