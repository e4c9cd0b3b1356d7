// wire/ndp.h - neighbour discovery for IPv6 (RFC 4861): the messages that a host reads and sends.
//
// A message is valid only with hop limit 255, which no router lets through from elsewhere; that and
// the addresses are checked here, so that what comes out has passed RFC 4861 6.1 and 7.1.
// Threading: pure functions; not on the packet path.
#ifndef MILLRACE_WIRE_NDP_H_
#define MILLRACE_WIRE_NDP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/ip_address.h"

namespace millrace::wire {

inline constexpr uint8_t kNdpHopLimit = 255;
inline constexpr uint8_t kNdpRouterSolicitation = 133, kNdpRouterAdvertisement = 134;
inline constexpr uint8_t kNdpNeighborSolicitation = 135, kNdpNeighborAdvertisement = 136;
inline constexpr uint8_t kNdpRedirect = 137;

// The IPv6 packet around a message.
struct NdpContext {
  IpAddress source, destination;
  uint8_t hop_limit = 0;
};

// A neighbour solicitation or advertisement.
struct NeighborMessage {
  bool advertisement = false;
  bool router = false, solicited = false, override_flag = false;  // of an advertisement
  IpAddress target;
  // Source link-layer address of a solicitation, target's of an advertisement.
  std::optional<MacAddress> mac;
};

// An on-link prefix of a router advertisement (RFC 4861 4.6.2).
struct PrefixInformation {
  IpPrefix prefix;
  uint32_t valid_s = 0;  // 0xFFFFFFFF: for ever
};

struct RouterAdvertisement {
  static constexpr size_t kPrefixesMax = 4;  // further ones are left out
  uint16_t lifetime_s = 0;                   // 0: not a default router
  uint32_t mtu = 0;                          // 0: no such option
  std::optional<MacAddress> mac;
  size_t prefix_count = 0;
  std::array<PrefixInformation, kPrefixesMax> prefixes;
};

// Read the message of `length` octets at `icmp`, whose checksum was verified and whose type is the
// one named. nullopt: it must be silently discarded (RFC 4861 7.1.1, 7.1.2, 6.1.2).
std::optional<NeighborMessage> ParseNeighborMessage(const std::byte* icmp, size_t length,
                                                    const NdpContext& context);
std::optional<RouterAdvertisement> ParseRouterAdvertisement(const std::byte* icmp, size_t length,
                                                            const NdpContext& context);

inline constexpr uint32_t kNeighborMessageBytesMax = 32;
inline constexpr uint32_t kRouterSolicitationBytes = 16;

// Write a message with its checksum and return its length. A solicitation from :: carries no
// link-layer address (leave `mac` out).
uint32_t EmitNeighborMessage(std::byte* at, const NeighborMessage& message, const IpAddress& source,
                             const IpAddress& destination);
uint32_t EmitRouterSolicitation(std::byte* at, const MacAddress& mac, const IpAddress& source);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_NDP_H_
