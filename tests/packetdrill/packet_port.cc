#include "packetdrill/packet_port.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"

namespace millrace::packetdrill {
namespace {

sim::SimPortOptions OptionsFor(uint16_t mtu) {
  sim::SimPortOptions options;
  options.capabilities.mac = PacketPort::kOurMac;
  options.capabilities.mtu = mtu;
  return options;
}

// A wrong checksum is a bug of the engine that packetdrill would not see: nothing to go on with.
void VerifyChecksums(std::span<const std::byte> packet) {
  const std::byte* const ip = packet.data();
  if (LoadU8(ip) >> 4 != 4 || LoadU8(ip + wire::kIpv4ProtocolAt) != wire::kIpProtocolTcp) return;
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
  const bool is_v6 = LoadU8(packet.data()) >> 4 == 6;
  wire::EmitEthernet(frame.data(), kOurMac, kPeerMac,
                     is_v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4);
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
  sent_.push_back({now, {packet.begin(), packet.end()}});
}

}  // namespace millrace::packetdrill
