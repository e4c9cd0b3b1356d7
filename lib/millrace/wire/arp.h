// wire/arp.h - ARP for IPv4 over Ethernet (RFC 826).
//
// Threading: pure functions; a few ns, not on the packet path.
#ifndef MILLRACE_WIRE_ARP_H_
#define MILLRACE_WIRE_ARP_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/endian.h"
#include "millrace/base/ip_address.h"
#include "millrace/wire/ethernet.h"

namespace millrace::wire {

inline constexpr uint32_t kArpBytes = 28;

// Offsets in the packet.
inline constexpr uint32_t kArpHardwareTypeAt = 0;
inline constexpr uint32_t kArpProtocolTypeAt = 2;
inline constexpr uint32_t kArpLengthsAt = 4;  // of a hardware and of a protocol address
inline constexpr uint32_t kArpOperationAt = 6;
inline constexpr uint32_t kArpSenderMacAt = 8;
inline constexpr uint32_t kArpSenderIpAt = 14;
inline constexpr uint32_t kArpTargetMacAt = 18;
inline constexpr uint32_t kArpTargetIpAt = 24;

inline constexpr uint16_t kArpHardwareEthernet = 1;
inline constexpr uint16_t kArpLengthsMacIpv4 = 0x0604;
inline constexpr uint16_t kArpRequest = 1, kArpReply = 2;

struct ArpPacket {
  uint16_t operation = 0;
  MacAddress sender_mac, target_mac;
  uint32_t sender_ip = 0, target_ip = 0;  // host byte order

  bool operator==(const ArpPacket&) const = default;
};

// Reads the ARP packet at `at`; octets behind the 28th are padding. nullopt when it is short, not
// for Ethernet and IPv4, or says that the sender's MAC address is a group address, which no station
// has (RFC 1812 3.3.2). Other operations than request and reply are left to the caller.
inline std::optional<ArpPacket> ParseArp(const std::byte* at, size_t length) {
  if (length < kArpBytes) return std::nullopt;
  if (LoadBe16(at + kArpHardwareTypeAt) != kArpHardwareEthernet ||
      LoadBe16(at + kArpProtocolTypeAt) != kEtherTypeIpv4 ||
      LoadBe16(at + kArpLengthsAt) != kArpLengthsMacIpv4) {
    return std::nullopt;
  }
  ArpPacket arp;
  arp.operation = LoadBe16(at + kArpOperationAt);
  arp.sender_mac = LoadMac(at + kArpSenderMacAt);
  arp.sender_ip = LoadBe32(at + kArpSenderIpAt);
  arp.target_mac = LoadMac(at + kArpTargetMacAt);
  arp.target_ip = LoadBe32(at + kArpTargetIpAt);
  if (arp.sender_mac.IsGroup()) return std::nullopt;
  return arp;
}

// Writes 28 octets.
inline void EmitArp(std::byte* at, const ArpPacket& arp) {
  StoreBe16(at + kArpHardwareTypeAt, kArpHardwareEthernet);
  StoreBe16(at + kArpProtocolTypeAt, kEtherTypeIpv4);
  StoreBe16(at + kArpLengthsAt, kArpLengthsMacIpv4);
  StoreBe16(at + kArpOperationAt, arp.operation);
  StoreMac(at + kArpSenderMacAt, arp.sender_mac);
  StoreBe32(at + kArpSenderIpAt, arp.sender_ip);
  StoreMac(at + kArpTargetMacAt, arp.target_mac);
  StoreBe32(at + kArpTargetIpAt, arp.target_ip);
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_ARP_H_
