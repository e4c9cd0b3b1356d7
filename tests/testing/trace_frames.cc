// testing/trace_frames.cc - segments of a trace to frames and back, over either family.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "millrace/wire/frame.h"
#include "testing/trace.h"

namespace millrace::testing {

IpAddress Trace::AddressOf(uint32_t v4) const {
  if (!options_.v6) return IpAddress::V4(v4);
  if (v4 == 0) return IpAddress();
  if (v4 >> 24 == 127) return IpAddress::V6(0, 1);
  const bool broadcast = (v4 ^ kHostAddress) < 0x100 && (v4 & 0xFF) == 0xFF;
  if (v4 >= 0xE000'0000 || broadcast) return wire::kAllNodesV6;
  return IpAddress::V6(kPrefixV6, v4);
}

std::vector<std::byte> Trace::FrameOf(const Seg& seg, uint32_t address_v4, uint16_t port,
                                      uint16_t local_port, uint32_t destination_v4) const {
  wire::TcpFields fields{.source_port = port == 0 ? options_.peer_port : port,
                         .destination_port = local_port == 0 ? options_.local_port : local_port,
                         .seq = SeqNum(options_.peer_isn + seg.seq),
                         .ack = (seg.flags & kAck) != 0 ? host_isn_ + seg.ack : SeqNum(seg.ack),
                         .flags = static_cast<wire::Flags>(seg.flags),
                         .window = seg.window.value_or(65535),
                         .urgent = seg.urgent,
                         .options = {}};
  wire::TcpOptionValues& o = fields.options;
  if (seg.mss) o.present |= wire::kMssOption, o.mss = *seg.mss;
  if (seg.window_scale) o.present |= wire::kWindowScaleOption, o.window_scale = *seg.window_scale;
  if (seg.sack_permitted) o.present |= wire::kSackPermittedOption;
  if (seg.tsval) {
    o.present |= wire::kTimestampsOption;
    o.tsval = *seg.tsval;
    o.tsecr = seg.tsecr.value_or(0);
  }
  std::vector<wire::SackBlock> blocks;
  for (const SackRange& range : seg.sack) {
    blocks.push_back({host_isn_ + range.left, host_isn_ + range.right});
  }
  o.sack = blocks.data();
  o.sack_count = static_cast<uint8_t>(blocks.size());
  uint32_t more_bytes = wire::SackOptionLength(o.sack_count);
  std::array<wire::SackBlock, 2> cookie;
  if (seg.cookie) {
    o.present |= wire::kFastOpenOption;
    if (seg.cookie_experiment) o.present |= wire::kFastOpenExperiment;
    std::memcpy(cookie.data(), seg.cookie->data(), seg.cookie->size());
    o.sack = cookie.data();
    o.sack_count = static_cast<uint8_t>(2 + seg.cookie->size());
    more_bytes = (o.sack_count + (seg.cookie_experiment ? 2u : 0u) + 3u) / 4 * 4;
  }
  const uint32_t header = wire::TcpHeaderLength(o.present) + more_bytes;
  const uint16_t tcp_length = static_cast<uint16_t>(header + seg.data.size());
  std::vector<std::byte> frame =
      Headers(address_v4, destination_v4, tcp_length, wire::kIpProtocolTcp, seg.ecn.value_or(0));
  std::byte* const tcp = frame.data() + TcpAt();
  wire::EmitTcp(tcp, fields);
  std::memcpy(tcp + header, seg.data.data(), seg.data.size());
  StoreBe16(tcp + wire::kTcpChecksumAt, ChecksumOf(address_v4, destination_v4, tcp, tcp_length));
  return frame;
}

std::vector<std::byte> Trace::Headers(uint32_t source_v4, uint32_t destination_v4,
                                      uint16_t tcp_length, uint8_t protocol, uint8_t ecn) const {
  constexpr size_t kIpAt = wire::kEthernetHeaderBytes;
  std::vector<std::byte> frame(TcpAt() + tcp_length);
  wire::EmitEthernet(frame.data(), kHostMac, kPeerMac,
                     options_.v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4);
  if (options_.v6) {
    wire::EmitIpv6(frame.data() + kIpAt, {.payload_length = tcp_length,
                                          .next_header = protocol,
                                          .hop_limit = 64,
                                          .traffic_class = ecn,
                                          .source = AddressOf(source_v4),
                                          .destination = AddressOf(destination_v4)});
    return frame;
  }
  wire::EmitIpv4(frame.data() + kIpAt,
                 {.total_length = static_cast<uint16_t>(wire::kIpv4HeaderBytes + tcp_length),
                  .ttl = 64,
                  .protocol = protocol,
                  .tos = ecn,
                  .source = source_v4,
                  .destination = destination_v4},
                 true);
  return frame;
}

std::vector<std::byte> Trace::QuotedSegment(uint32_t seq) const {
  std::vector<std::byte> frame = Headers(kHostAddress, kPeerAddress, 1480);
  frame.resize(TcpAt() + 8);
  StoreBe32(&frame[TcpAt()], uint32_t{options_.local_port} << 16 | options_.peer_port);
  StoreBe32(&frame[TcpAt() + 4], (host_isn_ + seq).value());
  return {frame.begin() + wire::kEthernetHeaderBytes, frame.end()};
}

std::vector<std::byte> Trace::PacketOf(uint8_t protocol,
                                       const std::vector<std::byte>& content) const {
  const auto length = static_cast<uint16_t>(content.size());
  std::vector<std::byte> frame = Headers(kPeerAddress, kHostAddress, length, protocol);
  std::copy(content.begin(), content.end(), frame.begin() + static_cast<std::ptrdiff_t>(TcpAt()));
  return frame;
}

size_t Trace::TcpAt() const {
  return wire::kEthernetHeaderBytes +
         (options_.v6 ? wire::kIpv6HeaderBytes : wire::kIpv4HeaderBytes);
}

void Trace::FixTcpChecksum(std::vector<std::byte>& frame) const {
  std::byte* const tcp = frame.data() + TcpAt();
  StoreBe16(tcp + wire::kTcpChecksumAt, 0);
  StoreBe16(tcp + wire::kTcpChecksumAt, ChecksumOf(kPeerAddress, kHostAddress, tcp,
                                                   static_cast<uint16_t>(frame.size() - TcpAt())));
}

uint16_t Trace::ChecksumOf(uint32_t source_v4, uint32_t destination_v4, const std::byte* tcp,
                           uint16_t tcp_length) const {
  return options_.v6 ? wire::ChecksumV6(AddressOf(source_v4), AddressOf(destination_v4),
                                        wire::kIpProtocolTcp, tcp, tcp_length)
                     : wire::TcpChecksumV4(source_v4, destination_v4, tcp, tcp_length);
}

void Trace::OnFrame(sim::Frame frame) {
  wire::LocalNet net;
  net.mac = kPeerMac;
  net.address_v4 = kPeerAddress;
  net.network_mask = 0xFFFF'FF00;
  net.v6 = {.address = AddressOf(kPeerAddress),
            .link_local = wire::LinkLocalOf(kPeerMac),
            .address_ready = true,
            .link_local_ready = true};
  wire::ParsedFrame parsed;
  wire::ParseFrame(frame.data(), frame.length(), wire::ChecksumState::kUnknown,
                   wire::ChecksumState::kUnknown, net, parsed);
  if (parsed.kind != (options_.v6 ? wire::FrameKind::kTcpV6 : wire::FrameKind::kTcp)) {
    other_frames.emplace_back(frame.data(), frame.data() + frame.length());
    return;
  }
  const wire::Segment& s = parsed.tcp;
  if (!host_isn_known_ && s.Has(kSyn)) {
    host_isn_ = s.seq;
    host_isn_known_ = true;
  }
  Seg seg;
  seg.flags = s.flags;
  seg.seq = s.seq.Since(host_isn_);
  if (s.Has(kAck)) seg.ack = s.ack.value() - options_.peer_isn;
  seg.data.assign(reinterpret_cast<const char*>(s.payload), s.payload_length);
  seg.window = s.window;
  if (s.HasOption(wire::kMssOption)) seg.mss = s.mss;
  if (s.HasOption(wire::kWindowScaleOption)) seg.window_scale = s.window_scale;
  seg.sack_permitted = s.HasOption(wire::kSackPermittedOption);
  if (s.HasOption(wire::kTimestampsOption)) {
    seg.tsval = s.tsval;
    seg.tsecr = s.tsecr;
  }
  for (uint32_t i = 0; s.HasOption(wire::kSackOption) && i < s.sack_count; ++i) {
    const wire::SackBlock block = wire::LoadSackBlock(s.sack, i);
    seg.sack.push_back(
        {block.left.value() - options_.peer_isn, block.right.value() - options_.peer_isn});
  }
  seg.ecn = s.ecn;
  if (s.HasOption(wire::kFastOpenOption)) {
    seg.cookie_experiment = s.HasOption(wire::kFastOpenExperiment);
    seg.cookie.emplace(reinterpret_cast<const char*>(s.fast_open), s.fast_open_length);
  }
  sent_.push_back(std::move(seg));
}

}  // namespace millrace::testing
