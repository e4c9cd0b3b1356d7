// wire/ethernet.h - the Ethernet II header (RFC 894, IEEE 802.3 clause 3).
//
// Threading: pure functions. Cost: three stores per header.
#ifndef MILLRACE_WIRE_ETHERNET_H_
#define MILLRACE_WIRE_ETHERNET_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/base/ip_address.h"

namespace millrace::wire {

inline constexpr uint32_t kEthernetHeaderBytes = 14;
inline constexpr uint32_t kMacAddressBytes = 6;

// Offsets in the header.
inline constexpr uint32_t kEthernetDestinationAt = 0;
inline constexpr uint32_t kEthernetSourceAt = 6;
inline constexpr uint32_t kEthernetTypeAt = 12;

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeArp = 0x0806;
inline constexpr uint16_t kEtherTypeVlan = 0x8100;
inline constexpr uint16_t kEtherTypeIpv6 = 0x86DD;

// The tag of IEEE 802.1Q stands where the EtherType was and says what the EtherType was.
inline constexpr uint32_t kVlanTagBytes = 4;
inline constexpr uint16_t kVlanIdMask = 0x0FFF;  // below it: priority and drop eligibility

inline MacAddress LoadMac(const std::byte* at) {
  MacAddress mac;
  std::memcpy(mac.octets.data(), at, kMacAddressBytes);
  return mac;
}

inline void StoreMac(std::byte* at, const MacAddress& mac) {
  std::memcpy(at, mac.octets.data(), kMacAddressBytes);
}

// Writes 14 octets. `ether_type` in host byte order.
inline void EmitEthernet(std::byte* at, const MacAddress& destination, const MacAddress& source,
                         uint16_t ether_type) {
  StoreMac(at + kEthernetDestinationAt, destination);
  StoreMac(at + kEthernetSourceAt, source);
  StoreBe16(at + kEthernetTypeAt, ether_type);
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_ETHERNET_H_
