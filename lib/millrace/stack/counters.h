// stack/counters.h - what happens to frames below and beside TCP; tcp/counters.h has the rest.
#ifndef MILLRACE_STACK_COUNTERS_H_
#define MILLRACE_STACK_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "millrace/wire/frame.h"

namespace millrace::stack {

// X(member, printed name)
#define MILLRACE_STACK_COUNTERS(X)                            \
  X(rx_frames, "RxFrames")                                    \
  X(rx_bytes, "RxBytes")                                      \
  X(tx_frames, "TxFrames")                                    \
  X(tx_bytes, "TxBytes")                                      \
  X(tx_no_packet, "TxNoPacket")                               \
  X(tx_parked, "TxParked")                                    \
  X(tx_park_dropped, "TxParkDropped")                         \
  X(tx_no_route, "TxNoRoute")                                 \
  X(arp_replies, "ArpReplies")                                \
  X(arp_requests, "ArpRequests")                              \
  X(icmp_echos, "IcmpInEchos")                                \
  X(icmp_unreachables_sent, "IcmpOutDestUnreachs")            \
  X(icmp_limited, "IcmpOutRateLimited")                       \
  X(icmp_errors_used, "IcmpInErrorsUsed")                     \
  X(icmp_soft_errors, "IcmpInSoftErrors")                     \
  X(icmp_errors_ignored, "IcmpInErrorsIgnored")               \
  X(icmp_ignored, "IcmpInIgnored")                            \
  X(datagrams_ignored, "IpInUnwantedDatagrams")               \
  X(address_pairs_full, "Ip6AddressPairsFull")                \
  X(problems_v6, "Ip6InProblems")                             \
  X(icmp_errors_v6_sent, "Icmp6OutErrors")                    \
  X(ndp_solicitations, "Icmp6OutNeighborSolicits")            \
  X(ndp_advertisements, "Icmp6OutNeighborAdvertisements")     \
  X(ndp_router_solicitations, "Icmp6OutRouterSolicits")       \
  X(ndp_router_advertisements, "Icmp6InRouterAdvertisements") \
  X(ndp_invalid, "Icmp6InNdpInvalid")                         \
  X(ndp_conflicts, "Icmp6InAddressConflicts")                 \
  X(group_queries, "Icmp6InGroupMembQueries")                 \
  X(group_reports, "Icmp6OutMLDv2Reports")

struct Counters {
#define MILLRACE_DECLARE_COUNTER(member, name) uint64_t member = 0;
  MILLRACE_STACK_COUNTERS(MILLRACE_DECLARE_COUNTER)
#undef MILLRACE_DECLARE_COUNTER
  std::array<uint64_t, static_cast<size_t>(wire::DropReason::kCount)> drops{};

  void Drop(wire::DropReason reason) { ++drops[static_cast<size_t>(reason)]; }
  uint64_t dropped(wire::DropReason reason) const { return drops[static_cast<size_t>(reason)]; }

  template <class Visit>
  void ForEach(Visit&& visit) const {
#define MILLRACE_VISIT_COUNTER(member, name) visit(std::string(name), member);
    MILLRACE_STACK_COUNTERS(MILLRACE_VISIT_COUNTER)
#undef MILLRACE_VISIT_COUNTER
    for (size_t i = 1; i < drops.size(); ++i) {
      visit(std::string("Drop.") + wire::ToString(static_cast<wire::DropReason>(i)), drops[i]);
    }
  }
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_COUNTERS_H_
