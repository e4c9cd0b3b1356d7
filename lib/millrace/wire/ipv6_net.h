// wire/ipv6_net.h - what the parser must know of an interface's IPv6: addresses and groups.
//
// Threading: a value of one owner.
#ifndef MILLRACE_WIRE_IPV6_NET_H_
#define MILLRACE_WIRE_IPV6_NET_H_

#include "millrace/base/ip_address.h"
#include "millrace/wire/ipv6.h"

namespace millrace::wire {

// An interface has IPv6 when it has a link-local address; the global one may be missing. An address
// is ours once duplicate address detection is through with it (RFC 4862 5.4); its solicited-node
// group is ours from the start, because that is how a duplicate is found.
//
// Like a port's IPv4 addresses a whole prefix around the global one may be ours, for many clients.
struct LocalNetV6 {
  IpAddress address;     // :: when there is none
  IpAddress link_local;  // :: when the interface has no IPv6
  bool address_ready = false, link_local_ready = false;
  // An address is of our prefix when it does not differ from `address` in these bits.
  uint64_t owned_high = ~uint64_t{0}, owned_low = ~uint64_t{0};

  bool enabled() const { return link_local != IpAddress(); }
  // REQUIRES: `address` is not ::.
  bool InPrefix(const IpAddress& a) const {
    return (((a.high() ^ address.high()) & owned_high) | ((a.low() ^ address.low()) & owned_low)) ==
           0;
  }
  bool Owns(const IpAddress& a) const {
    return (address_ready && InPrefix(a)) || (a == link_local && link_local_ready);
  }
  // Also an address that is not ours yet, or never will be.
  bool Names(const IpAddress& a) const {
    return enabled() && a != IpAddress() &&
           ((address != IpAddress() && InPrefix(a)) || a == link_local);
  }
  bool IsMember(const IpAddress& group) const {
    return enabled() && (group == kAllNodesV6 || group == SolicitedNode(link_local) ||
                         (address != IpAddress() && IsSolicitedNodeOfPrefix(group)));
  }

 private:
  bool IsSolicitedNodeOfPrefix(const IpAddress& group) const {
    constexpr uint64_t kOfAddress = 0xFF'FFFF;
    const IpAddress one = SolicitedNode(address);
    return group.high() == one.high() &&
           ((group.low() ^ one.low()) & (owned_low | ~kOfAddress)) == 0;
  }
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_IPV6_NET_H_
