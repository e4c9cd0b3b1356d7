// stack/host_v6.h - an interface as an IPv6 host: its addresses and whether they may be used yet
// (duplicate address detection, RFC 4862 5.4), where packets go (RFC 4861 5.2), and what routers
// say when we listen to them (RFC 4861 6.3).
//
// No packets are built and no clock is read here: NextMessage says what is to be sent. Bounded: one
// learnt router, four learnt prefixes. Threading: one owner; not on the packet path, but for
// NextHop when a connection opens.
#ifndef MILLRACE_STACK_HOST_V6_H_
#define MILLRACE_STACK_HOST_V6_H_

#include <array>
#include <cstdint>
#include <optional>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/stack/group_reports.h"
#include "millrace/wire/ipv6_net.h"
#include "millrace/wire/mld.h"
#include "millrace/wire/ndp.h"

namespace millrace::stack {

struct HostV6Config {
  // "2001:db8::1/64": our address and the network on the link. Length 0: no IPv6 at all. A
  // link-local address takes the place of the one that is made from the MAC address.
  IpPrefix address;
  // The prefix of addresses that are ours, as EngineConfig::owned_bits: 128 for one. At least
  // address.length_bits; of a link-local address always 128. Duplicates are looked for, and groups
  // reported, of `address` alone.
  int owned_bits = 128;
  IpAddress gateway;  // ::, when there is none
  // Listen to router advertisements: default router, prefixes on the link, MTU. The router that is
  // configured goes before the one that is learnt. Addresses are not made from them.
  bool router_advertisements = false;
  // RFC 4862 5.1: DupAddrDetectTransmits; 0 uses the addresses at once.
  uint8_t detection_transmits = 1;
  // Tell switches and routers which groups we are in (RFC 3810).
  bool group_reports = true;
};

enum class AddressState : uint8_t {
  kNone,       // no such address
  kTentative,  // duplicate address detection goes on
  kReady,
  kDuplicate,  // somebody else has it; it is not used
};

class HostV6 {
 public:
  // A message that is due.
  struct Message {
    bool router_solicitation = false;
    std::optional<wire::GroupRecord> group_report;
    IpAddress target;  // of a neighbour solicitation that looks for a duplicate
  };

  HostV6(const HostV6Config& config, const MacAddress& mac, Instant now);

  // Addresses and groups, for the parser: `net()` changes when an address becomes ready.
  const wire::LocalNetV6& net() const { return net_; }
  bool enabled() const { return net_.enabled(); }
  // Of the address that was asked for (the link-local one when that was).
  AddressState address_state() const;

  // The next message that is due, or nullopt; to be called until then. Addresses become ready here.
  std::optional<Message> NextMessage(Instant now);
  // NextMessage has nothing to do before this.
  Instant NextDeadline() const;

  // Somebody else has, or wants, `address`. True when that ends its detection: it is not ours.
  bool OnConflict(const IpAddress& address);
  void OnRouterAdvertisement(const wire::RouterAdvertisement& advertisement,
                             const IpAddress& router, Instant now);
  void OnGroupQuery(const wire::MldQuery& query, Instant now);
  // RFC 4861 7.2.5: a neighbour that was our router says that it is none.
  void OnRouterGone(const IpAddress& router);

  // The neighbour for a destination; :: when there is no route.
  IpAddress NextHop(const IpAddress& destination, Instant now) const;
  // Our address for a destination (RFC 6724, with one address a scope); :: when none is ready.
  IpAddress SourceFor(const IpAddress& destination) const;
  // Of the link as the router says; 0: it says nothing.
  uint16_t mtu() const { return mtu_; }

 private:
  struct Detection {
    IpAddress address;
    AddressState state = AddressState::kNone;
    uint8_t transmits_left = 0;
    Instant next;  // transmission, or the end when none is left
  };
  struct LearntPrefix {
    IpPrefix prefix;
    Instant expires;  // before now: free
  };

  void StartDetection(Detection& detection, const IpAddress& address, Instant now);
  bool OnLink(const IpAddress& destination, Instant now) const;
  void SetReady(Instant now);
  static Instant Expiry(uint32_t lifetime_s, Instant now);

  HostV6Config config_;
  wire::LocalNetV6 net_;
  std::array<Detection, 2> detections_;  // of the address, of the link-local address
  std::array<LearntPrefix, wire::RouterAdvertisement::kPrefixesMax> prefixes_;
  GroupReports reports_;
  IpAddress router_;
  Instant router_expires_;
  uint8_t solicitations_left_ = 0;
  Instant next_solicitation_ = Instant::Never();
  uint16_t mtu_ = 0;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_HOST_V6_H_
