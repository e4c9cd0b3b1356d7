// stack/engine_ipv6.cc - what is different over IPv6: keys of flows, opening, neighbour discovery
// (RFC 4861), group reports (RFC 3810).

#include <algorithm>

#include "millrace/base/endian.h"
#include "millrace/stack/engine.h"
#include "millrace/wire/mld.h"
#include "millrace/wire/ndp.h"

namespace millrace::stack {
namespace {

// The frame of a parsed packet, for the address that it came from.
MacAddress SenderOf(const wire::ParsedFrame& frame) {
  return wire::LoadMac(frame.network_header - wire::kEthernetHeaderBytes + wire::kEthernetSourceAt);
}

wire::NdpContext ContextOf(const wire::ParsedFrame& frame) {
  return {frame.source_v6(), frame.destination_v6(), frame.ttl};
}

}  // namespace

// Gives a segment over IPv6 its key, and makes it one like those over IPv4: what the core knows of
// the family is the MSS. False: no room for its addresses.
bool Engine::TakeTcpV6(Parsed& p) {
  wire::ParsedFrame& frame = p.frame;
  if (!pairs_.MakeKey(frame.destination_v6(), frame.destination_port, frame.source_v6(),
                      frame.source_port, &p.key)) {
    return false;
  }
  frame.kind = wire::FrameKind::kTcp;
  wire::Segment& segment = frame.tcp;
  if (segment.Has(wire::kSyn)) {
    // RFC 9293 3.7.1 (MUST-15): "If an MSS Option is not received at connection setup, TCP
    // implementations MUST assume a default send MSS of 536 (576 - 40) for IPv4 or 1220
    // (1280 - 60) for IPv6."
    constexpr uint16_t kMssDefaultV6 = 1220;
    const uint16_t peer = segment.HasOption(wire::kMssOption) ? segment.mss : kMssDefaultV6;
    segment.options |= wire::kMssOption;
    segment.mss = std::min(peer, MssV6());
  }
  return true;
}

// Octets of text without options that the link carries behind an IPv6 header.
uint16_t Engine::MssV6() const {
  constexpr uint16_t kMoreHeader = wire::kIpv6HeaderBytes - wire::kIpv4HeaderBytes;
  constexpr uint16_t kHeaders = wire::kIpv6HeaderBytes + wire::kTcpHeaderBytes;
  const auto mss = static_cast<uint16_t>(env_.config.mss - kMoreHeader);
  if (host_v6_.mtu() == 0) return mss;
  return std::min(mss, static_cast<uint16_t>(host_v6_.mtu() - kHeaders));
}

bool Engine::MakeKey(const Endpoint& local, const Endpoint& remote, FlowKey* key) {
  if (!local.address.IsV4()) {
    return pairs_.MakeKey(local.address, local.port, remote.address, remote.port, key);
  }
  *key = FlowKey::V4(local.address.v4(), local.port, remote.address.v4(), remote.port);
  return true;
}

// Of the addresses that SourceFor names one of: the link-local one has no prefix around it.
SourcePorts& Engine::SourcePortsFor(const IpAddress& remote_v6) {
  const bool of_link = host_v6_.SourceFor(remote_v6) == net_.v6.link_local;
  return of_link ? source_ports_link_local_ : source_ports_v6_;
}

bool Engine::CheckV6(const Endpoint& remote, ConnectResult* why) const {
  const IpAddress& a = remote.address;
  // RFC 9293 3.9.2.3 (MUST-46), as for IPv4.
  const bool bad = wire::IsUnspecifiedV6(a) || wire::IsMulticastV6(a) || wire::IsLoopbackV6(a) ||
                   net_.v6.Names(a) || remote.port == 0;
  if (bad) *why = ConnectResult::kBadAddress;
  return !bad;
}

ConnectResult Engine::ConnectV6(const Endpoint& remote, uint64_t user_data, Socket* socket) {
  if (host_v6_.SourceFor(remote.address) == IpAddress()) {
    ++counters_.tx_no_route;  // the detection of ours goes on, or found a duplicate
    return ConnectResult::kNoRoute;
  }
  SourcePorts& ports = SourcePortsFor(remote.address);
  FlowKey key;
  uint64_t hash = 0;
  FlowRef reused;
  bool no_pair = false;
  // A candidate is drawn ahead of its use, and the pair may have another number by then: nothing
  // can be prepared.
  const auto* const choice = ports.Choose(
      remote, [](SourcePorts::Candidate) { return uint64_t{0}; },
      [&](SourcePorts::Candidate c, uint64_t) {
        no_pair = !pairs_.MakeKey(ports.AddressOf(c), c.port, remote.address, remote.port, &key);
        if (no_pair) return false;
        hash = table_.Hash(key);
        reused = FindFlow(hash, key);
        return !reused || MayReuse(reused);
      });
  if (choice == nullptr) {
    ++(no_pair ? counters_.address_pairs_full : env_.counters.ports_exhausted);
    return no_pair ? ConnectResult::kNoMemory : ConnectResult::kNoPorts;
  }
  if (reused) [[unlikely]]
    return Reopen(key, hash, reused, user_data, socket);
  return Open(key, hash, user_data, socket);
}

void Engine::OnSolicitation(const wire::ParsedFrame& frame) {
  const wire::NdpContext context = ContextOf(frame);
  const auto message =
      wire::ParseNeighborMessage(frame.transport_header, frame.transport_length, context);
  const MacAddress sender = SenderOf(frame);
  if (!message.has_value() || sender == net_.mac) {
    ++counters_.ndp_invalid;
    return;
  }
  if (!net_.v6.Names(message->target)) return;  // another address with the same low 24 bits
  const bool detection = wire::IsUnspecifiedV6(context.source);
  if (!net_.v6.Owns(message->target)) {
    // RFC 4862 5.4.3: a tentative address is not answered for; and if the sender wants it too,
    // nobody gets it.
    if (detection) OnAddressConflict(message->target);
    return;
  }
  if (!detection && message->mac.has_value()) {
    SendUnparked(neighbors_.OnSolicitation(context.source, *message->mac, env_.now));
  }
  // RFC 4861 7.2.4: "If the source of the solicitation is the unspecified address, the node MUST
  // set the Solicited flag to zero and multicast the advertisement to the all-nodes address."
  const IpAddress to = detection ? wire::kAllNodesV6 : context.source;
  const MacAddress mac = detection ? wire::GroupMacV6(to) : message->mac.value_or(sender);
  ControlFrame& out = control_[control_count_++];
  const uint32_t length = wire::EmitNeighborMessage(out.bytes.data() + FrameBuilder::kIcmpV6At,
                                                    {.advertisement = true,
                                                     .solicited = !detection,
                                                     .override_flag = true,
                                                     .target = message->target,
                                                     .mac = net_.mac},
                                                    message->target, to);
  out.length = static_cast<uint16_t>(
      builder_.BuildIcmpV6(out.bytes.data(), mac, message->target, to, wire::kNdpHopLimit, length));
  ++counters_.ndp_advertisements;
}

void Engine::OnAdvertisement(const wire::ParsedFrame& frame) {
  const auto message =
      wire::ParseNeighborMessage(frame.transport_header, frame.transport_length, ContextOf(frame));
  if (!message.has_value() || SenderOf(frame) == net_.mac) {
    ++counters_.ndp_invalid;
    return;
  }
  if (net_.v6.Names(message->target)) {
    OnAddressConflict(message->target);
    return;
  }
  SendUnparked(neighbors_.OnAdvertisement(*message, env_.now));
  if (!message->router) host_v6_.OnRouterGone(message->target);
}

void Engine::OnAddressConflict(const IpAddress& address) {
  ++counters_.ndp_conflicts;
  if (host_v6_.OnConflict(address)) net_.v6 = host_v6_.net();
}

void Engine::OnRouterAdvertisement(const wire::ParsedFrame& frame) {
  const auto message = wire::ParseRouterAdvertisement(frame.transport_header,
                                                      frame.transport_length, ContextOf(frame));
  if (!message.has_value()) {
    ++counters_.ndp_invalid;
    return;
  }
  ++counters_.ndp_router_advertisements;
  host_v6_.OnRouterAdvertisement(*message, frame.source_v6(), env_.now);
  if (message->mac.has_value() && config_.host_v6.router_advertisements) {
    SendUnparked(neighbors_.OnSolicitation(frame.source_v6(), *message->mac, env_.now));
  }
}

void Engine::BuildSolicitation(const IpAddress& target, const IpAddress& source,
                               const IpAddress& to, const MacAddress& mac, ControlFrame* frame) {
  wire::NeighborMessage message{.target = target};
  if (!wire::IsUnspecifiedV6(source)) message.mac = net_.mac;
  const uint32_t length =
      wire::EmitNeighborMessage(frame->bytes.data() + FrameBuilder::kIcmpV6At, message, source, to);
  frame->length = static_cast<uint16_t>(
      builder_.BuildIcmpV6(frame->bytes.data(), mac, source, to, wire::kNdpHopLimit, length));
  ++counters_.ndp_solicitations;
}

void Engine::BuildProbe(const NeighborProbe& probe, ControlFrame* frame) {
  if (!probe.target.IsV4()) {
    const bool group = probe.destination.IsGroup();
    BuildSolicitation(probe.target, host_v6_.SourceFor(probe.target),
                      group ? wire::SolicitedNode(probe.target) : probe.target, probe.destination,
                      frame);
    return;
  }
  frame->length = static_cast<uint16_t>(
      builder_.BuildArp(frame->bytes.data(), probe.destination, wire::kArpRequest,
                        config_.address.address.v4(), MacAddress(), probe.target.v4()));
  ++counters_.arp_requests;
}

bool Engine::NextDiscovery(ControlFrame* frame) {
  if (!host_v6_.enabled()) return false;
  const auto message = host_v6_.NextMessage(env_.now);
  net_.v6 = host_v6_.net();
  if (!message.has_value()) return false;
  if (message->group_report.has_value()) {
    BuildGroupReport(*message->group_report, frame);
    return true;
  }
  if (!message->router_solicitation) {
    const IpAddress group = wire::SolicitedNode(message->target);
    BuildSolicitation(message->target, IpAddress(), group, wire::GroupMacV6(group), frame);
    return true;
  }
  const uint32_t length = wire::EmitRouterSolicitation(
      frame->bytes.data() + FrameBuilder::kIcmpV6At, net_.mac, net_.v6.link_local);
  frame->length = static_cast<uint16_t>(
      builder_.BuildIcmpV6(frame->bytes.data(), wire::GroupMacV6(wire::kAllRoutersV6),
                           net_.v6.link_local, wire::kAllRoutersV6, wire::kNdpHopLimit, length));
  ++counters_.ndp_router_solicitations;
  return true;
}

void Engine::OnGroupQuery(const wire::ParsedFrame& frame) {
  const auto query =
      wire::ParseMldQuery(frame.transport_header, frame.transport_length, frame.network_header);
  if (!query.has_value()) {
    ++counters_.ndp_invalid;
    return;
  }
  ++counters_.group_queries;
  host_v6_.OnGroupQuery(*query, env_.now);
}

// RFC 3810 6: about the solicited-node groups; the group of all nodes is never reported.
void Engine::BuildGroupReport(wire::GroupRecord type, ControlFrame* frame) {
  static_assert(wire::kEthernetHeaderBytes + wire::MldReportBytes(2) <= ControlFrame::kBytesMax);
  const IpAddress groups[] = {wire::SolicitedNode(net_.v6.link_local),
                              wire::SolicitedNode(net_.v6.address)};
  const bool one = net_.v6.address == IpAddress() || groups[0] == groups[1];
  const size_t count = one ? 1 : 2;
  wire::EmitEthernet(frame->bytes.data(), wire::GroupMacV6(wire::kMldV2Routers), net_.mac,
                     wire::kEtherTypeIpv6);
  wire::EmitMldReport(frame->bytes.data() + wire::kEthernetHeaderBytes, type,
                      net_.v6.link_local_ready ? net_.v6.link_local : IpAddress(), {groups, count});
  frame->length = static_cast<uint16_t>(wire::kEthernetHeaderBytes + wire::MldReportBytes(count));
  ++counters_.group_reports;
}

}  // namespace millrace::stack
