#include "millrace/dpdk/bond.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace millrace::dpdk {
namespace {

// A bond gives its ports addresses, which the drivers (22.11) of the others do not take.
bool CanBeMember(DeviceKind kind) { return kind == DeviceKind::kPci || kind == DeviceKind::kTap; }

absl::Status Wrong(const PortConfig& config, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(config.text, ": ", what));
}

}  // namespace

std::vector<std::string> PortConfig::PciAddresses() const {
  if (kind == DeviceKind::kPci) return {target};
  std::vector<std::string> addresses;
  for (const PortConfig& member : members) {
    if (member.kind == DeviceKind::kPci) addresses.push_back(member.target);
  }
  return addresses;
}

absl::Status ParseBond(PortConfig& config) {
  for (absl::string_view text : absl::StrSplit(config.target, '+')) {
    absl::StatusOr<PortConfig> member = ParsePortConfig(text);
    if (!member.ok()) return Wrong(config, member.status().message());
    if (!CanBeMember(member->kind)) {
      return Wrong(config, absl::StrCat(text, " cannot be bonded; pci and tap can"));
    }
    const auto same = [&](const PortConfig& other) { return other.target == member->target; };
    if (std::any_of(config.members.begin(), config.members.end(), same)) {
      return Wrong(config, absl::StrCat(text, " stands there twice"));
    }
    config.members.push_back(*std::move(member));
  }
  if (config.members.size() < 2) {
    return Wrong(config, "a bond is of two ports at least: bond:pci:41:00.0+pci:41:00.1");
  }
  return absl::OkStatus();
}

absl::Status CheckBond(const PortConfig& config, const HostNetwork& host) {
  for (PortConfig member : config.members) {
    member.mtu = config.mtu;
    member.force = config.force;
    const absl::Status status = CheckPortConfig(member, host);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(config.text, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

VdevName BondVdev(uint32_t index, const std::vector<std::string>& members) {
  constexpr int kActiveBackup = 1;
  VdevName vdev{absl::StrCat("net_bonding", index), absl::StrCat("mode=", kActiveBackup)};
  for (const std::string& member : members) absl::StrAppend(&vdev.arguments, ",slave=", member);
  absl::StrAppend(&vdev.arguments, ",primary=", members.front());
  return vdev;
}

}  // namespace millrace::dpdk
