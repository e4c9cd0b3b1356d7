// machine/nic_plan.h - the NICs of a machine, and how one is made ready for DPDK.
//
// Nothing is done here: a plan is text for the administrator.
#ifndef MILLRACE_APPS_MACHINE_NIC_PLAN_H_
#define MILLRACE_APPS_MACHINE_NIC_PLAN_H_

#include <string>

#include "absl/status/statusor.h"
#include "apps/machine/facts.h"

namespace millrace::apps {

// How a NIC can be used as it is: "--dev pci:0000:41:00.1", "--dev afpacket:eth1", or why not.
std::string UsableAs(const Nic& nic, const MachineFacts& facts);

// A table: address, driver, NUMA node, link, interface, how it can be used.
std::string NicTable(const MachineFacts& facts);

// The commands, in their order, that give the NIC at this PCI address, or of this interface, to
// DPDK, and those that give it back. kFailedPrecondition, with the reason, for a NIC that carries
// the default route or shares its IOMMU group; kInvalidArgument when there is no such NIC.
absl::StatusOr<std::string> NicPlan(const MachineFacts& facts, const std::string& name);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MACHINE_NIC_PLAN_H_
