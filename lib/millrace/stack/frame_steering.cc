#include "millrace/stack/frame_steering.h"

#include "millrace/base/endian.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/ndp.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::stack {
namespace {

using namespace wire;  // NOLINT: every name below is one of a header's fields

constexpr uint16_t kEtherTypeServiceVlan = 0x88A8;
constexpr uint32_t kVlanTagBytes = 4;
constexpr int kExtensionsMax = 8;

Fold PortsAt(const std::byte* tcp) { return FoldOf(LoadBe32(tcp)); }

Fold AddressesV4(const std::byte* ip) {
  return FoldOf(LoadBe32(ip + kIpv4SourceAt) ^ LoadBe32(ip + kIpv4DestinationAt));
}

Fold AddressesV6(const std::byte* ip) {
  Fold fold = 0;
  for (uint32_t at = kIpv6SourceAt; at < kIpv6HeaderBytes; at += 4) {
    fold = static_cast<Fold>(fold ^ FoldOf(LoadBe32(ip + at)));
  }
  return fold;
}

// `tcp` with at least 8 octets: of a segment, or of one that is quoted.
FrameTarget OwnerOfPorts(Fold addresses, const std::byte* tcp) {
  return {.goal = FrameGoal::kOwner, .fold = static_cast<Fold>(addresses ^ PortsAt(tcp))};
}

FrameTarget SegmentTarget(Fold addresses, const std::byte* tcp, uint32_t length) {
  if (length < kTcpHeaderBytes) return {};
  FrameTarget target = OwnerOfPorts(addresses, tcp);
  target.opening = (LoadU8(tcp + kTcpFlagsAt) & (kSyn | kAck)) == kSyn;
  return target;
}

// An ICMP error quotes what we have sent: the same tuple the other way round, so the same fold.
FrameTarget IcmpTarget(const std::byte* icmp, uint32_t length) {
  const auto error = ParseIcmpTcpError(icmp, length);
  if (!error.has_value()) return {};
  const std::byte* const ip = icmp + kIcmpHeaderBytes;
  return OwnerOfPorts(AddressesV4(ip), ip + (LoadU8(ip + kIpv4VersionIhlAt) & 0xFu) * 4);
}

FrameTarget Ipv4Target(const std::byte* ip, uint32_t length) {
  if (length < kIpv4HeaderBytes) return {};
  const uint32_t header_bytes = (LoadU8(ip + kIpv4VersionIhlAt) & 0xFu) * 4;
  if (header_bytes < kIpv4HeaderBytes || header_bytes > length) return {};
  // Only the first fragment has ports. All of a datagram come in by one queue, and what puts them
  // together stands below the steering.
  const uint32_t fragment = LoadBe16(ip + kIpv4FragmentAt);
  if ((fragment & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) return {};
  const uint32_t rest = length - header_bytes;
  switch (LoadU8(ip + kIpv4ProtocolAt)) {
    case kIpProtocolTcp:
      return SegmentTarget(AddressesV4(ip), ip + header_bytes, rest);
    case kIpProtocolIcmp:
      return IcmpTarget(ip + header_bytes, rest);
    default:
      return {};
  }
}

struct Transport {
  uint8_t protocol = kIpv6NoNextHeader;
  const std::byte* at = nullptr;
  uint32_t length = 0;
};

// Behind the extension headers, as far as they are like those that a packet may have.
Transport TransportOfV6(const std::byte* ip, uint32_t length) {
  Transport t{LoadU8(ip + kIpv6NextHeaderAt), ip + kIpv6HeaderBytes, length - kIpv6HeaderBytes};
  for (int i = 0; i < kExtensionsMax; ++i) {
    const bool extension = t.protocol == kIpv6HopByHop || t.protocol == kIpv6Routing ||
                           t.protocol == kIpv6DestinationOptions;
    if (!extension) return t;
    if (t.length < kIpv6ExtensionUnit) break;
    const uint32_t bytes = (LoadU8(t.at + 1) + 1u) * kIpv6ExtensionUnit;
    if (bytes > t.length) break;
    t = {LoadU8(t.at), t.at + bytes, t.length - bytes};
  }
  return {};
}

// Solicitations by their target are answered by whoever receives them. Those of a station that has
// no address yet are part of its address detection, which concerns the detection of ours.
FrameTarget NdpTarget(uint8_t type, const std::byte* ip) {
  if (type == kNdpNeighborSolicitation && !IsUnspecifiedV6(LoadIpv6(ip + kIpv6SourceAt))) return {};
  return {.goal = FrameGoal::kEveryone, .opening = true};
}

FrameTarget Icmpv6Target(const std::byte* ip, const Transport& icmp) {
  if (icmp.length < kIcmpV6HeaderBytes) return {};
  const uint8_t type = LoadU8(icmp.at + kIcmpV6TypeAt);
  if (type >= kNdpRouterSolicitation && type <= kNdpNeighborAdvertisement) {
    return NdpTarget(type, ip);
  }
  const std::byte* const quoted = icmp.at + kIcmpV6HeaderBytes;
  const uint32_t length = icmp.length - kIcmpV6HeaderBytes;
  const bool error = type >= kIcmpV6Unreachable && type <= kIcmpV6ParameterProblem;
  if (!error || length < kIpv6HeaderBytes) return {};
  const Transport tcp = TransportOfV6(quoted, length);
  if (tcp.protocol != kIpProtocolTcp || tcp.length < kIcmpQuotedPayloadBytes) return {};
  return OwnerOfPorts(AddressesV6(quoted), tcp.at);
}

FrameTarget Ipv6Target(const std::byte* ip, uint32_t length) {
  if (length < kIpv6HeaderBytes) return {};
  const Transport t = TransportOfV6(ip, length);
  if (t.protocol == kIpProtocolTcp) return SegmentTarget(AddressesV6(ip), t.at, t.length);
  if (t.protocol == kIpProtocolIcmpV6) return Icmpv6Target(ip, t);
  return {};
}

// An ARP request is answered by whoever receives it; a reply is what one of us has asked for.
FrameTarget ArpTarget(const std::byte* arp, uint32_t length) {
  if (length < kArpBytes || LoadBe16(arp + kArpOperationAt) != kArpReply) return {};
  return {.goal = FrameGoal::kEveryone, .opening = true};
}

}  // namespace

FrameTarget TargetOf(const std::byte* data, uint32_t length) {
  uint32_t type_at = kEthernetTypeAt;
  for (int tags = 0; length >= type_at + 2; ++tags) {
    const uint16_t type = LoadBe16(data + type_at);
    const std::byte* const packet = data + type_at + 2;
    const uint32_t rest = length - type_at - 2;
    switch (type) {
      case kEtherTypeIpv4:
        return Ipv4Target(packet, rest);
      case kEtherTypeIpv6:
        return Ipv6Target(packet, rest);
      case kEtherTypeArp:
        return ArpTarget(packet, rest);
      case kEtherTypeVlan:
      case kEtherTypeServiceVlan:
        if (tags == 2) return {};
        type_at += kVlanTagBytes;
        break;
      default:
        return {};
    }
  }
  return {};
}

}  // namespace millrace::stack
