// apps/common/devices.cc - opens the ports that the flags ask for.
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/common/addresses.h"
#include "apps/common/port_flags.h"
#include "apps/common/setup.h"
#include "millrace/dpdk/cpus.h"

namespace millrace::apps {
namespace {

// What is known of a port before DPDK is started.
struct PortPlan {
  dpdk::PortConfig config;
  Device device;
  uint32_t workers = 1;
};

absl::StatusOr<PortPlan> PlanPort(const DeviceFlags& flags, const TcpFlags& tcp,
                                  const dpdk::HostNetwork& host) {
  PortPlan plan;
  plan.device.config.tcp = tcp.Config();
  plan.device.config.ttl = tcp.ttl;
  plan.device.config.pages = flags.machine.pages();
  absl::Status set = SetAddresses(flags, &plan.device.config);
  if (!set.ok()) return set;
  absl::StatusOr<dpdk::PortConfig> port = ParseDevice(flags.dev, host);
  if (!port.ok()) return port.status();
  if (absl::Status check = dpdk::CheckPortConfig(*port, host); !check.ok()) return check;
  const std::string warning = dpdk::PortConfigWarning(*port, host);
  if (!warning.empty()) std::fprintf(stderr, "millrace: warning: %s\n", warning.c_str());
  plan.config = *std::move(port);
  return plan;
}

// The node of all ports, or none in particular.
int NumaNodeOf(const std::vector<PortPlan>& plans) {
  const int node = dpdk::NumaNodeOf(plans.front().config);
  const bool same = std::all_of(plans.begin(), plans.end(), [node](const PortPlan& plan) {
    return dpdk::NumaNodeOf(plan.config) == node;
  });
  return same ? node : -1;
}

absl::Status ChooseWorkers(const DeviceFlags& flags, std::vector<PortPlan>& plans) {
  if (flags.cores.empty()) {
    if (!flags.dispatcher) return absl::OkStatus();
    return absl::InvalidArgumentError("--dispatcher needs --cores");
  }
  const auto cpus = dpdk::ChooseCpus(flags.cores, NumaNodeOf(plans), dpdk::ReadHostCpus());
  if (!cpus.ok()) {
    return absl::Status(cpus.status().code(), absl::StrCat("--cores: ", cpus.status().message()));
  }
  const auto ports = static_cast<uint32_t>(plans.size());
  if (cpus->size() < ports) {
    return absl::InvalidArgumentError(absl::StrCat("--cores: ", cpus->size(), " for ", ports,
                                                   " ports; each needs one of its own"));
  }
  auto next = cpus->begin();
  for (uint32_t i = 0; i < ports; ++i) {
    const size_t count = stack::ShareOf(cpus->size(), i, ports);
    std::vector<int> own(next, next + static_cast<ptrdiff_t>(count));
    next += static_cast<ptrdiff_t>(count);
    if (flags.dispatcher && own.size() < 2) {
      return absl::InvalidArgumentError("--dispatcher needs a second core in --cores" +
                                        std::string(ports > 1 ? ", for each port" : ""));
    }
    own.resize(std::min(own.size(), stack::Steering::kWorkersMax));
    plans[i].workers = static_cast<uint32_t>(own.size());
    plans[i].device.cpus = std::move(own);
  }
  return absl::OkStatus();
}

uint32_t PacketsOf(const PortPlan& plan, const LayerOptions& layers) {
  const uint32_t packets = (dpdk::DpdkPortOptions().packets + 1) * plan.workers - 1;
  return layers.impairment ? packets + 2 * kHeldPacketsMax : packets;
}

absl::Status StartEal(const DeviceFlags& flags, const std::vector<PortPlan>& plans,
                      Devices& devices) {
  uint64_t packets = 0;
  std::vector<std::string> pci;
  for (const PortPlan& plan : plans) {
    packets += PacketsOf(plan, devices.layers);
    for (std::string& address : plan.config.PciAddresses()) pci.push_back(std::move(address));
  }
  dpdk::EalOptions eal = flags.machine.EalFor(packets);
  eal.pci_allowed = std::move(pci);
  absl::StatusOr<std::unique_ptr<dpdk::Eal>> started = dpdk::Eal::Start(eal);
  if (!started.ok()) return started.status();
  devices.eal = *std::move(started);
  return absl::OkStatus();
}

}  // namespace

uint32_t Devices::workers() const {
  uint32_t sum = 0;
  for (const Device& device : ports) sum += device.port->workers();
  return sum;
}

std::vector<Devices::Place> Devices::Places() {
  std::vector<Place> places;
  for (Device& device : ports) {
    for (uint32_t i = 0; i < device.port->workers(); ++i) places.push_back({&device, i});
  }
  return places;
}

std::vector<int> Devices::Cpus() const {
  std::vector<int> cpus;
  for (const Device& device : ports) {
    cpus.insert(cpus.end(), device.cpus.begin(), device.cpus.end());
    if (device.cpus.empty()) cpus.push_back(-1);
  }
  return cpus;
}

std::string Devices::Describe() const {
  std::string text;
  for (const Device& device : ports) {
    const dpdk::AttachedPort& port = *device.port;
    absl::StrAppend(&text, text.empty() ? "" : "; ", device.port->port().Describe());
    if (port.workers() == 1) continue;
    absl::StrAppend(&text, ", ", port.workers(), " workers over ", port.queues(), " queue(s)",
                    device.port->port().rss() ? " with RSS" : "");
  }
  return text;
}

dpdk::DpdkPortCounters Devices::ReadCounters() const {
  dpdk::DpdkPortCounters sum;
  for (const Device& device : ports) {
    const dpdk::DpdkPortCounters own = device.port->ReadCounters();
    sum.rx_linearize_failed += own.rx_linearize_failed;
    sum.bond_failovers += own.bond_failovers;
    sum.tx_rejected += own.tx_rejected;
    sum.AddDevice(own);
  }
  return sum;
}

absl::StatusOr<Devices> OpenDevices(const DeviceFlags& flags, const TcpFlags& tcp) {
  Devices devices;
  absl::StatusOr<dpdk::IdleMode> idle = ParseIdle(flags.idle);
  if (!idle.ok()) return idle.status();
  devices.idle = *idle;
  absl::StatusOr<LayerOptions> layers = flags.machine.Layers();
  if (!layers.ok()) return layers.status();
  devices.layers = *layers;
  const auto ports = FlagsOfPorts(flags);
  if (!ports.ok()) return ports.status();
  const dpdk::HostNetwork host = dpdk::ReadHostNetwork();
  std::vector<PortPlan> plans;
  for (const DeviceFlags& own : *ports) {
    absl::StatusOr<PortPlan> plan = PlanPort(own, tcp, host);
    if (!plan.ok()) return plan.status();
    plans.push_back(*std::move(plan));
  }
  std::vector<dpdk::PortConfig> configs;
  for (const PortPlan& plan : plans) configs.push_back(plan.config);
  if (absl::Status differ = CheckDevicesDiffer(configs); !differ.ok()) return differ;
  if (absl::Status chosen = ChooseWorkers(flags, plans); !chosen.ok()) return chosen;
  if (absl::Status started = StartEal(flags, plans, devices); !started.ok()) return started;
  for (PortPlan& plan : plans) {
    dpdk::DpdkPortOptions options = plan.config.PortOptions();
    options.vlan = devices.layers.vlan.has_value();
    options.packets = PacketsOf(plan, devices.layers);
    absl::StatusOr<std::unique_ptr<dpdk::AttachedPort>> opened =
        dpdk::AttachedPort::Open(plan.config, options, plan.workers, flags.dispatcher);
    if (!opened.ok()) return opened.status();
    plan.device.port = *std::move(opened);
    devices.ports.push_back(std::move(plan.device));
  }
  return devices;
}

}  // namespace millrace::apps
