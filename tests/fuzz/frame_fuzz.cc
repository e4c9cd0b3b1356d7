// fuzz/frame_fuzz.cc - the parser and everything that reads or answers what it lets through.
//
// Input: one octet that chooses (bits 0-1 and 2-3: what the port says of the IP and the transport
// checksum; bit 4: a port that owns a whole prefix; bit 5: make the checksums right first), then
// the frame.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "millrace/base/check.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/ndp.h"
#include "millrace/wire/plain_frame.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::fuzz {
namespace {

using wire::ChecksumState;
using wire::FrameKind;
using wire::ParsedFrame;

constexpr wire::LocalNet kHost{
    .mac = {{2, 0, 0, 0, 0, 1}},
    .address_v4 = 0x0A000001,
    .owned_mask = 0xFFFFFFFF,
    .network_mask = 0xFFFFFF00,
    .v6 = {.address = IpAddress::V6(0x2001'0DB8'0000'0000, 1),
           .link_local = IpAddress::V6(0xFE80'0000'0000'0000, 0x0000'00FF'FE00'0001),
           .address_ready = true,
           .link_local_ready = true}};
constexpr wire::LocalNet kPrefix{.mac = {{2, 0, 0, 0, 0, 1}},
                                 .address_v4 = 0x0A000000,
                                 .owned_mask = 0xFFFF0000,
                                 .network_mask = 0xFF000000};

struct Choice {
  ChecksumState ip_checksum, l4_checksum;
  const wire::LocalNet* net;
  bool repair;
};

Choice Choose(uint8_t octet) {
  constexpr ChecksumState kStates[] = {ChecksumState::kUnknown, ChecksumState::kGood,
                                       ChecksumState::kBad, ChecksumState::kGood};
  return {.ip_checksum = kStates[octet & 3],
          .l4_checksum = kStates[octet >> 2 & 3],
          .net = (octet & 0x10) != 0 ? &kPrefix : &kHost,
          .repair = (octet & 0x20) != 0};
}

// The same for IPv6 without extension headers.
void RepairV6(std::byte* ip, uint32_t room) {
  if (room < wire::kIpv6HeaderBytes) return;
  const uint32_t length = LoadBe16(ip + wire::kIpv6PayloadLengthAt);
  const uint8_t protocol = LoadU8(ip + wire::kIpv6NextHeaderAt);
  const uint32_t field =
      protocol == wire::kIpProtocolTcp ? wire::kTcpChecksumAt : wire::kIcmpV6ChecksumAt;
  if (length > room - wire::kIpv6HeaderBytes || length < field + 2) return;
  if (protocol != wire::kIpProtocolTcp && protocol != wire::kIpProtocolIcmpV6) return;
  std::byte* inner = ip + wire::kIpv6HeaderBytes;
  StoreBe16(inner + field, 0);
  StoreBe16(inner + field, wire::ChecksumV6(wire::LoadIpv6(ip + wire::kIpv6SourceAt),
                                            wire::LoadIpv6(ip + wire::kIpv6DestinationAt), protocol,
                                            inner, length));
}

// Makes the checksums right where the lengths allow it: no fuzzer guesses them.
void Repair(const ExactBytes& frame) {
  if (frame.length < wire::kEthernetHeaderBytes + wire::kIpv4HeaderBytes) return;
  std::byte* ip = frame.data.get() + wire::kEthernetHeaderBytes;
  const uint32_t room = frame.length - wire::kEthernetHeaderBytes;
  if (LoadBe16(frame.data.get() + wire::kEthernetTypeAt) == wire::kEtherTypeIpv6) {
    return RepairV6(ip, room);
  }
  const uint32_t ip_bytes = (LoadU8(ip) & 0xFu) * 4;
  const uint32_t total = LoadBe16(ip + wire::kIpv4TotalLengthAt);
  if (ip_bytes < wire::kIpv4HeaderBytes || total < ip_bytes || total > room) return;
  StoreBe16(ip + wire::kIpv4ChecksumAt, 0);
  StoreBe16(ip + wire::kIpv4ChecksumAt, wire::IcmpChecksum(ip, ip_bytes));
  std::byte* inner = ip + ip_bytes;
  const auto length = static_cast<uint16_t>(total - ip_bytes);
  const uint8_t protocol = LoadU8(ip + wire::kIpv4ProtocolAt);
  if (protocol == wire::kIpProtocolIcmp && length >= wire::kIcmpHeaderBytes) {
    StoreBe16(inner + wire::kIcmpChecksumAt, 0);
    StoreBe16(inner + wire::kIcmpChecksumAt, wire::IcmpChecksum(inner, length));
  } else if (protocol == wire::kIpProtocolTcp && length >= wire::kTcpHeaderBytes) {
    StoreBe16(inner + wire::kTcpChecksumAt, 0);
    StoreBe16(inner + wire::kTcpChecksumAt,
              wire::TcpChecksumV4(LoadBe32(ip + wire::kIpv4SourceAt),
                                  LoadBe32(ip + wire::kIpv4DestinationAt), inner, length));
  }
}

void CheckSameSegment(const ParsedFrame& a, const ParsedFrame& b) {
  MR_CHECK(b.kind == a.kind);
  if (a.kind == FrameKind::kTcp) {
    MR_CHECK(a.source_v4 == b.source_v4 && a.destination_v4 == b.destination_v4);
  } else {
    MR_CHECK(a.source_v6() == b.source_v6() && a.destination_v6() == b.destination_v6());
  }
  MR_CHECK(a.source_port == b.source_port && a.destination_port == b.destination_port);
  MR_CHECK(a.tcp.seq == b.tcp.seq && a.tcp.ack == b.tcp.ack);
  MR_CHECK(a.tcp.flags == b.tcp.flags && a.tcp.window == b.tcp.window);
  const int emitted = ~wire::kSackOption;  // its blocks are not part of the emitted values
  MR_CHECK((a.tcp.options & emitted) == (b.tcp.options & emitted));
  MR_CHECK(!a.tcp.HasOption(wire::kMssOption) || a.tcp.mss == b.tcp.mss);
  MR_CHECK(!a.tcp.HasOption(wire::kWindowScaleOption) || a.tcp.window_scale == b.tcp.window_scale);
  MR_CHECK(!a.tcp.HasOption(wire::kTimestampsOption) ||
           (a.tcp.tsval == b.tcp.tsval && a.tcp.tsecr == b.tcp.tsecr));
  MR_CHECK(a.tcp.payload_length == b.tcp.payload_length);
  MR_CHECK(a.tcp.payload_length == 0 ||
           std::memcmp(a.tcp.payload, b.tcp.payload, a.tcp.payload_length) == 0);
}

// The IP header for `tcp_bytes` of a segment between the ends of `parsed`; returns its length.
uint32_t EmitIpHeader(std::byte* at, const ParsedFrame& parsed, uint32_t tcp_bytes) {
  if (parsed.kind == FrameKind::kTcpV6) {
    wire::EmitIpv6(at, {.payload_length = static_cast<uint16_t>(tcp_bytes),
                        .next_header = wire::kIpProtocolTcp,
                        .hop_limit = parsed.ttl,
                        .source = parsed.source_v6(),
                        .destination = parsed.destination_v6()});
    return wire::kIpv6HeaderBytes;
  }
  wire::EmitIpv4(at,
                 {.total_length = static_cast<uint16_t>(wire::kIpv4HeaderBytes + tcp_bytes),
                  .ttl = parsed.ttl,
                  .protocol = wire::kIpProtocolTcp,
                  .source = parsed.source_v4,
                  .destination = parsed.destination_v4},
                 true);
  return wire::kIpv4HeaderBytes;
}

uint16_t TcpChecksumOf(const ParsedFrame& parsed, const std::byte* tcp, uint32_t tcp_bytes) {
  return parsed.kind == FrameKind::kTcpV6
             ? wire::ChecksumV6(parsed.source_v6(), parsed.destination_v6(), wire::kIpProtocolTcp,
                                tcp, tcp_bytes)
             : wire::TcpChecksumV4(parsed.source_v4, parsed.destination_v4, tcp,
                                   static_cast<uint16_t>(tcp_bytes));
}

// Emits what was parsed in our own layout, parses that with all checksums verified, and compares.
void CheckTcp(const ParsedFrame& parsed, const wire::LocalNet& net) {
  const wire::Segment& segment = parsed.tcp;
  const bool v6 = parsed.kind == FrameKind::kTcpV6;
  const uint32_t ip_bytes = v6 ? wire::kIpv6HeaderBytes : wire::kIpv4HeaderBytes;
  const wire::OptionBits options = segment.options & wire::kFixedOptions;
  const uint32_t tcp_bytes = wire::TcpHeaderLength(options) + segment.payload_length;
  if (ip_bytes + tcp_bytes > 65535) return;  // NOPs squeezed out, padding put in
  std::vector<std::byte> frame(wire::kEthernetHeaderBytes + ip_bytes + tcp_bytes);
  std::byte* at = frame.data();
  wire::EmitEthernet(at, net.mac, {{2, 0, 0, 0, 0, 9}},
                     v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4);
  at += wire::kEthernetHeaderBytes;
  at += EmitIpHeader(at, parsed, tcp_bytes);
  const uint32_t header_bytes = wire::EmitTcp(at, {.source_port = parsed.source_port,
                                                   .destination_port = parsed.destination_port,
                                                   .seq = segment.seq,
                                                   .ack = segment.ack,
                                                   .flags = segment.flags,
                                                   .window = segment.window,
                                                   .options = {.present = options,
                                                               .mss = segment.mss,
                                                               .window_scale = segment.window_scale,
                                                               .tsval = segment.tsval,
                                                               .tsecr = segment.tsecr}});
  std::copy_n(segment.payload, segment.payload_length, at + header_bytes);
  StoreBe16(at + wire::kTcpChecksumAt, TcpChecksumOf(parsed, at, tcp_bytes));
  ParsedFrame again;
  wire::ParseFrame(frame.data(), static_cast<uint32_t>(frame.size()), ChecksumState::kUnknown,
                   ChecksumState::kUnknown, net, again);
  CheckSameSegment(parsed, again);
}

void CheckArp(const ParsedFrame& parsed) {
  const auto arp = wire::ParseArp(parsed.network_header, wire::kArpBytes);
  MR_CHECK(arp.has_value());
  std::array<std::byte, wire::kArpBytes> emitted;
  wire::EmitArp(emitted.data(), *arp);
  MR_CHECK(std::memcmp(emitted.data(), parsed.network_header, wire::kArpBytes) == 0);
}

void CheckIcmp(const ParsedFrame& parsed) {
  std::vector<std::byte> message(parsed.transport_header,
                                 parsed.transport_header + parsed.transport_length);
  MR_CHECK(message.size() >= wire::kIcmpHeaderBytes);
  (void)wire::ParseIcmpTcpError(message.data(), message.size());
  if (LoadU8(message.data()) != wire::kIcmpEchoRequest) return;
  wire::TurnEchoIntoReply(message.data());
  MR_CHECK(wire::IcmpChecksum(message.data(), message.size()) == 0);
}

void CheckIcmpV6(const ParsedFrame& parsed) {
  const std::byte* icmp = parsed.transport_header;
  const uint32_t length = parsed.transport_length;
  const wire::NdpContext context{parsed.source_v6(), parsed.destination_v6(), parsed.ttl};
  const auto header = wire::ParseIcmpV6Header(icmp, length);
  MR_CHECK(header.has_value());
  (void)wire::ParseIcmpV6TcpError(icmp, length);
  if (header->type == wire::kNdpRouterAdvertisement) {
    const auto router = wire::ParseRouterAdvertisement(icmp, length, context);
    MR_CHECK(!router || router->prefix_count <= router->prefixes.size());
  } else if (header->type == wire::kNdpNeighborSolicitation ||
             header->type == wire::kNdpNeighborAdvertisement) {
    const auto message = wire::ParseNeighborMessage(icmp, length, context);
    if (!message) return;
    std::array<std::byte, wire::kNeighborMessageBytesMax> emitted;
    const uint32_t bytes =
        wire::EmitNeighborMessage(emitted.data(), *message, context.source, context.destination);
    const auto again = wire::ParseNeighborMessage(emitted.data(), bytes, context);
    MR_CHECK(again && again->target == message->target && again->mac == message->mac);
  }
}

// What the engine answers with.
void CheckErrorV6(const ParsedFrame& parsed, const std::byte* end) {
  MR_CHECK(parsed.network_header + parsed.network_length <= end);
  constexpr uint32_t kQuoteMax = 64;
  std::array<std::byte, wire::kIcmpV6HeaderBytes + kQuoteMax> message;
  const IpAddress source = parsed.source_v6(), destination = parsed.destination_v6();
  const uint32_t length = wire::EmitIcmpV6Error(
      message.data(), {.type = 4, .source = destination, .destination = source},
      parsed.network_header, parsed.network_length, kQuoteMax);
  MR_CHECK(wire::ChecksumV6(source, destination, wire::kIpProtocolIcmpV6, message.data(), length) ==
           0);
}

void CheckUnreachable(const ParsedFrame& parsed) {
  const auto ip_bytes = static_cast<uint32_t>(parsed.transport_header - parsed.network_header);
  std::array<std::byte, wire::kIcmpUnreachableBytesMax> message;
  const uint32_t length =
      wire::EmitIcmpUnreachable(message.data(), wire::kIcmpPortUnreachable, parsed.network_header,
                                ip_bytes + parsed.transport_length);
  MR_CHECK(length <= message.size());
  MR_CHECK(wire::IcmpChecksum(message.data(), length) == 0);
}

// What goes straight through has the same result layer by layer.
void CheckStraightPath(const ExactBytes& frame, const Choice& choice, const ParsedFrame& parsed) {
  ParsedFrame plain = parsed;
  plain.tcp = wire::Segment();
  const wire::PlainFrameParser parser(*choice.net);
  if (!parser.Parse(frame.data.get(), frame.length, choice.ip_checksum, choice.l4_checksum,
                    plain.tcp)) {
    return;
  }
  const wire::PlainFlow flow = wire::PlainFrameParser::FlowOf(frame.data.get());
  const auto source = static_cast<uint32_t>(flow.addresses);
  const auto destination = static_cast<uint32_t>(flow.addresses >> 32);
  const wire::DropReason problem =
      wire::PairProblem(source, destination, static_cast<uint16_t>(flow.ports >> 16),
                        static_cast<uint16_t>(flow.ports), *choice.net);
  MR_CHECK(parsed.drop == problem);
  MR_CHECK(parser.IsPlainPair(source, destination) == (problem == wire::DropReason::kNone));
  if (problem != wire::DropReason::kNone) return;
  MR_CHECK(parsed.kind == FrameKind::kTcp);
  CheckSameSegment(parsed, plain);
  MR_CHECK(plain.tcp.ecn == parsed.tcp.ecn);
  MR_CHECK(flow.addresses == (uint64_t{parsed.destination_v4} << 32 | parsed.source_v4));
  MR_CHECK(flow.ports == (uint32_t{parsed.source_port} << 16 | parsed.destination_port));
}

void CheckFrame(const ExactBytes& frame, const Choice& choice) {
  const std::byte* end = frame.data.get() + frame.length;
  ParsedFrame parsed;
  wire::ParseFrame(frame.data.get(), frame.length, choice.ip_checksum, choice.l4_checksum,
                   *choice.net, parsed);
  MR_CHECK((parsed.kind == FrameKind::kDrop) == (parsed.drop != wire::DropReason::kNone));
  CheckStraightPath(frame, choice, parsed);
  switch (parsed.kind) {
    case FrameKind::kDrop:
      MR_CHECK(parsed.drop < wire::DropReason::kCount);
      return;
    case FrameKind::kTcp:
    case FrameKind::kTcpV6:
      MR_CHECK(parsed.tcp.payload + parsed.tcp.payload_length <= end);
      return CheckTcp(parsed, *choice.net);
    case FrameKind::kArp:
      return CheckArp(parsed);
    case FrameKind::kIcmp:
      MR_CHECK(parsed.transport_header + parsed.transport_length <= end);
      return CheckIcmp(parsed);
    case FrameKind::kIcmpV6:
      MR_CHECK(parsed.transport_header + parsed.transport_length <= end);
      return CheckIcmpV6(parsed);
    case FrameKind::kUdpV6:
    case FrameKind::kIpv6Problem:
      return CheckErrorV6(parsed, end);
    case FrameKind::kUdp:
    case FrameKind::kOtherIpProtocol:
      MR_CHECK(parsed.transport_header + parsed.transport_length <= end);
      return CheckUnreachable(parsed);
  }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kFrameBytesMax = 65535 + 64;
  millrace::fuzz::Input input(data, size);
  const millrace::fuzz::Choice choice = millrace::fuzz::Choose(input.Octet());
  const millrace::fuzz::ExactBytes frame = input.Take(kFrameBytesMax);
  if (choice.repair) millrace::fuzz::Repair(frame);
  millrace::fuzz::CheckFrame(frame, choice);
  return 0;
}
