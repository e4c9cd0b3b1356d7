// machine/facts.h - what this machine and this process are given, read from /proc and /sys.
//
// Only files are read; no device is opened, no module loaded, nothing is changed. All paths are
// below a root that is a parameter, so that tests bring a machine of their own. What is not there,
// or not understood, keeps its default.
#ifndef MILLRACE_APPS_MACHINE_FACTS_H_
#define MILLRACE_APPS_MACHINE_FACTS_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace millrace::apps {

struct Nic {
  std::string address;    // "0000:03:00.0"
  std::string vendor_id;  // "8086:100f", vendor and device
  std::string driver;     // "e1000", "vfio-pci"; "" for none
  std::string interface;  // of the kernel; "" when it has none
  bool link_up = false;
  bool default_route = false;  // the machine is reached through it, or reaches others
  int numa_node = -1;
  int speed_mbit = 0;  // 0: unknown
  std::string iommu_group;
  std::vector<std::string> group_peers;  // other devices of the group, bridges left out
};

struct MachineFacts {
  std::string kernel;                       // "6.1.0-40-amd64"
  std::vector<int> cpus;                    // that the process may use
  std::string cpus_text, cgroup_cpus_text;  // "0-1"; "" for no cgroup limit
  double cpu_quota = 0;                     // CPUs' worth of time; 0: no limit
  std::set<std::string> siblings;           // lists of hyper-threads of which the process has two
  int numa_nodes = 1;

  uint64_t available_bytes = 0;  // that can be had without swapping
  std::optional<uint64_t> cgroup_limit_bytes;
  uint64_t huge_2m_total = 0, huge_2m_free = 0, huge_1g_free = 0;  // pages
  uint64_t memlock_bytes = UINT64_MAX;

  uint64_t capabilities = 0;  // effective, by bit
  bool root = false;
  bool iommu = false, vfio_pci = false, vfio_device = false, vfio_no_iommu = false;
  bool tun = false, bpf_mounted = false, container = false;
  bool dpdk_found = false, dpdk_pools = false;  // pools: the driver of those that packets are in
  std::set<std::string> dpdk_drivers;           // "net_af_packet": shared objects that DPDK finds
  std::vector<Nic> nics;

  bool Has(int capability) const { return (capabilities >> capability & 1) != 0; }
};

// Numbers of <linux/capability.h>.
inline constexpr int kCapNetAdmin = 12, kCapNetRaw = 13, kCapIpcLock = 14, kCapSysAdmin = 21,
                     kCapBpf = 39;

// `root`: "" for this machine, else a folder with proc, sys, dev and usr in it.
MachineFacts ReadFacts(const std::string& root);

// "0-2,5" as numbers; what is not understood ends the list.
std::vector<int> ParseCpuList(const std::string& text);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MACHINE_FACTS_H_
