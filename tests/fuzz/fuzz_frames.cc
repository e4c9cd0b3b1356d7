#include "fuzz/fuzz_frames.h"

#include <algorithm>

#include "millrace/base/endian.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/ndp.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::fuzz {
namespace {

constexpr uint32_t kAddresses[] = {kPeerAddress, kHostAddress, 0x0A00'0003, 0};
constexpr MacAddress kOtherMac{{2, 0, 0, 0, 0, 3}};

Bytes ArpFrame(uint8_t choice) {
  Bytes frame(42);
  wire::EmitEthernet(frame.data(), (choice & 1) != 0 ? MacAddress::Broadcast() : kHostMac, kPeerMac,
                     wire::kEtherTypeArp);
  wire::EmitArp(frame.data() + kIpAt,
                {.operation = (choice & 2) != 0 ? wire::kArpRequest : wire::kArpReply,
                 .sender_mac = (choice & 4) != 0 ? kOtherMac : kPeerMac,
                 .target_mac = kHostMac,
                 .sender_ip = kAddresses[choice >> 3 & 3],
                 .target_ip = kAddresses[(choice >> 5 & 3) ^ 1]});
  return frame;
}

Bytes Ipv6Frame(uint8_t protocol, const Bytes& inner, const IpAddress& source,
                const IpAddress& destination, uint8_t hop_limit) {
  Bytes frame(kTcpAt + inner.size());
  const MacAddress to = wire::IsMulticastV6(destination) ? wire::GroupMacV6(destination) : kHostMac;
  wire::EmitEthernet(frame.data(), to, kPeerMac, wire::kEtherTypeIpv6);
  wire::EmitIpv6(frame.data() + kIpAt, {.payload_length = static_cast<uint16_t>(inner.size()),
                                        .next_header = protocol,
                                        .hop_limit = hop_limit,
                                        .source = source,
                                        .destination = destination});
  std::copy(inner.begin(), inner.end(), frame.begin() + kTcpAt);
  return frame;
}

Bytes DiscoveryFrame(uint8_t choice) {
  const bool solicitation = (choice & 2) != 0;
  const IpAddress source = AddressOf(kAddresses[choice >> 3 & 3]);
  const IpAddress target = AddressOf(kAddresses[choice >> 5 & 3]);
  const IpAddress host = AddressOf(kHostAddress);
  const IpAddress group = solicitation ? wire::SolicitedNode(host) : wire::kAllNodesV6;
  const IpAddress to = (choice & 1) != 0 ? group : host;
  wire::NeighborMessage message{.advertisement = !solicitation,
                                .solicited = !solicitation && (choice & 1) == 0,
                                .override_flag = !solicitation && (choice & 0x80) != 0,
                                .target = target};
  if (source != IpAddress()) message.mac = (choice & 4) != 0 ? kOtherMac : kPeerMac;
  Bytes bytes(wire::kNeighborMessageBytesMax);
  bytes.resize(wire::EmitNeighborMessage(bytes.data(), message, source, to));
  return Ipv6Frame(wire::kIpProtocolIcmpV6, bytes, source, to, wire::kNdpHopLimit);
}

}  // namespace

IpAddress AddressOf(uint32_t v4) {
  if (!kV6) return IpAddress::V4(v4);
  return v4 == 0 ? IpAddress() : IpAddress::V6(0x2001'0DB8'0000'0000, v4);
}

void SetAddresses(stack::EngineConfig* config) {
  if (!kV6) {
    config->address = {AddressOf(kHostAddress), 24};
    return;
  }
  config->host_v6 = {
      .address = {AddressOf(kHostAddress), 120}, .detection_transmits = 0, .group_reports = false};
  config->limits.address_pairs = 3;
}

wire::LocalNet PeerNet() {
  wire::LocalNet net{.mac = kPeerMac};
  if (kV6) {
    net.address_v4 = 0xFFFF'FFFF;
    net.v6 = {.address = AddressOf(kPeerAddress),
              .link_local = wire::LinkLocalOf(kPeerMac),
              .address_ready = true,
              .link_local_ready = true};
  } else {
    net.address_v4 = kPeerAddress;
    net.network_mask = 0xFFFF'FF00;
  }
  return net;
}

stack::FlowKey KeyOf(const stack::Engine& engine, uint16_t local_port, uint32_t peer,
                     uint16_t remote_port) {
  if (!kV6) return stack::FlowKey::V4(kHostAddress, local_port, peer, remote_port);
  stack::FlowKey key;
  (void)engine.address_pairs().FindKey(AddressOf(kHostAddress), local_port, AddressOf(peer),
                                       remote_port, &key);
  return key;
}

Bytes IpFrame(uint8_t protocol, const Bytes& inner, uint32_t source) {
  if (kV6) return Ipv6Frame(protocol, inner, AddressOf(source), AddressOf(kHostAddress), 64);
  Bytes frame(kTcpAt + inner.size());
  wire::EmitEthernet(frame.data(), kHostMac, kPeerMac, wire::kEtherTypeIpv4);
  wire::EmitIpv4(frame.data() + kIpAt,
                 {.total_length = static_cast<uint16_t>(20 + inner.size()),
                  .ttl = 64,
                  .protocol = protocol,
                  .source = source,
                  .destination = kHostAddress},
                 true);
  std::copy(inner.begin(), inner.end(), frame.begin() + kTcpAt);
  return frame;
}

void SetTcpChecksum(Bytes& frame) {
  std::byte* const ip = frame.data() + kIpAt;
  std::byte* const tcp = frame.data() + kTcpAt;
  const auto length = static_cast<uint16_t>(frame.size() - kTcpAt);
  StoreBe16(tcp + wire::kTcpChecksumAt, 0);
  const uint16_t checksum =
      kV6 ? wire::ChecksumV6(wire::LoadIpv6(ip + wire::kIpv6SourceAt), AddressOf(kHostAddress),
                             wire::kIpProtocolTcp, tcp, length)
          : wire::TcpChecksumV4(LoadBe32(ip + wire::kIpv4SourceAt), kHostAddress, tcp, length);
  StoreBe16(tcp + wire::kTcpChecksumAt, checksum);
}

bool IsReset(const Bytes& frame) {
  constexpr size_t kProtocolAt =
      kIpAt + size_t{kV6 ? wire::kIpv6NextHeaderAt : wire::kIpv4ProtocolAt};
  constexpr unsigned kFirst = kV6 ? 0x60 : 0x45, kMask = kV6 ? 0xF0 : 0xFF;
  return frame.size() >= kTcpAt + wire::kTcpHeaderBytes &&
         LoadBe16(&frame[wire::kEthernetTypeAt]) ==
             (kV6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4) &&
         (LoadU8(&frame[kIpAt]) & kMask) == kFirst &&
         LoadU8(&frame[kProtocolAt]) == wire::kIpProtocolTcp &&
         (LoadU8(&frame[kTcpAt + wire::kTcpFlagsAt]) & wire::kRst) != 0;
}

Bytes NeighborFrame(uint8_t choice) { return kV6 ? DiscoveryFrame(choice) : ArpFrame(choice); }

Bytes IcmpFrame(uint8_t type, uint8_t code, const Bytes& quoted) {
  Bytes message(8);
  StoreU8(&message[0], type);
  StoreU8(&message[1], code);
  message.insert(message.end(), quoted.begin(), quoted.end());
  if (!kV6) {
    StoreBe16(&message[2], wire::IcmpChecksum(message.data(), message.size()));
    return IpFrame(wire::kIpProtocolIcmp, message);
  }
  StoreBe16(
      &message[wire::kIcmpV6ChecksumAt],
      wire::ChecksumV6(AddressOf(kPeerAddress), AddressOf(kHostAddress), wire::kIpProtocolIcmpV6,
                       message.data(), static_cast<uint32_t>(message.size())));
  return IpFrame(wire::kIpProtocolIcmpV6, message);
}

}  // namespace millrace::fuzz
