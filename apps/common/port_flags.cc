#include "apps/common/port_flags.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "millrace/dpdk/auto_device.h"
#include "millrace/wire/ipv6.h"

namespace millrace::apps {
namespace {

void Append(std::string& list, absl::string_view part) {
  absl::StrAppend(&list, list.empty() ? "" : ",", part);
}

// "10.1.16.0/20:1024-65535", "10.1.16.0-10.1.16.127", "2001:db8::1", "2001:db8::1:0/112".
std::optional<IpAddress> FirstAddressOf(absl::string_view text) {
  if (const auto address = IpAddress::Parse(std::string(text))) return address;
  if (const auto prefix = IpPrefix::Parse(std::string(text))) return prefix->address;
  return IpAddress::Parse(std::string(text.substr(0, text.find_first_of("/-:"))));
}

// Deals --ip: the n-th address of a family to the n-th port.
absl::Status DealAddresses(const std::string& list, std::vector<DeviceFlags>& ports) {
  size_t dealt[2] = {};
  for (absl::string_view text : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::optional<IpAddress> address = FirstAddressOf(text);
    size_t& next = dealt[address && !address->IsV4() ? 1 : 0];
    if (next == ports.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--ip ", list, ": more addresses of a family than --dev"));
    }
    Append(ports[next++].ip, text);
  }
  for (const size_t count : dealt) {
    if (count == 0 || count == ports.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--ip ", list, ": ", ports.size(), " ports need as many addresses of a family, or none"));
  }
  return absl::OkStatus();
}

bool IsIn(const IpAddress& address, const std::string& networks) {
  for (absl::string_view text : absl::StrSplit(networks, ',')) {
    const auto network = IpPrefix::Parse(std::string(text));
    if (!network || network->address.IsV4() != address.IsV4()) continue;
    if (network->Contains(address) || wire::IsLinkLocalV6(address)) return true;
  }
  return false;
}

// Deals a list by the networks of the ports. `alone`: what lies in those of two ports is refused.
absl::Status DealByNetwork(const std::string& list, bool alone, std::string DeviceFlags::*member,
                           std::vector<DeviceFlags>& ports) {
  for (absl::string_view text : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::optional<IpAddress> address = FirstAddressOf(text);
    const DeviceFlags* owner = nullptr;
    for (DeviceFlags& port : ports) {
      if (!address || !IsIn(*address, port.ip)) continue;
      if (alone && owner != nullptr) {
        // Two engines would answer for the same address, or open from the same tuple.
        return absl::InvalidArgumentError(absl::StrCat(
            "--src ", text, ": ", owner->dev, " and ", port.dev,
            " are in the same network, so that it cannot be told whose these addresses are"));
      }
      Append(port.*member, text);
      owner = &port;
    }
    if (owner == nullptr) Append(ports.front().*member, text);
  }
  return absl::OkStatus();
}

// What only one port can have: "interface veth0", "pci 0000:41:00.0". Of a bond what it is of.
std::vector<std::string> BelongingsOf(const dpdk::PortConfig& config) {
  using dpdk::DeviceKind;
  switch (config.kind) {
    case DeviceKind::kRing:
      return {};
    case DeviceKind::kAfPacket:
    case DeviceKind::kAfXdp:
    case DeviceKind::kTap:
      return {"interface " + config.target};
    case DeviceKind::kMemif:
      return {"memif " + config.target};
    case DeviceKind::kPci:
      return {"pci " + config.target};
    case DeviceKind::kVdev:
      return {"vdev " + config.target.substr(0, config.target.find(','))};
    case DeviceKind::kBond:
      break;
  }
  std::vector<std::string> all;
  for (const dpdk::PortConfig& member : config.members) {
    for (std::string& one : BelongingsOf(member)) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

absl::StatusOr<std::vector<DeviceFlags>> FlagsOfPorts(const DeviceFlags& flags) {
  const std::vector<std::string> devices = absl::StrSplit(flags.dev, ';');
  if (devices.size() == 1) return std::vector{flags};
  std::vector<DeviceFlags> ports(devices.size(), flags);
  for (size_t i = 0; i < ports.size(); ++i) {
    ports[i].dev = devices[i];
    ports[i].ip = ports[i].gw = ports[i].own = "";
  }
  absl::Status dealt = DealAddresses(flags.ip, ports);
  if (dealt.ok()) dealt = DealByNetwork(flags.gw, false, &DeviceFlags::gw, ports);
  if (dealt.ok()) dealt = DealByNetwork(flags.own, true, &DeviceFlags::own, ports);
  if (!dealt.ok()) return dealt;
  return ports;
}

absl::StatusOr<dpdk::PortConfig> ParseDevice(const std::string& text,
                                             const dpdk::HostNetwork& host) {
  std::string name = text;
  if (name == "auto") {
    absl::StatusOr<std::string> chosen = dpdk::ChooseDevice(dpdk::ReadEnvironment(), host);
    if (!chosen.ok()) return chosen.status();
    name = *std::move(chosen);
  }
  absl::StatusOr<dpdk::PortConfig> port = dpdk::ParsePortConfig(name);
  if (port.ok() && port->kind == dpdk::DeviceKind::kRing) {
    return absl::InvalidArgumentError(
        "--dev ring has nobody at its other end: use `millrace demo`, or --dev afpacket:IFACE");
  }
  return port;
}

absl::Status CheckDevicesDiffer(const std::vector<dpdk::PortConfig>& configs) {
  std::map<std::string, std::string> users;
  for (const dpdk::PortConfig& config : configs) {
    for (const std::string& belonging : BelongingsOf(config)) {
      const auto [user, first] = users.emplace(belonging, config.text);
      if (first) continue;
      return absl::InvalidArgumentError(absl::StrCat("--dev ", user->second, " and --dev ",
                                                     config.text,
                                                     " open the same device: ", belonging));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps
