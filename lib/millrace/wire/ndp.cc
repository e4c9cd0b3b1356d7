#include "millrace/wire/ndp.h"

#include "millrace/base/endian.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv6.h"

namespace millrace::wire {
namespace {

constexpr uint32_t kNeighborBytes = 24, kTargetAt = 8;
constexpr uint32_t kAdvertisementBytes = 16;
constexpr uint32_t kLifetimeAt = 6;
constexpr uint8_t kSourceMacOption = 1, kTargetMacOption = 2, kPrefixOption = 3, kMtuOption = 5;
constexpr uint32_t kOptionUnit = 8, kPrefixOptionBytes = 32, kMacOptionBytes = 8;
constexpr uint32_t kRouterFlag = 0x8000'0000, kSolicitedFlag = 0x4000'0000;
constexpr uint32_t kOverrideFlag = 0x2000'0000;
constexpr uint8_t kOnLinkFlag = 0x80;

// Calls visit(type, option, octets) for each option. False when one has length 0 or does not fit:
// RFC 4861 4.6: "Nodes MUST silently discard an ND packet that contains an option with length
// zero."
template <class Visit>
bool WalkOptions(const std::byte* at, size_t length, Visit&& visit) {
  while (length > 0) {
    if (length < kOptionUnit) return false;
    const size_t octets = LoadU8(at + 1) * size_t{kOptionUnit};
    if (octets == 0 || octets > length) return false;
    visit(LoadU8(at), at, octets);
    at += octets;
    length -= octets;
  }
  return true;
}

// A station's address; group addresses and zero are none.
std::optional<MacAddress> StationMac(const std::byte* option) {
  const MacAddress mac = LoadMac(option + 2);
  if (mac.IsGroup() || mac == MacAddress()) return std::nullopt;
  return mac;
}

void StoreMacOption(std::byte* at, uint8_t type, const MacAddress& mac) {
  StoreU8(at, type);
  StoreU8(at + 1, kMacOptionBytes / kOptionUnit);
  StoreMac(at + 2, mac);
}

void ReadPrefix(const std::byte* option, size_t octets, RouterAdvertisement& out) {
  if (octets != kPrefixOptionBytes || out.prefix_count == out.prefixes.size()) return;
  const int bits = LoadU8(option + 2);
  const IpAddress prefix = LoadIpv6(option + 16);
  // RFC 4861 6.3.4: "A router SHOULD NOT send a prefix option for the link-local prefix and a host
  // SHOULD ignore such a prefix option."
  if ((LoadU8(option + 3) & kOnLinkFlag) == 0 || bits == 0 || bits > 128) return;
  if (IsLinkLocalV6(prefix) || IsMulticastV6(prefix)) return;
  out.prefixes[out.prefix_count++] = {{prefix, bits}, LoadBe32(option + 4)};
}

}  // namespace

std::optional<NeighborMessage> ParseNeighborMessage(const std::byte* icmp, size_t length,
                                                    const NdpContext& context) {
  if (context.hop_limit != kNdpHopLimit || length < kNeighborBytes) return std::nullopt;
  if (LoadU8(icmp + kIcmpV6CodeAt) != 0) return std::nullopt;
  NeighborMessage message;
  message.advertisement = LoadU8(icmp + kIcmpV6TypeAt) == kNdpNeighborAdvertisement;
  message.target = LoadIpv6(icmp + kTargetAt);
  if (IsMulticastV6(message.target)) return std::nullopt;
  if (message.advertisement) {
    const uint32_t flags = LoadBe32(icmp + kIcmpV6ParameterAt);
    message.router = (flags & kRouterFlag) != 0;
    message.solicited = (flags & kSolicitedFlag) != 0;
    message.override_flag = (flags & kOverrideFlag) != 0;
    // RFC 4861 7.1.2: "If the IP Destination Address is a multicast address the Solicited flag is
    // zero."
    if (message.solicited && IsMulticastV6(context.destination)) return std::nullopt;
  }
  const uint8_t wanted = message.advertisement ? kTargetMacOption : kSourceMacOption;
  const bool well_formed = WalkOptions(icmp + kNeighborBytes, length - kNeighborBytes,
                                       [&](uint8_t type, const std::byte* option, size_t octets) {
                                         if (type == wanted && octets == kMacOptionBytes)
                                           message.mac = StationMac(option);
                                       });
  if (!well_formed) return std::nullopt;
  if (!message.advertisement && IsUnspecifiedV6(context.source)) {
    // RFC 4861 7.1.1: "If the IP source address is the unspecified address, the IP destination
    // address is a solicited-node multicast address", and "there is no source link-layer address
    // option in the message".
    if (context.destination != SolicitedNode(message.target) || message.mac) return std::nullopt;
  }
  return message;
}

std::optional<RouterAdvertisement> ParseRouterAdvertisement(const std::byte* icmp, size_t length,
                                                            const NdpContext& context) {
  if (context.hop_limit != kNdpHopLimit || length < kAdvertisementBytes) return std::nullopt;
  if (LoadU8(icmp + kIcmpV6CodeAt) != 0) return std::nullopt;
  // RFC 4861 6.1.2: "IP Source Address MUST be the link-local address assigned to the interface
  // from which this message is sent."
  if (!IsLinkLocalV6(context.source)) return std::nullopt;
  RouterAdvertisement out;
  out.lifetime_s = LoadBe16(icmp + kLifetimeAt);
  const bool well_formed = WalkOptions(icmp + kAdvertisementBytes, length - kAdvertisementBytes,
                                       [&](uint8_t type, const std::byte* option, size_t octets) {
                                         if (type == kSourceMacOption && octets == kMacOptionBytes)
                                           out.mac = StationMac(option);
                                         if (type == kMtuOption && octets == kOptionUnit)
                                           out.mtu = LoadBe32(option + 4);
                                         if (type == kPrefixOption) ReadPrefix(option, octets, out);
                                       });
  if (!well_formed) return std::nullopt;
  return out;
}

uint32_t EmitNeighborMessage(std::byte* at, const NeighborMessage& message, const IpAddress& source,
                             const IpAddress& destination) {
  const uint8_t type = message.advertisement ? kNdpNeighborAdvertisement : kNdpNeighborSolicitation;
  StoreBe32(at, uint32_t{type} << 24);
  StoreBe32(at + kIcmpV6ParameterAt, (message.router ? kRouterFlag : 0) |
                                         (message.solicited ? kSolicitedFlag : 0) |
                                         (message.override_flag ? kOverrideFlag : 0));
  StoreIpv6(at + kTargetAt, message.target);
  uint32_t length = kNeighborBytes;
  if (message.mac.has_value()) {
    StoreMacOption(at + length, message.advertisement ? kTargetMacOption : kSourceMacOption,
                   *message.mac);
    length += kMacOptionBytes;
  }
  StoreBe16(at + kIcmpV6ChecksumAt, ChecksumV6(source, destination, kIpProtocolIcmpV6, at, length));
  return length;
}

uint32_t EmitRouterSolicitation(std::byte* at, const MacAddress& mac, const IpAddress& source) {
  StoreBe32(at, uint32_t{kNdpRouterSolicitation} << 24);
  StoreBe32(at + kIcmpV6ParameterAt, 0);
  StoreMacOption(at + kIcmpV6HeaderBytes, kSourceMacOption, mac);
  StoreBe16(at + kIcmpV6ChecksumAt,
            ChecksumV6(source, kAllRoutersV6, kIpProtocolIcmpV6, at, kRouterSolicitationBytes));
  return kRouterSolicitationBytes;
}

}  // namespace millrace::wire
