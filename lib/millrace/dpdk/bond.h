// dpdk/bond.h - several ports as one: `--dev bond:DEV+DEV`, DPDK's net_bonding.
//
// Active-backup: one port carries everything, and another takes over when the link of the first is
// down, which its driver reports or dpdk/bond_watch.h finds. Neither the network nor the engine has
// to know: address and connections stay.
#ifndef MILLRACE_DPDK_BOND_H_
#define MILLRACE_DPDK_BOND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {

// Fills config.members from config.target, "pci:41:00.0+pci:41:00.1". Syntax only.
absl::Status ParseBond(PortConfig& config);
// Whether this machine and this user can have all of its ports.
absl::Status CheckBond(const PortConfig& config, const HostNetwork& host);
// Of the ports that EAL knows by these names, the first of which carries while it can.
VdevName BondVdev(uint32_t index, const std::vector<std::string>& members);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_BOND_H_
