// sim/device_checksum.cc - the checksum work of a device, in software.
#include "millrace/sim/device_checksum.h"

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::sim {
namespace {

using wire::ChecksumState;

constexpr uint8_t kVersion4 = 4;
constexpr uint32_t kOctetsPerWord = 4;

// Length of the IPv4 header at `ip`, or 0 when it is none or does not fit.
uint32_t Ipv4HeaderLength(std::span<const std::byte> ip) {
  if (ip.size() < wire::kIpv4HeaderBytes) return 0;
  const uint8_t version_ihl = LoadU8(ip.data() + wire::kIpv4VersionIhlAt);
  const uint32_t length = (version_ihl & 0x0Fu) * kOctetsPerWord;
  const bool fits = length >= wire::kIpv4HeaderBytes && length <= ip.size();
  return (version_ihl >> 4) == kVersion4 && fits ? length : 0;
}

ChecksumState StateOf(bool good) { return good ? ChecksumState::kGood : ChecksumState::kBad; }

ChecksumState VerifyTcp(std::span<const std::byte> ip, uint32_t header_length) {
  const uint16_t total_length = LoadBe16(ip.data() + wire::kIpv4TotalLengthAt);
  const uint16_t fragment = LoadBe16(ip.data() + wire::kIpv4FragmentAt);
  constexpr uint16_t kFragmented = wire::kIpv4MoreFragments | wire::kIpv4FragmentOffsetMask;
  if (LoadU8(ip.data() + wire::kIpv4ProtocolAt) != wire::kIpProtocolTcp ||
      (fragment & kFragmented) != 0 || total_length > ip.size() ||
      total_length < header_length + wire::kTcpHeaderBytes) {
    return ChecksumState::kUnknown;
  }
  return StateOf(wire::TcpChecksumIsValidV4(
      LoadBe32(ip.data() + wire::kIpv4SourceAt), LoadBe32(ip.data() + wire::kIpv4DestinationAt),
      ip.data() + header_length, static_cast<uint16_t>(total_length - header_length)));
}

// Octets of TCP directly behind the IPv6 header at `ip`; 0 when there are none, or not so many.
uint32_t TcpLengthV6(std::span<const std::byte> ip) {
  if (ip.size() < wire::kIpv6HeaderBytes || LoadU8(ip.data()) >> 4 != 6) return 0;
  const uint32_t length = LoadBe16(ip.data() + wire::kIpv6PayloadLengthAt);
  const bool tcp = LoadU8(ip.data() + wire::kIpv6NextHeaderAt) == wire::kIpProtocolTcp;
  const bool fits = length <= ip.size() - wire::kIpv6HeaderBytes;
  return tcp && fits && length >= wire::kTcpHeaderBytes ? length : 0;
}

ChecksumState VerifyTcpV6(std::span<const std::byte> ip) {
  const uint32_t length = TcpLengthV6(ip);
  if (length == 0) return ChecksumState::kUnknown;
  return StateOf(wire::ChecksumV6(wire::LoadIpv6(ip.data() + wire::kIpv6SourceAt),
                                  wire::LoadIpv6(ip.data() + wire::kIpv6DestinationAt),
                                  wire::kIpProtocolTcp, ip.data() + wire::kIpv6HeaderBytes,
                                  length) == 0);
}

bool CompleteV6(std::span<std::byte> ip, const stack::TxOffload& offload) {
  const uint32_t length = TcpLengthV6(ip);
  if (offload.ipv4_checksum || length == 0) return false;
  if (offload.l4_offset != offload.l3_offset + wire::kIpv6HeaderBytes) return false;
  std::byte* const tcp = ip.data() + wire::kIpv6HeaderBytes;
  const uint64_t sum = wire::ChecksumAdd(tcp, length, 0);
  StoreBe16(tcp + wire::kTcpChecksumAt, static_cast<uint16_t>(~wire::ChecksumFold(sum)));
  return true;
}

}  // namespace

ReceivedChecksums VerifyChecksums(std::span<const std::byte> frame) {
  ReceivedChecksums result;
  if (frame.size() < wire::kEthernetHeaderBytes) return result;
  const uint16_t ether_type = LoadBe16(frame.data() + wire::kEthernetTypeAt);
  const std::span<const std::byte> ip = frame.subspan(wire::kEthernetHeaderBytes);
  if (ether_type == wire::kEtherTypeIpv6) result.l4 = VerifyTcpV6(ip);
  if (ether_type != wire::kEtherTypeIpv4) return result;
  const uint32_t header_length = Ipv4HeaderLength(ip);
  if (header_length == 0) return result;
  const uint16_t sum = wire::ChecksumFold(wire::ChecksumAdd(ip.data(), header_length, 0));
  result.ip = StateOf(sum == wire::kChecksumValid);
  // A device does not look behind a header that it knows to be wrong.
  if (result.ip == ChecksumState::kGood) result.l4 = VerifyTcp(ip, header_length);
  return result;
}

bool CompleteChecksums(std::span<std::byte> frame, const stack::TxOffload& offload) {
  if (!offload.ipv4_checksum && !offload.tcp_checksum) return true;
  if (offload.l3_offset > frame.size()) return false;
  const std::span<std::byte> ip = frame.subspan(offload.l3_offset);
  if (!ip.empty() && LoadU8(ip.data()) >> 4 == 6) return CompleteV6(ip, offload);
  const uint32_t header_length = Ipv4HeaderLength(ip);
  if (header_length == 0) return false;
  const uint16_t total_length = LoadBe16(ip.data() + wire::kIpv4TotalLengthAt);
  if (total_length > ip.size()) return false;

  if (offload.tcp_checksum) {
    if (offload.l4_offset != offload.l3_offset + header_length) return false;
    if (total_length < header_length + wire::kTcpHeaderBytes) return false;
    std::byte* const tcp = ip.data() + header_length;
    const uint64_t sum = wire::ChecksumAdd(tcp, total_length - header_length, 0);
    StoreBe16(tcp + wire::kTcpChecksumAt, static_cast<uint16_t>(~wire::ChecksumFold(sum)));
  }
  if (offload.ipv4_checksum) {
    std::byte* const field = ip.data() + wire::kIpv4ChecksumAt;
    StoreBe16(field, 0);
    const uint64_t sum = wire::ChecksumAdd(ip.data(), header_length, 0);
    StoreBe16(field, static_cast<uint16_t>(~wire::ChecksumFold(sum)));
  }
  return true;
}

}  // namespace millrace::sim
