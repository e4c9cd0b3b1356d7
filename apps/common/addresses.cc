#include "apps/common/addresses.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/common/units.h"
#include "millrace/wire/ipv6.h"

namespace millrace::apps {
namespace {

// The parts of a list with commas.
std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

absl::Status SetGateway(const std::string& text, stack::EngineConfig* config) {
  const std::optional<IpAddress> gateway = IpAddress::Parse(text);
  if (!gateway) return absl::InvalidArgumentError("--gw \"" + text + "\" is no IP address");
  const IpPrefix& network = gateway->IsV4() ? config->address : config->host_v6.address;
  const bool on_link = !gateway->IsV4() && wire::IsLinkLocalV6(*gateway);
  if (network.length_bits == 0 || (!network.Contains(*gateway) && !on_link)) {
    return absl::InvalidArgumentError("--gw " + text + " is not in a network of --ip");
  }
  const IpPrefix ours{network.address,
                      gateway->IsV4() ? config->owned_bits : config->host_v6.owned_bits};
  if (ours.Contains(*gateway)) {
    return absl::InvalidArgumentError("--gw " + text + " is one of our own addresses");
  }
  if (gateway->IsV4()) {
    config->gateway_v4 = gateway->v4();
  } else {
    config->host_v6.gateway = *gateway;
  }
  return absl::OkStatus();
}

// What all parts of the list are together: the engine owns one prefix.
absl::StatusOr<OwnAddresses> Together(const std::string& list) {
  std::vector<OwnAddresses> parts;
  for (const std::string& text : Split(list)) {
    absl::StatusOr<OwnAddresses> part = ParseOwnAddresses(text);
    if (!part.ok()) return part.status();
    parts.push_back(*part);
  }
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  OwnAddresses all = parts.front();
  for (const OwnAddresses& part : parts) {
    if (part.port_min != all.port_min || part.port_max != all.port_max) {
      return absl::InvalidArgumentError("--src " + list + ": all addresses have the same ports");
    }
    if (part.first > uint64_t{all.last} + 1) {
      return absl::InvalidArgumentError(
          "--src " + list + ": " + IpAddress::V4(all.last + 1).ToString() +
          " is missing: the addresses have to be one prefix together");
    }
    all.last = std::max(all.last, part.last);
  }
  return all;
}

absl::Status SetOwn(const std::string& list, stack::EngineConfig* config) {
  const absl::StatusOr<OwnAddresses> own = Together(list);
  if (!own.ok()) return own.status();
  const uint32_t hosts = own->last - own->first;
  if ((hosts & (hosts + 1)) != 0 || (own->first & hosts) != 0) {
    return absl::InvalidArgumentError(
        "--src " + list + ": " + IpAddress::V4(own->first).ToString() + " to " +
        IpAddress::V4(own->last).ToString() + " is no prefix; leave some out, or add some");
  }
  const int bits = 32 - std::popcount(hosts);
  const IpPrefix& network = config->address;
  if (network.length_bits == 0 || !network.Contains(IpAddress::V4(own->first)) ||
      bits < network.length_bits) {
    return absl::InvalidArgumentError("--src " + list + " is no part of the network of --ip");
  }
  config->owned_bits = bits;
  // Of /30 and shorter the first address is none of a host.
  const IpPrefix owned{IpAddress::V4(own->first + (bits <= 30 ? 1 : 0)), bits};
  if (!owned.Contains(config->address.address)) config->address.address = owned.address;
  config->source_port_min = own->port_min;
  config->source_port_max = own->port_max;
  return absl::OkStatus();
}

absl::Status SetOwnV6(const IpPrefix& own, stack::EngineConfig* config) {
  IpPrefix& network = config->host_v6.address;
  const bool inside = network.length_bits > 0 && network.Contains(own.address) &&
                      own.length_bits >= network.length_bits;
  if (!inside || wire::IsLinkLocalV6(own.address)) {
    return absl::InvalidArgumentError("--src " + own.ToString() +
                                      " is no part of the network of --ip");
  }
  config->host_v6.owned_bits = own.length_bits;
  if (own.Contains(network.address)) return absl::OkStatus();
  // Of /126 and shorter the first address is every router's.
  const IpAddress first = own.Network();
  network.address = IpAddress::V6(first.high(), first.low() + (own.length_bits <= 126 ? 1 : 0));
  return absl::OkStatus();
}

// One prefix of IPv6 addresses may stand in the list.
absl::Status SetOwnOfBothFamilies(const std::string& list, stack::EngineConfig* config) {
  std::vector<std::string> parts = Split(list);
  const auto v6 = std::find_if(parts.begin(), parts.end(), [](const std::string& part) {
    const auto prefix = IpPrefix::Parse(part);
    return prefix && !prefix->address.IsV4();
  });
  if (v6 != parts.end()) {
    if (absl::Status set = SetOwnV6(*IpPrefix::Parse(*v6), config); !set.ok()) return set;
    parts.erase(v6);
  }
  return parts.empty() ? absl::OkStatus() : SetOwn(absl::StrJoin(parts, ","), config);
}

}  // namespace

absl::StatusOr<OwnAddresses> ParseOwnAddresses(const std::string& text) {
  const auto wrong = [&](const char* what) {
    return absl::InvalidArgumentError("\"" + text + "\" " + what +
                                      "; write 10.1.16.0/20 or 10.1.16.0-10.1.16.127, and "
                                      ":1024-65535 behind it for ports");
  };
  OwnAddresses own;
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const size_t dash = parts[0].find('-');
  const auto first = IpPrefix::Parse(parts[0].substr(0, dash));
  const auto last = dash == std::string::npos ? first : IpPrefix::Parse(parts[0].substr(dash + 1));
  if (!first || !last || !first->address.IsV4() || !last->address.IsV4() ||
      first->length_bits == 0) {
    return wrong("is no prefix or range of IPv4 addresses");
  }
  const uint32_t hosts =
      dash == std::string::npos ? ~uint32_t{0} >> (first->length_bits - 1) >> 1 : 0;
  own.first = first->address.v4() & ~hosts;
  own.last = last->address.v4() | hosts;
  if (own.first > own.last) return wrong("ends before it begins");
  if (parts.size() == 1) return own;
  const std::vector<std::string> ports = absl::StrSplit(parts[1], absl::MaxSplits('-', 1));
  const auto low = ParseCount(ports.front()), high = ParseCount(ports.back());
  if (!low || !high || *low == 0 || *high > 65'535 || *low > *high) {
    return wrong("has no range of ports");
  }
  own.ports_given = true;
  own.port_min = static_cast<uint16_t>(*low);
  own.port_max = static_cast<uint16_t>(*high);
  return own;
}

std::string WrongOwnAddresses(const std::string& list) {
  for (const std::string& part : Split(list)) {
    const auto prefix = IpPrefix::Parse(part);
    if (prefix && !prefix->address.IsV4()) continue;
    if (const auto own = ParseOwnAddresses(part); !own.ok())
      return std::string(own.status().message());
  }
  return "";
}

absl::Status SetAddresses(const DeviceFlags& flags, stack::EngineConfig* config) {
  for (const std::string& text : Split(flags.ip)) {
    const std::optional<IpPrefix> address = IpPrefix::Parse(text);
    if (!address) return absl::InvalidArgumentError("--ip \"" + text + "\" is no address");
    IpPrefix& place = address->address.IsV4() ? config->address : config->host_v6.address;
    if (place.length_bits != 0) {
      return absl::InvalidArgumentError("--ip " + flags.ip + ": at most one address of a family");
    }
    place = *address;
  }
  if (!flags.own.empty()) {
    if (absl::Status set = SetOwnOfBothFamilies(flags.own, config); !set.ok()) return set;
  }
  config->host_v6.router_advertisements = flags.router_advertisements;
  for (const std::string& text : Split(flags.gw)) {
    if (absl::Status set = SetGateway(text, config); !set.ok()) return set;
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps
