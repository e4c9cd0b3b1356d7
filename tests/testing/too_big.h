// testing/too_big.h - what routers say of the path's MTU, in traces of both families.
#ifndef MILLRACE_TESTING_TOO_BIG_H_
#define MILLRACE_TESTING_TOO_BIG_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "testing/trace.h"

namespace millrace::testing {

// Octets of IP and TCP header in front of the text, without options.
inline uint16_t Headers(const Trace& t) { return t.v6() ? 60 : 40; }

// "Packet too big" or "fragmentation needed" about the segment at `seq`.
inline std::vector<std::byte> TooBig(const Trace& t, uint32_t mtu, uint32_t seq) {
  const std::vector<std::byte> quoted = t.QuotedSegment(seq);
  const IpAddress us = t.AddressOf(Trace::kHostAddress), peer = t.AddressOf(Trace::kPeerAddress);
  std::vector<std::byte> icmp(8 + quoted.size());
  if (t.v6()) {
    wire::EmitIcmpV6Error(
        icmp.data(),
        {.type = wire::kIcmpV6PacketTooBig, .parameter = mtu, .source = peer, .destination = us},
        quoted.data(), static_cast<uint32_t>(quoted.size()), 100);
  } else {
    StoreBe32(icmp.data(),
              uint32_t{wire::kIcmpUnreachable} << 24 | wire::kIcmpFragmentationNeeded << 16);
    StoreBe32(icmp.data() + 4, mtu);
    std::copy(quoted.begin(), quoted.end(), icmp.begin() + 8);
    StoreBe16(icmp.data() + 2, wire::IcmpChecksum(icmp.data(), icmp.size()));
  }
  return t.PacketOf(t.v6() ? wire::kIpProtocolIcmpV6 : wire::kIpProtocolIcmp, icmp);
}

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_TOO_BIG_H_
