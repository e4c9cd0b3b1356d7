#include "apps/machine/nic_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "apps/machine/driver_table.h"

namespace millrace::apps {
namespace {

std::string Padded(std::string text, size_t columns) {
  text.resize(std::max(text.size() + 1, columns), ' ');
  return text;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string HugePageLines(const MachineFacts& facts) {
  constexpr uint64_t kWanted = 512;  // 1 GiB
  if (facts.huge_2m_free >= kWanted || facts.huge_1g_free > 0) return "";
  return "# huge pages: memory that devices can reach\nsudo sysctl vm.nr_hugepages=" +
         std::to_string(facts.huge_2m_total - facts.huge_2m_free + kWanted) + "\n";
}

std::string VfioLines(const MachineFacts& facts) {
  std::string text;
  if (!facts.vfio_pci) text += "sudo modprobe vfio-pci\n";
  if (!facts.iommu && !facts.vfio_no_iommu) {
    text +=
        "# there is no IOMMU: any device so bound can write to all memory\n"
        "echo Y | sudo tee /sys/module/vfio/parameters/enable_unsafe_noiommu_mode\n";
  }
  return text;
}

}  // namespace

std::string UsableAs(const Nic& nic, const MachineFacts& facts) {
  if (nic.driver == "vfio-pci") return "--dev pci:" + nic.address;
  const DriverPair* const pair = PairOf(nic.driver);
  if (pair != nullptr && pair->shared) return "--dev pci:" + nic.address;
  if (nic.default_route) return "not: it carries the default route";
  const std::string kernel_way = nic.interface.empty() ? "" : "--dev afpacket:" + nic.interface;
  if (pair == nullptr) return kernel_way.empty() ? "not: no driver of DPDK" : kernel_way;
  const bool driver = facts.dpdk_drivers.contains(std::string(pair->dpdk));
  if (!driver) return kernel_way.empty() ? "not: no driver installed" : kernel_way;
  return (kernel_way.empty() ? "" : kernel_way + ", or ") + "pci by `nic plan`";
}

std::string NicTable(const MachineFacts& facts) {
  if (facts.nics.empty()) {
    return "no PCI network device; rings, tap and afpacket need none (`millrace doctor`)\n";
  }
  std::string text = Padded("address", 14) + Padded("id", 11) + Padded("driver", 11) +
                     Padded("node", 5) + Padded("link", 13) + Padded("interface", 11) +
                     "usable as\n";
  for (const Nic& nic : facts.nics) {
    std::string link = nic.interface.empty() ? "-" : nic.link_up ? "up" : "down";
    if (nic.link_up && nic.speed_mbit > 0) {
      link += " " + (nic.speed_mbit % 1000 == 0 ? std::to_string(nic.speed_mbit / 1000) + "G"
                                                : std::to_string(nic.speed_mbit) + "M");
    }
    text += Padded(nic.address, 14) + Padded(nic.vendor_id, 11) +
            Padded(nic.driver.empty() ? "-" : nic.driver, 11) +
            Padded(nic.numa_node < 0 ? "-" : std::to_string(nic.numa_node), 5) + Padded(link, 13) +
            Padded(nic.interface.empty() ? "-" : nic.interface, 11) + UsableAs(nic, facts) + "\n";
  }
  return text;
}

absl::StatusOr<std::string> NicPlan(const MachineFacts& facts, const std::string& name) {
  const auto found = std::find_if(facts.nics.begin(), facts.nics.end(), [&](const Nic& n) {
    return n.address == name || n.address == "0000:" + name ||
           (!n.interface.empty() && n.interface == name);
  });
  if (found == facts.nics.end()) {
    return absl::InvalidArgumentError("there is no PCI network device " + name +
                                      "; `millrace nic list` shows those that there are");
  }
  const Nic& nic = *found;
  const DriverPair* const pair = PairOf(nic.driver);
  const std::string head = "# " + nic.address + " (" + nic.vendor_id + ") on " +
                           (nic.driver.empty() ? "no driver" : nic.driver) + "\n";
  if (pair != nullptr && pair->shared) {
    return head + HugePageLines(facts) +
           "# it stays on its kernel driver, which DPDK works beside: nothing to bind\n"
           "millrace serve --dev pci:" +
           nic.address + " ...\n";
  }
  if (nic.driver == "vfio-pci") {
    return head + HugePageLines(facts) +
           "# it is bound already\nmillrace serve --dev pci:" + nic.address + " ...\n";
  }
  if (nic.default_route) {
    return absl::FailedPreconditionError(
        nic.address + " (" + nic.interface +
        ") carries the default route: without it this machine may be out of reach. Take another "
        "device, or move the route first");
  }
  if (!nic.group_peers.empty()) {
    return absl::FailedPreconditionError(
        nic.address + " shares IOMMU group " + nic.iommu_group + " with " +
        Joined(nic.group_peers) +
        ": all of them must leave the kernel together. Bind them all by "
        "hand, or use a virtual function of the device");
  }
  std::string text = head + HugePageLines(facts) + VfioLines(facts);
  if (!nic.interface.empty()) text += "sudo ip link set " + nic.interface + " down\n";
  text += "sudo dpdk-devbind.py --bind=vfio-pci " + nic.address + "\n";
  text += "millrace serve --dev pci:" + nic.address + " ...\n";
  if (!nic.driver.empty()) {
    text += "# back to the kernel:\nsudo dpdk-devbind.py --bind=" + nic.driver + " " + nic.address +
            "\n";
  }
  return text;
}

}  // namespace millrace::apps
