#include "apps/machine/doctor.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "apps/machine/driver_table.h"
#include "apps/machine/nic_plan.h"

namespace millrace::apps {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

using Findings = std::vector<Finding>;

// "sudo setcap ...": capabilities for the program, so that it need not run as root.
constexpr const char* kSetCapabilities =
    "sudo setcap cap_net_raw,cap_net_admin,cap_ipc_lock+ep \"$(command -v millrace)\"";

std::string Count(uint64_t n, const char* one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

void Cpus(const MachineFacts& f, Findings& findings) {
  if (f.cpus.empty()) {
    findings.push_back({Level::kWarn, "cpus", "which ones may be used is not known", ""});
    return;
  }
  std::string text = f.cpus_text;
  if (!f.cgroup_cpus_text.empty()) text += " (cgroup cpuset " + f.cgroup_cpus_text + ")";
  text += ", " + Count(static_cast<uint64_t>(f.numa_nodes), "NUMA node");
  if (f.cpus.size() == 1) {
    findings.push_back({Level::kInfo, "cpus",
                        text + ": both ends of a test take turns on one; rates are halved", ""});
  } else {
    findings.push_back({Level::kOk, "cpus", text, ""});
  }
  for (const std::string& siblings : f.siblings) {
    findings.push_back({Level::kWarn, "cpus",
                        siblings + " are hyper-threads of one core: two workers on them share it",
                        "taskset -c " + std::to_string(ParseCpuList(siblings).front()) +
                            " millrace ...   # and one CPU of each further core"});
  }
  if (f.cpu_quota > 0 && f.cpu_quota < static_cast<double>(f.cpus.size())) {
    std::array<char, 128> quota;
    std::snprintf(quota.data(), quota.size(),
                  "%.2f CPUs of time by the cgroup: a worker is stopped when they are used up",
                  f.cpu_quota);
    findings.push_back({Level::kWarn, "cpus", quota.data(),
                        "give the container whole CPUs (Kubernetes: static CPU manager, integer "
                        "limits)"});
  }
}

void Memory(const MachineFacts& f, Findings& findings) {
  constexpr uint64_t kNeeded = 256 * kMiB;
  uint64_t available = f.available_bytes;
  std::string text = std::to_string(available / kMiB) + " MB available";
  if (f.cgroup_limit_bytes && *f.cgroup_limit_bytes < available) {
    available = *f.cgroup_limit_bytes;
    text += ", cgroup limit " + std::to_string(available / kMiB) + " MB";
  }
  if (available < kNeeded) {
    findings.push_back({Level::kFail, "memory", text + ": `millrace demo` needs 256 MB",
                        "end other programs, or raise the limit of the container"});
  } else {
    findings.push_back({Level::kOk, "memory", text, ""});
  }
  if (f.huge_2m_free == 0 && f.huge_1g_free == 0) {
    findings.push_back(
        {Level::kWarn, "huge pages", "none free: plain memory is used; NICs on vfio-pci need them",
         "sudo sysctl vm.nr_hugepages=" + std::to_string(f.huge_2m_total + 512) + "   # 1 GiB"});
  } else {
    findings.push_back({Level::kOk, "huge pages",
                        std::to_string(f.huge_2m_free) + " of 2 MiB, " +
                            std::to_string(f.huge_1g_free) + " of 1 GiB free",
                        ""});
  }
}

void Rings(const MachineFacts& f, Findings& findings) {
  if (!f.dpdk_found) {
    findings.push_back({Level::kWarn, "dpdk", "its drivers are not where Debian puts them",
                        "sudo apt-get install libdpdk-dev"});
  } else if (!f.dpdk_pools) {
    findings.push_back({Level::kFail, "dpdk",
                        "its driver of packet pools is missing: --dev kernel alone works",
                        "sudo apt-get install librte-mempool-ring23"});
  } else {
    findings.push_back(
        {Level::kOk, "dpdk", Count(f.dpdk_drivers.size(), "network driver") + " installed", ""});
  }
  findings.push_back({Level::kOk, "--dev ring", "usable: no NIC, no privileges", "millrace demo"});
  findings.push_back({Level::kOk, "--dev kernel", "usable by `load`: this machine's own sockets",
                      "millrace load run http://127.0.0.1:80 --dev kernel"});
}

// A way to send and receive through the kernel: what it lacks, and what mends that.
void KernelWay(const MachineFacts& f, const char* device, const char* driver,
               const std::string& missing, const std::string& remedy, Findings& findings) {
  std::string package = driver;  // "net_af_packet" -> "librte-net-af-packet23"
  std::replace(package.begin(), package.end(), '_', '-');
  if (f.dpdk_found && !f.dpdk_drivers.contains(driver)) {
    findings.push_back({Level::kWarn, device, std::string("the driver ") + driver + " is missing",
                        "sudo apt-get install librte-" + package + "23"});
  } else if (!missing.empty()) {
    findings.push_back({Level::kWarn, device, "not usable: " + missing, remedy});
  } else {
    findings.push_back({Level::kOk, device, "usable", ""});
  }
}

void KernelWays(const MachineFacts& f, Findings& findings) {
  KernelWay(f, "--dev afpacket", "net_af_packet",
            f.Has(kCapNetRaw) ? "" : "needs the capability NET_RAW", kSetCapabilities, findings);
  const bool admin = f.Has(kCapNetAdmin);
  KernelWay(f, "--dev tap", "net_tap",
            !f.tun   ? "/dev/net/tun is missing"
            : !admin ? "needs the capability NET_ADMIN"
                     : "",
            !f.tun ? "sudo modprobe tun" : kSetCapabilities, findings);
  std::string missing, remedy;
  if (!f.Has(kCapNetRaw) || !admin || !(f.Has(kCapBpf) || f.Has(kCapSysAdmin))) {
    missing = "needs the capabilities NET_RAW, NET_ADMIN and BPF";
    remedy = "sudo millrace ...";
  } else if (!f.bpf_mounted) {
    missing = "/sys/fs/bpf is not mounted";
    remedy = "sudo mount -t bpf bpf /sys/fs/bpf";
  }
  KernelWay(f, "--dev afxdp", "net_af_xdp", missing, remedy, findings);
}

void Vfio(const MachineFacts& f, Findings& findings) {
  if (!f.iommu) {
    findings.push_back(
        {Level::kInfo, "iommu", "none is on: vfio-pci works only in its unsafe mode",
         "add intel_iommu=on iommu=pt (AMD: iommu=pt) to the kernel's command line"});
  } else {
    findings.push_back({Level::kOk, "iommu", "on", ""});
  }
  if (!f.vfio_pci) {
    findings.push_back({Level::kInfo, "vfio-pci", "not loaded", "sudo modprobe vfio-pci"});
  } else if (!f.root && f.vfio_device && !f.Has(kCapIpcLock) && f.memlock_bytes < 512 * kMiB) {
    findings.push_back({Level::kWarn, "vfio-pci",
                        "loaded, but this process may lock only " +
                            std::to_string(f.memlock_bytes / kMiB) + " MB of memory",
                        kSetCapabilities});
  } else {
    findings.push_back({Level::kOk, "vfio-pci", "loaded", ""});
  }
}

void Nics(const MachineFacts& f, Findings& findings) {
  if (f.nics.empty()) {
    findings.push_back({Level::kInfo, "nics", "no PCI network device", ""});
  }
  for (const Nic& nic : f.nics) {
    const std::string name = nic.address + (nic.interface.empty() ? "" : " " + nic.interface);
    const DriverPair* const pair = PairOf(nic.driver);
    std::string text = nic.vendor_id + " on " + (nic.driver.empty() ? "no driver" : nic.driver);
    if (pair != nullptr && pair->slow) text += ", 1 Gbit/s hardware";
    if (nic.driver == "virtio-pci") text += ", spreads no flows by a key of ours";
    if (!nic.group_peers.empty()) {
      text += ", IOMMU group " + nic.iommu_group + " shared with";
      for (const std::string& peer : nic.group_peers) text += " " + peer;
    }
    const std::string usable = UsableAs(nic, f);
    const bool can = !usable.starts_with("not");
    if (nic.default_route || !can) {
      findings.push_back({Level::kInfo, name, text + "; " + usable, ""});
    } else if (nic.driver == "vfio-pci" || (pair != nullptr && pair->shared)) {
      findings.push_back({Level::kOk, name, text, "millrace serve " + usable + " ..."});
    } else {
      findings.push_back({Level::kInfo, name, text + "; " + usable,
                          pair == nullptr ? "" : "millrace nic plan " + nic.address});
    }
  }
}

}  // namespace

std::vector<Finding> Diagnose(const MachineFacts& facts) {
  Findings findings;
  if (!facts.kernel.empty()) {
    findings.push_back({Level::kOk, "kernel",
                        "Linux " + facts.kernel + (facts.container ? ", in a container" : ""), ""});
  }
  Cpus(facts, findings);
  Memory(facts, findings);
  Rings(facts, findings);
  KernelWays(facts, findings);
  Vfio(facts, findings);
  Nics(facts, findings);
  return findings;
}

std::string DoctorText(const std::vector<Finding>& findings) {
  constexpr std::array<const char*, 4> kWords{"ok  ", "info", "warn", "FAIL"};
  std::string text;
  for (const Finding& f : findings) {
    std::string subject = f.subject;
    subject.resize(std::max<size_t>(subject.size(), 15), ' ');
    text +=
        std::string(kWords[static_cast<size_t>(f.level)]) + "  " + subject + "  " + f.text + "\n";
    if (!f.remedy.empty()) text += "        -> " + f.remedy + "\n";
  }
  return text;
}

nlohmann::ordered_json DoctorJson(const std::vector<Finding>& findings) {
  constexpr std::array<const char*, 4> kWords{"ok", "info", "warn", "fail"};
  nlohmann::ordered_json json = {{"schema", 1}, {"findings", nlohmann::ordered_json::array()}};
  for (const Finding& f : findings) {
    json["findings"].push_back({{"level", kWords[static_cast<size_t>(f.level)]},
                                {"subject", f.subject},
                                {"text", f.text},
                                {"remedy", f.remedy}});
  }
  return json;
}

bool AnyFails(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.level == Level::kFail; });
}

}  // namespace millrace::apps
