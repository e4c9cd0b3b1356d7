// apps/common/port_flags.h - which of the flags belong to which port, when --dev is given twice.
//
// Each --dev has the next --ip of each family that is given, and of --gw and --src (--addresses)
// what lies in the network of that address. Pure.
#ifndef MILLRACE_APPS_COMMON_PORT_FLAGS_H_
#define MILLRACE_APPS_COMMON_PORT_FLAGS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/setup.h"

namespace millrace::apps {

// The flags of each port, in the order of --dev; one port has them all. What fits nowhere is left
// to the first port, whose check names it (apps/common/addresses.h).
absl::StatusOr<std::vector<DeviceFlags>> FlagsOfPorts(const DeviceFlags& flags);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PORT_FLAGS_H_
