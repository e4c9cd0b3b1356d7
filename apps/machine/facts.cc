#include "apps/machine/facts.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "apps/machine/files.h"

namespace millrace::apps {
namespace {

namespace fs = std::filesystem;

// The interface of the IPv4 default route, "" for none.
std::string DefaultRouteInterface(const fs::path& root) {
  const std::string routes = ReadSmall(root / "proc/net/route");
  for (size_t at = 0; at < routes.size();) {
    const size_t end = std::min(routes.find('\n', at), routes.size());
    const std::string line = routes.substr(at, end - at);
    const size_t tab = line.find('\t');
    if (tab != std::string::npos && line.compare(tab + 1, 8, "00000000") == 0) {
      return line.substr(0, tab);
    }
    at = end + 1;
  }
  return "";
}

Nic ReadNic(const fs::path& root, const std::string& address, const std::string& route) {
  const fs::path device = root / "sys/bus/pci/devices" / address;
  Nic nic{.address = address, .driver = LinkName(device / "driver")};
  const auto hex = [&device](const char* name) {
    const std::string text = ReadSmall(device / name);
    return text.starts_with("0x") ? text.substr(2) : text;
  };
  nic.vendor_id = hex("vendor") + ":" + hex("device");
  const std::string node = ReadSmall(device / "numa_node");
  std::from_chars(node.data(), node.data() + node.size(), nic.numa_node);
  // virtio hides its interface one folder deeper.
  std::vector<fs::path> places = {device};
  for (const std::string& name : NamesIn(device)) {
    if (name.starts_with("virtio")) places.push_back(device / name);
  }
  for (const fs::path& place : places) {
    const std::vector<std::string> interfaces = NamesIn(place / "net");
    if (interfaces.empty()) continue;
    nic.interface = interfaces.front();
    const fs::path net = place / "net" / nic.interface;
    nic.link_up = ReadSmall(net / "operstate") == "up";
    nic.speed_mbit =
        static_cast<int>(std::min<uint64_t>(NumberOf(ReadSmall(net / "speed")), 10'000'000));
    nic.default_route = nic.interface == route;
    break;
  }
  nic.iommu_group = LinkName(device / "iommu_group");
  if (nic.iommu_group.empty()) return nic;
  const fs::path group = root / "sys/kernel/iommu_groups" / nic.iommu_group / "devices";
  for (const std::string& peer : NamesIn(group)) {
    const std::string kind = ReadSmall(root / "sys/bus/pci/devices" / peer / "class");
    if (peer != address && !kind.starts_with("0x0604")) nic.group_peers.push_back(peer);
  }
  return nic;
}

void ReadCpus(const fs::path& root, const std::string& status, MachineFacts& facts) {
  facts.cpus_text = ValueOf(status, "Cpus_allowed_list:");
  facts.cpus = ParseCpuList(facts.cpus_text);
  const std::string cgroup = ValueOf(ReadSmall(root / "proc/self/cgroup"), "0::/");
  const fs::path folder = root / "sys/fs/cgroup" / cgroup;
  facts.cgroup_cpus_text = ReadSmall(folder / "cpuset.cpus.effective");
  const std::string quota = ReadSmall(folder / "cpu.max");  // "150000 100000" or "max 100000"
  const size_t space = quota.find(' ');
  if (space != std::string::npos && NumberOf(quota) > 0 && NumberOf(quota.substr(space + 1)) > 0) {
    facts.cpu_quota = static_cast<double>(NumberOf(quota)) /
                      static_cast<double>(NumberOf(quota.substr(space + 1)));
  }
  const std::string limit = ReadSmall(folder / "memory.max");
  if (NumberOf(limit) > 0) facts.cgroup_limit_bytes = NumberOf(limit);
  const fs::path cpus = root / "sys/devices/system/cpu";
  std::set<std::string> seen;
  for (const int cpu : facts.cpus) {
    const std::string siblings =
        ReadSmall(cpus / ("cpu" + std::to_string(cpu)) / "topology/thread_siblings_list");
    if (!siblings.empty() && !seen.insert(siblings).second) facts.siblings.insert(siblings);
  }
  const auto nodes = ParseCpuList(ReadSmall(root / "sys/devices/system/node/online"));
  facts.numa_nodes = std::max(1, static_cast<int>(nodes.size()));
}

void ReadMemory(const fs::path& root, MachineFacts& facts) {
  const std::string meminfo = ReadSmall(root / "proc/meminfo");
  facts.available_bytes = NumberOf(ValueOf(meminfo, "MemAvailable:")) * 1024;
  const fs::path huge = root / "sys/kernel/mm/hugepages";
  facts.huge_2m_total = NumberOf(ReadSmall(huge / "hugepages-2048kB/nr_hugepages"));
  facts.huge_2m_free = NumberOf(ReadSmall(huge / "hugepages-2048kB/free_hugepages"));
  facts.huge_1g_free = NumberOf(ReadSmall(huge / "hugepages-1048576kB/free_hugepages"));
  const std::string memlock = ValueOf(ReadSmall(root / "proc/self/limits"), "Max locked memory");
  if (!memlock.empty() && !memlock.starts_with("unlimited")) {
    facts.memlock_bytes = NumberOf(memlock);
  }
}

// Shared objects of DPDK's drivers, where Debian's packages put them.
void ReadDrivers(const fs::path& root, MachineFacts& facts) {
  for (const std::string& machine : NamesIn(root / "usr/lib")) {
    for (const std::string& version : NamesIn(root / "usr/lib" / machine / "dpdk")) {
      if (!version.starts_with("pmds-")) continue;
      facts.dpdk_found = true;
      for (std::string name : NamesIn(root / "usr/lib" / machine / "dpdk" / version)) {
        if (name.starts_with("librte_mempool_ring.so")) facts.dpdk_pools = true;
        if (!name.starts_with("librte_net_")) continue;
        name = name.substr(7);  // "librte_"
        facts.dpdk_drivers.insert(name.substr(0, name.find(".so")));
      }
    }
  }
}

}  // namespace

std::vector<int> ParseCpuList(const std::string& text) {
  constexpr int kCpusMax = 65'536;
  std::vector<int> cpus;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int first = 0;
    auto parsed = std::from_chars(at, end, first);
    if (parsed.ec != std::errc() || first < 0) break;
    int last = first;
    if (parsed.ptr < end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
      if (parsed.ec != std::errc()) break;
    }
    for (int cpu = first; cpu <= std::min(last, kCpusMax); ++cpu) cpus.push_back(cpu);
    if (parsed.ptr >= end || *parsed.ptr != ',') break;
    at = parsed.ptr + 1;
  }
  return cpus;
}

MachineFacts ReadFacts(const std::string& root_path) {
  const fs::path root = root_path.empty() ? fs::path("/") : fs::path(root_path);
  MachineFacts facts;
  const std::string status = ReadSmall(root / "proc/self/status");
  facts.kernel = ReadSmall(root / "proc/sys/kernel/osrelease");
  const std::string effective = ValueOf(status, "CapEff:");
  std::from_chars(effective.data(), effective.data() + effective.size(), facts.capabilities, 16);
  const std::string uids = ValueOf(status, "Uid:");  // real, effective, ...
  facts.root =
      NumberOf(uids.substr(std::min(uids.find('\t'), uids.size() - 1) + 1)) == 0 && !uids.empty();
  ReadCpus(root, status, facts);
  ReadMemory(root, facts);
  facts.iommu = !NamesIn(root / "sys/kernel/iommu_groups").empty();
  facts.vfio_pci = Exists(root / "sys/bus/pci/drivers/vfio-pci");
  facts.vfio_device = Exists(root / "dev/vfio/vfio");
  facts.vfio_no_iommu =
      ReadSmall(root / "sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y";
  facts.tun = Exists(root / "dev/net/tun");
  facts.bpf_mounted =
      ReadSmall(root / "proc/mounts").find(" /sys/fs/bpf bpf ") != std::string::npos;
  facts.container = Exists(root / ".dockerenv") || Exists(root / "run/.containerenv");
  ReadDrivers(root, facts);
  const std::string route = DefaultRouteInterface(root);
  for (const std::string& address : NamesIn(root / "sys/bus/pci/devices")) {
    const fs::path kind = root / "sys/bus/pci/devices" / address / "class";
    if (ReadSmall(kind).starts_with("0x02")) facts.nics.push_back(ReadNic(root, address, route));
  }
  return facts;
}

}  // namespace millrace::apps
