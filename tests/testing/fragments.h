// testing/fragments.h - what a router makes of a frame that is too long for the next link.
#ifndef MILLRACE_TESTING_FRAGMENTS_H_
#define MILLRACE_TESTING_FRAGMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"

namespace millrace::testing {

// Octets [offset, offset + length) behind the IP header of a whole IPv4 frame, as a fragment.
inline std::vector<std::byte> FragmentV4(std::span<const std::byte> whole, uint32_t offset,
                                         uint32_t length, bool more, uint16_t id) {
  const std::byte* const ip = whole.data() + wire::kEthernetHeaderBytes;
  const uint32_t ip_bytes = (LoadU8(ip) & 0xFu) * 4;
  const uint32_t header = wire::kEthernetHeaderBytes + ip_bytes;
  std::vector<std::byte> out(whole.begin(), whole.begin() + header);
  out.insert(out.end(), whole.begin() + header + offset, whole.begin() + header + offset + length);
  std::byte* const at = out.data() + wire::kEthernetHeaderBytes;
  StoreBe16(at + wire::kIpv4TotalLengthAt, static_cast<uint16_t>(ip_bytes + length));
  StoreBe16(at + wire::kIpv4IdAt, id);
  StoreBe16(at + wire::kIpv4FragmentAt,
            static_cast<uint16_t>(offset / 8 | (more ? wire::kIpv4MoreFragments : 0)));
  StoreBe16(at + wire::kIpv4ChecksumAt, 0);
  const uint16_t sum = wire::ChecksumFold(wire::ChecksumAdd(at, ip_bytes, 0));
  StoreBe16(at + wire::kIpv4ChecksumAt, static_cast<uint16_t>(~sum));
  return out;
}

// The same for IPv6; everything behind the IPv6 header is fragmented.
inline std::vector<std::byte> FragmentV6(std::span<const std::byte> whole, uint32_t offset,
                                         uint32_t length, bool more, uint32_t id) {
  constexpr uint32_t kHeader = wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes;
  std::vector<std::byte> out(whole.begin(), whole.begin() + kHeader);
  std::byte* const ip = out.data() + wire::kEthernetHeaderBytes;
  const uint8_t next_header = LoadU8(ip + wire::kIpv6NextHeaderAt);
  StoreU8(ip + wire::kIpv6NextHeaderAt, wire::kIpv6Fragment);
  StoreBe16(ip + wire::kIpv6PayloadLengthAt,
            static_cast<uint16_t>(wire::kIpv6ExtensionUnit + length));
  out.resize(kHeader + wire::kIpv6ExtensionUnit);
  std::byte* const extension = out.data() + kHeader;
  StoreU8(extension, next_header);
  StoreBe16(extension + wire::kIpv6FragmentOffsetAt,
            static_cast<uint16_t>(offset | (more ? wire::kIpv6MoreFragments : 0)));
  StoreBe32(extension + wire::kIpv6FragmentIdAt, id);
  out.insert(out.end(), whole.begin() + kHeader + offset,
             whole.begin() + kHeader + offset + length);
  return out;
}

// Octets behind the IP header of a frame without padding.
inline uint32_t PayloadBytes(std::span<const std::byte> whole) {
  const std::byte* const ip = whole.data() + wire::kEthernetHeaderBytes;
  const bool v6 = LoadU8(ip) >> 4 == 6;
  return v6 ? LoadBe16(ip + wire::kIpv6PayloadLengthAt)
            : LoadBe16(ip + wire::kIpv4TotalLengthAt) - (LoadU8(ip) & 0xFu) * 4;
}

inline std::vector<std::byte> FragmentOf(std::span<const std::byte> whole, uint32_t offset,
                                         uint32_t length, bool more, uint32_t id) {
  return LoadU8(whole.data() + wire::kEthernetHeaderBytes) >> 4 == 6
             ? FragmentV6(whole, offset, length, more, id)
             : FragmentV4(whole, offset, length, more, static_cast<uint16_t>(id));
}

// A frame in pieces of at most `piece` octets (a multiple of 8) of payload, in order.
inline std::vector<std::vector<std::byte>> SplitFrame(std::span<const std::byte> whole,
                                                      uint32_t piece, uint32_t id) {
  std::vector<std::vector<std::byte>> fragments;
  const uint32_t total = PayloadBytes(whole);
  for (uint32_t at = 0; at < total; at += piece) {
    const uint32_t length = std::min(piece, total - at);
    fragments.push_back(FragmentOf(whole, at, length, at + length < total, id));
  }
  return fragments;
}

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_FRAGMENTS_H_
