#include "packetdrill/packet_port.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"

namespace millrace::packetdrill {
namespace {

sim::SimPortOptions OptionsFor(uint16_t mtu) {
  sim::SimPortOptions options;
  options.capabilities.mac = PacketPort::kOurMac;
  options.capabilities.mtu = mtu;
  return options;
}

bool IsV6(std::span<const std::byte> packet) { return LoadU8(packet.data()) >> 4 == 6; }

// Neighbour and router discovery, which is to IPv6 what ARP is to IPv4.
bool IsDiscovery(std::span<const std::byte> packet) {
  constexpr uint8_t kIcmpv6 = 58, kRouterSolicitation = 133, kRedirect = 137;
  if (!IsV6(packet) || LoadU8(packet.data() + wire::kIpv6NextHeaderAt) != kIcmpv6) return false;
  const uint8_t type = LoadU8(packet.data() + wire::kIpv6HeaderBytes);
  return type >= kRouterSolicitation && type <= kRedirect;
}

// A wrong checksum is a bug of the engine that packetdrill would not see: nothing to go on with.
void VerifyChecksums(std::span<const std::byte> packet) {
  const std::byte* const ip = packet.data();
  if (IsV6(packet)) {
    const std::byte* const segment = ip + wire::kIpv6HeaderBytes;
    const auto length = static_cast<uint16_t>(packet.size() - wire::kIpv6HeaderBytes);
    const uint64_t pseudo = wire::PseudoHeaderSumV6(wire::LoadIpv6(ip + wire::kIpv6SourceAt),
                                                    wire::LoadIpv6(ip + wire::kIpv6DestinationAt),
                                                    LoadU8(ip + wire::kIpv6NextHeaderAt), length);
    if (wire::ChecksumFold(wire::ChecksumAdd(segment, length, pseudo)) != wire::kChecksumValid) {
      std::abort();
    }
    return;
  }
  if (LoadU8(ip + wire::kIpv4ProtocolAt) != wire::kIpProtocolTcp) return;
  const bool header_is_right =
      wire::ChecksumFold(wire::ChecksumAdd(ip, wire::kIpv4HeaderBytes, 0)) == wire::kChecksumValid;
  const auto length = static_cast<uint16_t>(packet.size() - wire::kIpv4HeaderBytes);
  const bool segment_is_right = wire::TcpChecksumIsValidV4(LoadBe32(ip + wire::kIpv4SourceAt),
                                                           LoadBe32(ip + wire::kIpv4DestinationAt),
                                                           ip + wire::kIpv4HeaderBytes, length);
  if (!header_is_right || !segment_is_right) std::abort();
}

}  // namespace

PacketPort::PacketPort(uint16_t mtu) : port_(OptionsFor(mtu)) {
  port_.SetSink([this](Instant now, sim::Frame frame) { OnFrame(now, frame); });
}

void PacketPort::Inject(std::span<const std::byte> packet) {
  if (packet.empty()) return;
  sim::Frame frame(static_cast<uint32_t>(wire::kEthernetHeaderBytes + packet.size()));
  wire::EmitEthernet(frame.data(), kOurMac, kPeerMac,
                     IsV6(packet) ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4);
  std::copy(packet.begin(), packet.end(), frame.data() + wire::kEthernetHeaderBytes);
  port_.Deliver(std::move(frame));
}

SentPacket PacketPort::TakeSent() {
  SentPacket packet = std::move(sent_.front());
  sent_.pop_front();
  return packet;
}

void PacketPort::OnFrame(Instant now, const sim::Frame& frame) {
  const std::span<const std::byte> octets = frame.octets();
  const uint16_t type = LoadBe16(octets.data() + wire::kEthernetTypeAt);
  if (type == wire::kEtherTypeArp) return;  // there is no link layer to ask
  const std::span<const std::byte> packet = octets.subspan(wire::kEthernetHeaderBytes);
  VerifyChecksums(packet);
  if (IsDiscovery(packet)) return;
  sent_.push_back({now, {packet.begin(), packet.end()}});
}

}  // namespace millrace::packetdrill
