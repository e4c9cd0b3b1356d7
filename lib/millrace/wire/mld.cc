#include "millrace/wire/mld.h"

#include "millrace/base/endian.h"
#include "millrace/wire/icmpv6.h"

namespace millrace::wire {
namespace {

constexpr uint8_t kMldHopLimit = 1;
constexpr uint32_t kQueryBytesV1 = 24, kQueryBytesV2 = 28;
constexpr uint32_t kQueryGroupAt = 8;
constexpr uint32_t kReportRecordsAt = 8, kRecordGroupAt = 4, kRecordBytes = 20;
constexpr uint32_t kRouterAlertBytes = 8;
// RFC 2711 2.1: option 5 of length 2; value 0 is for MLD. Then PadN.
constexpr uint32_t kRouterAlertOption = 0x0502'0000, kPadN = 0x0100;

// The option stands first in the header, where everybody puts it.
bool HasRouterAlert(const std::byte* ip) {
  return LoadU8(ip + kIpv6NextHeaderAt) == kIpv6HopByHop &&
         LoadBe32(ip + kIpv6HeaderBytes + 2) == kRouterAlertOption;
}

// RFC 3810 5.1.3: above 32767 a number with an exponent.
Duration MaxResponse(uint32_t code) {
  if (code < 0x8000) return Duration::Milliseconds(code);
  const uint32_t mantissa = (code & 0x0FFF) | 0x1000;
  return Duration::Milliseconds(int64_t{mantissa} << ((code >> 12 & 7) + 3));
}

}  // namespace

void EmitMldReport(std::byte* at, GroupRecord type, const IpAddress& source,
                   std::span<const IpAddress> groups) {
  const uint32_t length = MldReportBytes(groups.size());
  EmitIpv6(at, {.payload_length = static_cast<uint16_t>(length - kIpv6HeaderBytes),
                .next_header = kIpv6HopByHop,
                .hop_limit = kMldHopLimit,
                .source = source,
                .destination = kMldV2Routers});
  std::byte* const options = at + kIpv6HeaderBytes;
  StoreBe16(options, uint16_t{kIpProtocolIcmpV6} << 8);
  StoreBe32(options + 2, kRouterAlertOption);
  StoreBe16(options + 6, kPadN);
  std::byte* const icmp = options + kRouterAlertBytes;
  StoreBe32(icmp, uint32_t{kMldV2Report} << 24);
  StoreBe32(icmp + 4, static_cast<uint32_t>(groups.size()));
  std::byte* record = icmp + kReportRecordsAt;
  for (const IpAddress& group : groups) {
    StoreBe32(record, uint32_t{static_cast<uint8_t>(type)} << 24);
    StoreIpv6(record + kRecordGroupAt, group);
    record += kRecordBytes;
  }
  const auto icmp_length = static_cast<uint32_t>(record - icmp);
  StoreBe16(icmp + kIcmpV6ChecksumAt,
            ChecksumV6(source, kMldV2Routers, kIpProtocolIcmpV6, icmp, icmp_length));
}

std::optional<MldQuery> ParseMldQuery(const std::byte* icmp, size_t length, const std::byte* ip) {
  if (length != kQueryBytesV1 && length < kQueryBytesV2) return std::nullopt;
  if (LoadU8(ip + kIpv6HopLimitAt) != kMldHopLimit || !HasRouterAlert(ip) ||
      !IsLinkLocalV6(LoadIpv6(ip + kIpv6SourceAt))) {
    return std::nullopt;
  }
  const uint32_t code = LoadBe16(icmp + kIcmpV6ParameterAt);
  return MldQuery{
      .group = LoadIpv6(icmp + kQueryGroupAt),
      .max_response = length == kQueryBytesV1 ? Duration::Milliseconds(code) : MaxResponse(code)};
}

}  // namespace millrace::wire
