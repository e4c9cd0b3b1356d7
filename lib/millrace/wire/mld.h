// wire/mld.h - multicast listener discovery, version 2 (RFC 3810): what a listener sends and reads.
//
// A switch that snoops passes a group's packets on to those ports only whose stations have reported
// the group; a neighbour solicitation goes to one (RFC 4861 7.2.1, RFC 4862 5.4.2).
// Threading: pure functions; not on the packet path.
#ifndef MILLRACE_WIRE_MLD_H_
#define MILLRACE_WIRE_MLD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/wire/ipv6.h"

namespace millrace::wire {

inline constexpr uint8_t kMldQuery = 130, kMldV2Report = 143;
// RFC 3810 5.2.14: "All MLDv2-capable multicast routers" listen there, and switches.
inline constexpr IpAddress kMldV2Routers = IpAddress::V6(0xFF02'0000'0000'0000, 0x16);

// RFC 3810 5.2.5, without the two for lists of sources. Both say: everything from everybody.
enum class GroupRecord : uint8_t {
  kModeIsExclude = 2,    // the answer to a query
  kChangeToExclude = 4,  // a group that was joined
};

// Octets of a report on so many groups, from the IPv6 header on.
constexpr uint32_t MldReportBytes(size_t groups) {
  constexpr uint32_t kRouterAlertBytes = 8, kHeaderBytes = 8, kRecordBytes = 20;
  return kIpv6HeaderBytes + kRouterAlertBytes + kHeaderBytes +
         kRecordBytes * static_cast<uint32_t>(groups);
}

// Writes a whole IPv6 packet of MldReportBytes octets: header, hop-by-hop options with the router
// alert (RFC 3810 5), report. `source` is link-local, or :: while there is none.
void EmitMldReport(std::byte* at, GroupRecord type, const IpAddress& source,
                   std::span<const IpAddress> groups);

struct MldQuery {
  IpAddress group;  // :: asks for all groups
  Duration max_response;
};

// Reads the query of `length` octets at `icmp`, whose checksum was verified, in the packet at `ip`.
// nullopt: RFC 3810 6.2 and 5.1.14 want it dropped (no link-local source, another hop limit than
// 1, no router alert).
std::optional<MldQuery> ParseMldQuery(const std::byte* icmp, size_t length, const std::byte* ip);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_MLD_H_
