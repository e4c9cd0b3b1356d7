#include "apps/common/port_flags.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
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

// Deals a list by the networks of the ports.
void DealByNetwork(const std::string& list, std::string DeviceFlags::*member,
                   std::vector<DeviceFlags>& ports) {
  for (absl::string_view text : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::optional<IpAddress> address = FirstAddressOf(text);
    bool used = false;
    for (DeviceFlags& port : ports) {
      if (!address || !IsIn(*address, port.ip)) continue;
      Append(port.*member, text);
      used = true;
    }
    if (!used) Append(ports.front().*member, text);
  }
}

}  // namespace

absl::StatusOr<std::vector<DeviceFlags>> FlagsOfPorts(const DeviceFlags& flags) {
  const std::vector<std::string> devices = absl::StrSplit(flags.dev, ';');
  if (devices.size() == 1) return std::vector{flags};
  std::vector<DeviceFlags> ports(devices.size(), flags);
  for (size_t i = 0; i < ports.size(); ++i) {
    ports[i].dev = devices[i];
    ports[i].ip = ports[i].gw = ports[i].own = "";
    if (std::count(devices.begin(), devices.end(), devices[i]) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("--dev ", devices[i], " stands there twice"));
    }
  }
  if (absl::Status dealt = DealAddresses(flags.ip, ports); !dealt.ok()) return dealt;
  DealByNetwork(flags.gw, &DeviceFlags::gw, ports);
  DealByNetwork(flags.own, &DeviceFlags::own, ports);
  for (size_t i = 0; i < ports.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      // Two engines would answer for the same address, or open from the same tuple.
      if (ports[i].own.empty() || ports[i].own != ports[j].own) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "--src ", flags.own, ": ", ports[j].dev, " and ", ports[i].dev,
          " are in the same network, so that it cannot be told whose these addresses are"));
    }
  }
  return ports;
}

}  // namespace millrace::apps
