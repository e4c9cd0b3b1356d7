// apps/common/port_flags.h - which of the flags belong to which port, when --dev is given twice.
//
// Each --dev has the next --ip of each family that is given, and of --gw and --src (--addresses)
// what lies in the network of that address. Pure.
#ifndef MILLRACE_APPS_COMMON_PORT_FLAGS_H_
#define MILLRACE_APPS_COMMON_PORT_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/setup.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::apps {

// The flags of each port, in the order of --dev; one port has them all. What fits nowhere is left
// to the first port, whose check names it (apps/common/addresses.h); a part of --src that fits two
// ports is refused.
absl::StatusOr<std::vector<DeviceFlags>> FlagsOfPorts(const DeviceFlags& flags);

// What one --dev names, `auto` resolved. Nothing is opened.
absl::StatusOr<dpdk::PortConfig> ParseDevice(const std::string& text,
                                             const dpdk::HostNetwork& host);

// Whether each port has a device of its own, however the devices are written: an interface by two
// drivers, or a member of a bond beside it, is one device. Syntax only.
absl::Status CheckDevicesDiffer(const std::vector<dpdk::PortConfig>& configs);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PORT_FLAGS_H_
