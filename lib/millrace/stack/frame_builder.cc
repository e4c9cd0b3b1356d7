#include "millrace/stack/frame_builder.h"

#include "millrace/wire/icmpv6.h"

namespace millrace::stack {

MR_ALWAYS_INLINE uint32_t FrameBuilder::EmitHeader(std::byte* tcp, const FlowKey& key,
                                                   const tcp::TxSegment& segment, uint16_t mss,
                                                   uint64_t& sum) {
  return wire::EmitTcp(tcp,
                       {.source_port = key.local_port,
                        .destination_port = key.remote_port,
                        .seq = segment.seq,
                        .ack = segment.ack,
                        .flags = segment.flags,
                        .window = segment.window,
                        .urgent = 0,
                        .options = {.present = segment.options,
                                    .mss = mss,
                                    .window_scale = segment.window_scale,
                                    .sack_count = segment.sack_count,
                                    .tsval = segment.tsval,
                                    .tsecr = segment.tsecr,
                                    .sack = segment.sack.data()}},
                       sum);
}

uint32_t FrameBuilder::BuildOtherLayout(std::byte* at, const FlowKey& key,
                                        const MacAddress& destination,
                                        const tcp::TxSegment& segment,
                                        const tcp::SendPool& pool) const {
  if (key.IsV4() && segment.sack_count == 0) {
    using Emitter = wire::PlainEmitter;
    switch (segment.options) {
      case 0:
        return BuildPlain<0>(at, key, destination, segment, pool);
      case Emitter::kSynOptions:
        return BuildPlain<Emitter::kSynOptions>(at, key, destination, segment, pool);
      case Emitter::kShortSynOptions:
        return BuildPlain<Emitter::kShortSynOptions>(at, key, destination, segment, pool);
      case wire::kMssOption:
        return BuildPlain<wire::kMssOption>(at, key, destination, segment, pool);
      default:
        break;
    }
  }
  return BuildTcpInLayers(at, key, destination, segment, pool);
}

uint32_t FrameBuilder::BuildTcpInLayers(std::byte* at, const FlowKey& key,
                                        const MacAddress& destination,
                                        const tcp::TxSegment& segment,
                                        const tcp::SendPool& pool) const {
  return key.IsV4() ? BuildTcpV4(at, key, destination, segment, pool)
                    : BuildTcpV6(at, key, destination, segment, pool);
}

uint32_t FrameBuilder::BuildTcpV4(std::byte* at, const FlowKey& key, const MacAddress& destination,
                                  const tcp::TxSegment& segment, const tcp::SendPool& pool) const {
  wire::EmitEthernet(at, destination, port_.mac, wire::kEtherTypeIpv4);
  std::byte* const ip = at + wire::kEthernetHeaderBytes;
  std::byte* const tcp = ip + wire::kIpv4HeaderBytes;
  uint64_t sum = 0;
  const uint32_t header = EmitHeader(tcp, key, segment, segment.mss, sum);
  const uint16_t tcp_length = static_cast<uint16_t>(header + segment.payload_length);
  if (segment.payload_length > 0) {
    pool.Copy(segment.payload, segment.payload_length, tcp + header);
    if (!port_.tx_tcp_checksum) {
      sum = wire::ChecksumAdd(tcp + header, segment.payload_length, sum);
    }
  }
  // One sum of both addresses serves the pseudo-header and the IP header.
  const uint16_t addresses = wire::OnesComplementFold(key.addresses());
  const uint64_t pseudo = uint64_t{__builtin_bswap16(addresses)} +
                          __builtin_bswap16(wire::kIpProtocolTcp) + __builtin_bswap16(tcp_length);
  const uint16_t checksum =
      port_.tx_tcp_checksum
          ? wire::ChecksumFold(pseudo)
          : static_cast<uint16_t>(~wire::ChecksumFold(wire::OnesComplementAdd(sum, pseudo)));
  StoreBe16(tcp + wire::kTcpChecksumAt, checksum);
  const uint32_t ip_length = wire::kIpv4HeaderBytes + tcp_length;
  const wire::Ipv4Fields fields{.total_length = static_cast<uint16_t>(ip_length),
                                .id = 0,
                                .ttl = ttl_,
                                .protocol = wire::kIpProtocolTcp,
                                .tos = segment.traffic_class,
                                .source = key.local_v4(),
                                .destination = key.remote_v4(),
                                .dont_fragment = true};
  wire::EmitIpv4Header(
      ip, fields,
      port_.tx_ipv4_checksum ? uint16_t{0} : wire::Ipv4HeaderChecksum(fields, addresses));
  return wire::kEthernetHeaderBytes + ip_length;
}

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
                      .traffic_class = segment.traffic_class,
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
