// load/dpdk_bench_facts.cc - what a bench of ports says of itself and of what it can do.

#include <algorithm>

#include "apps/load/dpdk_bench.h"
#include "apps/load/port_targets.h"

namespace millrace::apps {

std::vector<stack::EngineConfig> DpdkBench::configs() const {
  if (rings()) return {config_};
  std::vector<stack::EngineConfig> configs;
  for (const Device& device : devices_->ports) {
    configs.push_back(device.config);
    configs.back().steering = device.port->steering();
  }
  return configs;
}

Endpoint DpdkBench::RingTarget(Service service, const RingNetwork& network) {
  return {network.server(), static_cast<uint16_t>(service == Service::kHttp ? 80 : 4000)};
}

// "DPDK 22.11.11, 256 MB ..."
std::string DpdkBench::DpdkVersion() const {
  const std::string text = eal().Describe();
  return text.substr(0, text.find(','));
}

dpdk::AttachedPort* DpdkBench::PortWithoutLink() {
  if (rings()) return nullptr;
  for (const Device& device : devices_->ports) {
    if (!device.port->port().LinkIsUp()) return device.port.get();
  }
  return nullptr;
}

std::string DpdkBench::CheckTargets(const std::vector<Target>& targets) const {
  return CheckPortTargets(targets, configs());
}

Capacity DpdkBench::CapacityFor(const RunPlan& plan) const { return CapacityOf(plan, configs()); }

std::string DpdkBench::Advice(const Capacity& capacity) const {
  return CapacityAdvice(capacity, rings());
}

std::string DpdkBench::Note() const {
  return rings() ? "a test over rings measures this program, not a network" : "";
}

std::string DpdkBench::WhyMissing() {
  dpdk::AttachedPort* const port = PortWithoutLink();
  if (port == nullptr) return "";
  const std::string text = port->port().Describe();
  return "the link of " + text.substr(0, text.find(',')) +
         " is down: is its other end there? That of a memif has to offer as many queues as we "
         "want, " +
         std::to_string(port->queues()) + ": start it with as many --cores, or add queues=1 here";
}

std::string DpdkBench::Describe() {
  if (rings()) return std::to_string(2 * rings_.size()) + " rings in the process";
  return devices_->Describe();
}

std::optional<dpdk::DpdkPortCounters> DpdkBench::ReadCounters() {
  if (!rings()) return devices_->ReadCounters();
  dpdk::DpdkPortCounters sum;
  for (const auto& pair : rings_) {
    const dpdk::DpdkPortCounters own = pair->first().ReadCounters();
    sum.rx_linearize_failed += own.rx_linearize_failed;
    sum.tx_rejected += own.tx_rejected;
    sum.AddDevice(own);
  }
  return sum;
}

std::optional<double> DpdkBench::FreePacketsShare() {
  double least = 1;
  for (uint32_t i = 0; i < workers(); ++i) {
    if (!rings() && places_[i].index != 0) continue;  // workers of a port share its pool
    const dpdk::PacketPool& pool = *port(i).pool();
    least = std::min(least, 1 - static_cast<double>(pool.in_use()) / pool.capacity());
  }
  return std::max(least, 0.0);
}

}  // namespace millrace::apps
