#include "millrace/stack/host_v6.h"

#include <algorithm>

namespace millrace::stack {
namespace {

constexpr Duration kRetransmit = Duration::Seconds(1);            // RFC 4861 10: RETRANS_TIMER
constexpr Duration kSolicitationInterval = Duration::Seconds(4);  // RTR_SOLICITATION_INTERVAL
constexpr uint8_t kSolicitationsMax = 3;                          // MAX_RTR_SOLICITATIONS
constexpr uint32_t kForEver = 0xFFFF'FFFF;

}  // namespace

HostV6::HostV6(const HostV6Config& config, const MacAddress& mac, Instant now)
    : config_(config), reports_(mac) {
  if (config.address.length_bits == 0) return;
  const IpAddress& address = config.address.address;
  const bool only_link_local = wire::IsLinkLocalV6(address);
  net_.link_local = only_link_local ? address : wire::LinkLocalOf(mac);
  if (!only_link_local) {
    net_.address = address;
    net_.owned_high = LeadingBits(config.owned_bits);
    net_.owned_low = LeadingBits(config.owned_bits - 64);
  }
  StartDetection(detections_[0], net_.address, now);
  StartDetection(detections_[1], net_.link_local, now);
  // RFC 4862 5.4.2: a node joins the groups before it solicits.
  if (config.group_reports) reports_.OnJoin(1, now);
  SetReady(now);
  if (config.router_advertisements) {
    solicitations_left_ = kSolicitationsMax;
    // RFC 4861 6.3.7: not before there is an address to ask from.
    next_solicitation_ = now + Duration::Nanoseconds(kRetransmit.ns() * config.detection_transmits);
  }
}

void HostV6::StartDetection(Detection& detection, const IpAddress& address, Instant now) {
  if (address == IpAddress()) return;
  detection.address = address;
  detection.state =
      config_.detection_transmits == 0 ? AddressState::kReady : AddressState::kTentative;
  detection.transmits_left = config_.detection_transmits;
  detection.next = now;
}

void HostV6::SetReady(Instant now) {
  const bool had_link_local = net_.link_local_ready;
  net_.address_ready = detections_[0].state == AddressState::kReady;
  net_.link_local_ready = detections_[1].state == AddressState::kReady;
  if (config_.group_reports && net_.link_local_ready && !had_link_local) reports_.OnJoin(2, now);
}

void HostV6::OnGroupQuery(const wire::MldQuery& query, Instant now) {
  if (!config_.group_reports) return;
  if (!wire::IsUnspecifiedV6(query.group) && !net_.IsMember(query.group)) return;
  reports_.OnQuery(query.max_response, now);
}

AddressState HostV6::address_state() const {
  return net_.address == IpAddress() ? detections_[1].state : detections_[0].state;
}

std::optional<HostV6::Message> HostV6::NextMessage(Instant now) {
  if (const auto report = reports_.Next(now)) return Message{.group_report = report};
  for (Detection& d : detections_) {
    if (d.state != AddressState::kTentative || now < d.next) continue;
    if (d.transmits_left == 0) {
      // RFC 4862 5.4: an address "is considered unique" when nothing was heard for RetransTimer
      // after the last solicitation.
      d.state = AddressState::kReady;
      SetReady(now);
      continue;
    }
    --d.transmits_left;
    d.next = now + kRetransmit;
    return Message{.target = d.address};
  }
  if (solicitations_left_ > 0 && now >= next_solicitation_) {
    --solicitations_left_;
    next_solicitation_ = now + kSolicitationInterval;
    if (net_.link_local_ready) return Message{.router_solicitation = true};
  }
  return std::nullopt;
}

Instant HostV6::NextDeadline() const {
  Instant next = solicitations_left_ > 0 ? next_solicitation_ : Instant::Never();
  for (const Detection& d : detections_) {
    if (d.state == AddressState::kTentative) next = std::min(next, d.next);
  }
  return std::min(next, reports_.NextDeadline());
}

bool HostV6::OnConflict(const IpAddress& address) {
  for (Detection& d : detections_) {
    if (d.state == AddressState::kTentative && d.address == address) {
      d.state = AddressState::kDuplicate;
      return true;
    }
  }
  return false;
}

Instant HostV6::Expiry(uint32_t lifetime_s, Instant now) {
  return lifetime_s == kForEver ? Instant::Never() : now + Duration::Seconds(lifetime_s);
}

void HostV6::OnRouterAdvertisement(const wire::RouterAdvertisement& advertisement,
                                   const IpAddress& router, Instant now) {
  if (!config_.router_advertisements) return;
  solicitations_left_ = 0;
  if (advertisement.lifetime_s > 0) {
    // Another router only takes the place of one whose time is over.
    if (router == router_ || now >= router_expires_) {
      router_ = router;
      router_expires_ = Expiry(advertisement.lifetime_s, now);
    }
  } else if (router == router_) {
    router_expires_ = now;
  }
  // RFC 4861 6.3.4: "as long as the value is not less than the minimum link MTU ... and does not
  // exceed the default LinkMTU value"; the second is seen to by whoever uses it.
  if (advertisement.mtu >= wire::kIpv6MtuMin && advertisement.mtu <= 0xFFFF) {
    mtu_ = static_cast<uint16_t>(advertisement.mtu);
  }
  for (size_t i = 0; i < advertisement.prefix_count; ++i) {
    const wire::PrefixInformation& information = advertisement.prefixes[i];
    const auto same = [&](const LearntPrefix& p) {
      return p.prefix.length_bits == information.prefix.length_bits &&
             p.prefix.address == information.prefix.address;
    };
    auto slot = std::find_if(prefixes_.begin(), prefixes_.end(), same);
    if (slot == prefixes_.end()) {
      slot = std::find_if(prefixes_.begin(), prefixes_.end(),
                          [&](const LearntPrefix& p) { return p.expires <= now; });
    }
    if (slot != prefixes_.end()) *slot = {information.prefix, Expiry(information.valid_s, now)};
  }
}

void HostV6::OnRouterGone(const IpAddress& router) {
  if (router == router_) router_expires_ = Instant();
}

bool HostV6::OnLink(const IpAddress& destination, Instant now) const {
  if (wire::IsLinkLocalV6(destination) || config_.address.Contains(destination)) return true;
  return std::any_of(prefixes_.begin(), prefixes_.end(), [&](const LearntPrefix& p) {
    return now < p.expires && p.prefix.Contains(destination);
  });
}

IpAddress HostV6::NextHop(const IpAddress& destination, Instant now) const {
  if (!enabled() || OnLink(destination, now)) return enabled() ? destination : IpAddress();
  if (config_.gateway != IpAddress()) return config_.gateway;
  return now < router_expires_ ? router_ : IpAddress();
}

IpAddress HostV6::SourceFor(const IpAddress& destination) const {
  // RFC 6724 5, rule 2: "Prefer appropriate scope."
  if (wire::IsLinkLocalV6(destination) || net_.address == IpAddress()) {
    return net_.link_local_ready ? net_.link_local : IpAddress();
  }
  return net_.address_ready ? net_.address : IpAddress();
}

}  // namespace millrace::stack
