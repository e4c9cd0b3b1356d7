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
struct LocalNetV6 {
  IpAddress address;     // :: when there is none
  IpAddress link_local;  // :: when the interface has no IPv6
  bool address_ready = false, link_local_ready = false;

  bool enabled() const { return link_local != IpAddress(); }
  bool Owns(const IpAddress& a) const {
    return (a == address && address_ready) || (a == link_local && link_local_ready);
  }
  // Also an address that is not ours yet, or never will be.
  bool Names(const IpAddress& a) const {
    return enabled() && a != IpAddress() && (a == address || a == link_local);
  }
  bool IsMember(const IpAddress& group) const {
    return enabled() && (group == kAllNodesV6 || group == SolicitedNode(link_local) ||
                         (address != IpAddress() && group == SolicitedNode(address)));
  }
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_IPV6_NET_H_
