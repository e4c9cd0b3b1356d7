#include "millrace/dpdk/auto_device.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace millrace::dpdk {
namespace {

constexpr absl::string_view kPrefix = "PCIDEVICE_";
constexpr absl::string_view kInfo = "_INFO";  // newer plugins: JSON about the same devices

std::vector<std::string> GivenByPlugin(const std::vector<std::string>& environment) {
  std::vector<std::string> addresses;
  for (const std::string& variable : environment) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    if (!absl::StartsWith(parts.first, kPrefix) || absl::EndsWith(parts.first, kInfo)) continue;
    for (const absl::string_view address : absl::StrSplit(parts.second, ',', absl::SkipEmpty())) {
      addresses.emplace_back(address);
    }
  }
  return addresses;
}

std::vector<std::string> BoundToVfio(const HostNetwork& host) {
  std::vector<std::string> addresses;
  for (const HostNetwork::PciDevice& device : host.ethernet_devices) {
    if (device.driver == "vfio-pci") addresses.push_back(device.address);
  }
  return addresses;
}

}  // namespace

absl::StatusOr<std::string> ChooseDevice(const std::vector<std::string>& environment,
                                         const HostNetwork& host) {
  std::vector<std::string> found = GivenByPlugin(environment);
  const bool given = !found.empty();
  if (!given) found = BoundToVfio(host);
  if (found.size() == 1) return absl::StrCat("pci:", found.front());
  if (found.empty()) {
    return absl::FailedPreconditionError(
        "auto: no device is named by a variable PCIDEVICE_*, and none is bound to vfio-pci; "
        "`millrace nic list` shows what there is, and afpacket:IFACE goes over any interface");
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "auto: there are several, ", absl::StrJoin(found, ", "),
      given ? " by PCIDEVICE_*" : " bound to vfio-pci", "; say which, as pci:", found.front()));
}

std::vector<std::string> ReadEnvironment() {
  std::vector<std::string> variables;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    variables.emplace_back(*each);
  }
  return variables;
}

}  // namespace millrace::dpdk
