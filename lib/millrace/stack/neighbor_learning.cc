// stack/neighbor_learning.cc - what ARP packets and neighbour discovery messages teach the cache.

#include "millrace/stack/neighbor.h"

namespace millrace::stack {

// Whether the sender's claim to have this MAC address is believed.
bool Neighbors::MayUpdate(const Neighbor& n, const MacAddress& mac, Instant now) const {
  switch (n.state) {
    case NeighborState::kStatic:
      return false;
    case NeighborState::kReachable:
      // Nobody asked: only the same again, or one whose time is over.
      return n.mac == mac || !IsConfirmed(n, now);
    default:
      return true;
  }
}

void Neighbors::Learn(uint16_t index, const MacAddress& mac, NeighborState state, Instant now,
                      NeighborResult& result) {
  StopAsking(index);
  Neighbor& n = entries_[index];
  n.mac = mac;
  n.state = state;
  n.confirmed_until = state == NeighborState::kReachable ? now + config_.reachable : Instant();
  n.probes = 0;
  result.resolved = index;
  result.packet_count = n.parked_count;
  result.packets = rests_[index].parked;
  parked_ -= n.parked_count;
  n.parked_count = 0;
}

NeighborResult Neighbors::OnArp(const wire::ArpPacket& arp, Instant now) {
  NeighborResult result;
  const bool request = arp.operation == wire::kArpRequest;
  if (!request && arp.operation != wire::kArpReply) {
    ++counters_.ignored;
    return result;
  }
  const bool for_us = net_.Owns(arp.target_ip);
  if (arp.sender_mac.IsGroup() || arp.sender_mac == MacAddress() || arp.sender_mac == net_.mac) {
    ++counters_.ignored;
    return result;
  }
  if (arp.sender_ip == 0) {  // RFC 5227 2.1.1: an ARP Probe asks and must teach nothing
    result.reply = request && for_us;
    return result;
  }
  if (net_.Owns(arp.sender_ip)) {
    ++counters_.duplicate_address;
    return result;
  }
  const uint32_t host_bits = arp.sender_ip & ~net_.network_mask;
  const bool whole_net_is_hosts = net_.network_mask >= 0xFFFF'FFFE;  // RFC 3021
  const bool on_link = ((arp.sender_ip ^ net_.address_v4) & net_.network_mask) == 0;
  if (!on_link || (!whole_net_is_hosts && (host_bits == 0 || host_bits == ~net_.network_mask))) {
    ++counters_.ignored;
    return result;
  }
  result.reply = request && for_us;

  const IpAddress sender = IpAddress::V4(arp.sender_ip);
  uint16_t index = Find(sender);
  if (index != kNone) {
    Neighbor& n = entries_[index];
    if (MayUpdate(n, arp.sender_mac, now)) {
      Learn(index, arp.sender_mac, NeighborState::kReachable, now, result);
    } else if (n.mac != arp.sender_mac) {
      ++counters_.conflict;
    }
    return result;
  }
  if (!result.reply) {
    if (!request) ++counters_.unsolicited;
    return result;
  }
  // Who asks for us is about to talk to us (RFC 826), but may not push anybody out.
  if (free_.empty()) {
    ++counters_.no_room;
    return result;
  }
  index = Create(sender, NeighborState::kStale);
  entries_[index].mac = arp.sender_mac;
  return result;
}

NeighborResult Neighbors::OnSolicitation(const IpAddress& source, const MacAddress& mac,
                                         Instant now) {
  NeighborResult result;
  if (mac == net_.mac) {
    ++counters_.ignored;
    return result;
  }
  const uint16_t index = Find(source);
  if (index == kNone) {
    // As with ARP: who asks for us is about to talk to us, but may not push anybody out.
    if (free_.empty()) {
      ++counters_.no_room;
      return result;
    }
    entries_[Create(source, NeighborState::kStale)].mac = mac;
    return result;
  }
  const Neighbor& n = entries_[index];
  if (!n.HasMac() || n.mac != mac) {
    // RFC 4861 7.2.3: "the cached address should be replaced by the received address, and the
    // entry's reachability state MUST be set to STALE". Not while it is known to be good (IPL-06).
    if (MayUpdate(n, mac, now)) {
      Learn(index, mac, NeighborState::kStale, now, result);
    } else {
      ++counters_.conflict;
    }
  }
  return result;
}

NeighborResult Neighbors::OnAdvertisement(const wire::NeighborMessage& message, Instant now) {
  NeighborResult result;
  const uint16_t index = Find(message.target);
  if (index == kNone) {
    // RFC 4861 7.2.5: "If no entry exists, the advertisement SHOULD be silently discarded."
    ++counters_.unsolicited;
    return result;
  }
  const Neighbor& n = entries_[index];
  const bool known = n.HasMac();
  // "If the link layer has addresses and no Target Link-Layer Address option is included, the
  // receiving node SHOULD silently discard the received advertisement" while none is known.
  if (!known && !message.mac.has_value()) {
    ++counters_.ignored;
    return result;
  }
  const MacAddress mac = message.mac.value_or(n.mac);
  const bool other = known && mac != n.mac;
  if (n.state == NeighborState::kStatic && !other) return result;
  // "If the Override flag is clear and the supplied link-layer address differs ... the
  // advertisement ... MUST NOT update the cache" but for making it STALE, which here the next probe
  // does. With the flag it may, unless the entry is known to be good (IPL-06).
  if (mac == net_.mac || !MayUpdate(n, mac, now) || (other && !message.override_flag)) {
    ++counters_.conflict;
    return result;
  }
  if (known && !other && !message.solicited) return result;
  Learn(index, mac, message.solicited ? NeighborState::kReachable : NeighborState::kStale, now,
        result);
  return result;
}

}  // namespace millrace::stack
