#include "millrace/wire/fragment.h"

#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/segment.h"

namespace millrace::wire {
namespace {

constexpr uint32_t kIpBytesMax = 0xFFFF;
constexpr int kExtensionHeadersMax = 8;  // in front of the fragment header
constexpr uint32_t kFragmentUnit = 8;    // octets that an offset counts in

// What is the same for both families: RFC 8200 4.5, and RFC 791 3.2 in other words.
bool IsPossible(const Fragment& f, uint32_t ip_header_bytes) {
  if (f.payload_bytes == 0 || ip_header_bytes + f.end() > kIpBytesMax) return false;
  return !f.more || f.payload_bytes % kFragmentUnit == 0;
}

std::optional<Fragment> ParseV4(const std::byte* frame, uint32_t length) {
  const std::byte* const ip = frame + kEthernetHeaderBytes;
  const uint32_t left = length - kEthernetHeaderBytes;
  if (left < kIpv4HeaderBytes) return std::nullopt;
  const uint16_t word = LoadBe16(ip + kIpv4FragmentAt);
  if ((word & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) == 0) return std::nullopt;
  const uint32_t version_ihl = LoadU8(ip + kIpv4VersionIhlAt);
  const uint32_t header_bytes = (version_ihl & 0xF) * 4;
  const uint32_t total = LoadBe16(ip + kIpv4TotalLengthAt);
  if (version_ihl >> 4 != 4 || header_bytes < kIpv4HeaderBytes) return std::nullopt;
  if (total < header_bytes || total > left) return std::nullopt;
  if (ChecksumFold(ChecksumAdd(ip, header_bytes, 0)) != kChecksumValid) return std::nullopt;
  const uint8_t protocol = LoadU8(ip + kIpv4ProtocolAt);
  const Fragment f{.key = {.source = IpAddress::V4(LoadBe32(ip + kIpv4SourceAt)),
                           .destination = IpAddress::V4(LoadBe32(ip + kIpv4DestinationAt)),
                           .id = LoadBe16(ip + kIpv4IdAt),
                           .protocol = protocol},
                   .headers = {.v4 = true,
                               .next_header = protocol,
                               .bytes = static_cast<uint16_t>(kEthernetHeaderBytes + header_bytes)},
                   .ecn = static_cast<uint8_t>(LoadU8(ip + kIpv4TosAt) & kEcnMask),
                   .more = (word & kIpv4MoreFragments) != 0,
                   .offset = (word & kIpv4FragmentOffsetMask) * kFragmentUnit,
                   .frame = frame,
                   .payload = ip + header_bytes,
                   .payload_bytes = total - header_bytes};
  return IsPossible(f, header_bytes) ? std::optional(f) : std::nullopt;
}

// Octets from the IPv6 header to the fragment header; 0 when there is none, or not within `end`.
// `named_at` becomes the octet that names it.
uint32_t FindFragmentHeader(const std::byte* ip, uint32_t end, uint32_t& named_at) {
  uint32_t at = kIpv6HeaderBytes;
  named_at = kIpv6NextHeaderAt;
  for (int passed = 0; passed <= kExtensionHeadersMax; ++passed) {
    if (end - at < kIpv6ExtensionUnit) return 0;
    const uint8_t type = LoadU8(ip + named_at);
    if (type == kIpv6Fragment) return at;
    if (type != kIpv6HopByHop && type != kIpv6Routing && type != kIpv6DestinationOptions) return 0;
    const uint32_t bytes = (LoadU8(ip + at + 1) + 1u) * kIpv6ExtensionUnit;
    if (bytes > end - at) return 0;
    named_at = at;
    at += bytes;
  }
  return 0;
}

std::optional<Fragment> ParseV6(const std::byte* frame, uint32_t length) {
  const std::byte* const ip = frame + kEthernetHeaderBytes;
  const uint32_t left = length - kEthernetHeaderBytes;
  if (left < kIpv6HeaderBytes || LoadU8(ip + kIpv6VersionAt) >> 4 != 6) return std::nullopt;
  const uint32_t end = kIpv6HeaderBytes + LoadBe16(ip + kIpv6PayloadLengthAt);
  if (end > left) return std::nullopt;
  uint32_t named_at = 0;
  const uint32_t at = FindFragmentHeader(ip, end, named_at);
  if (at == 0) return std::nullopt;
  const uint16_t word = LoadBe16(ip + at + kIpv6FragmentOffsetAt);
  if ((word & (kIpv6FragmentOffsetMask | kIpv6MoreFragments)) == 0) return std::nullopt;
  // Nobody has an IPv4-mapped address; here it would say that this is a fragment of IPv4.
  const IpAddress source = LoadIpv6(ip + kIpv6SourceAt);
  const IpAddress destination = LoadIpv6(ip + kIpv6DestinationAt);
  if (source.IsV4() || destination.IsV4()) return std::nullopt;
  const Fragment f{
      .key = {.source = source,
              .destination = destination,
              .id = LoadBe32(ip + at + kIpv6FragmentIdAt)},
      .headers = {.next_header = LoadU8(ip + at),
                  .bytes = static_cast<uint16_t>(kEthernetHeaderBytes + at),
                  .next_header_at = static_cast<uint16_t>(kEthernetHeaderBytes + named_at)},
      .ecn = static_cast<uint8_t>(LoadBe16(ip) >> 4 & kEcnMask),
      .more = (word & kIpv6MoreFragments) != 0,
      .offset = word & uint32_t{kIpv6FragmentOffsetMask},
      .frame = frame,
      .payload = ip + at + kIpv6ExtensionUnit,
      .payload_bytes = end - at - kIpv6ExtensionUnit};
  // The payload length of an IPv6 packet does not count its first 40 octets.
  return IsPossible(f, at - kIpv6HeaderBytes) ? std::optional(f) : std::nullopt;
}

}  // namespace

std::optional<Fragment> ParseFragment(const std::byte* frame, uint32_t length,
                                      const MacAddress& mac) {
  if (length < kEthernetHeaderBytes || LoadMac(frame) != mac) return std::nullopt;
  const uint16_t ether_type = LoadBe16(frame + kEthernetTypeAt);
  if (ether_type == kEtherTypeIpv4) return ParseV4(frame, length);
  if (ether_type == kEtherTypeIpv6) return ParseV6(frame, length);
  return std::nullopt;
}

void MakeWhole(std::byte* frame, uint32_t length, const FragmentHeaders& first, bool ce) {
  std::byte* const ip = frame + kEthernetHeaderBytes;
  if (first.v4) {
    if (ce) StoreU8(ip + kIpv4TosAt, LoadU8(ip + kIpv4TosAt) | kEcnCe);
    StoreBe16(ip + kIpv4TotalLengthAt, static_cast<uint16_t>(length - kEthernetHeaderBytes));
    StoreBe16(ip + kIpv4FragmentAt, 0);
    StoreBe16(ip + kIpv4ChecksumAt, 0);
    const uint16_t sum = ChecksumFold(ChecksumAdd(ip, first.bytes - kEthernetHeaderBytes, 0));
    StoreBe16(ip + kIpv4ChecksumAt, static_cast<uint16_t>(~sum));
    return;
  }
  if (ce) StoreBe16(ip, static_cast<uint16_t>(LoadBe16(ip) | kEcnCe << 4));
  StoreBe16(ip + kIpv6PayloadLengthAt,
            static_cast<uint16_t>(length - kEthernetHeaderBytes - kIpv6HeaderBytes));
  StoreU8(frame + first.next_header_at, first.next_header);
}

}  // namespace millrace::wire
