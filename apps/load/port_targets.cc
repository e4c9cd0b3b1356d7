#include "apps/load/port_targets.h"

#include <algorithm>

namespace millrace::apps {

bool Reaches(const stack::EngineConfig& config, const IpAddress& address) {
  if (address.IsV4()) {
    if (config.address.length_bits == 0) return false;
    return config.gateway_v4 != 0 || config.address.Contains(address);
  }
  const stack::HostV6Config& v6 = config.host_v6;
  if (v6.address.length_bits == 0) return false;
  const bool link_local = IpPrefix::Parse("fe80::/10")->Contains(address);
  return link_local || v6.gateway != IpAddress() || v6.router_advertisements ||
         v6.address.Contains(address);
}

std::vector<Target> TargetsOf(const std::vector<Target>& targets, const stack::EngineConfig& config,
                              bool only_port) {
  if (only_port) return targets;
  std::vector<Target> reached;
  std::copy_if(targets.begin(), targets.end(), std::back_inserter(reached),
               [&](const Target& target) { return Reaches(config, target.endpoint.address); });
  return reached;
}

std::string CheckPortTargets(const std::vector<Target>& targets,
                             std::span<const stack::EngineConfig> ports) {
  if (ports.size() < 2) return "";
  for (const Target& target : targets) {
    const bool reached = std::any_of(ports.begin(), ports.end(), [&](const auto& config) {
      return Reaches(config, target.endpoint.address);
    });
    if (!reached) return target.text + " is on the network of no port, and none has a --gateway";
  }
  for (const stack::EngineConfig& config : ports) {
    if (!TargetsOf(targets, config, false).empty()) continue;
    const bool v4 = config.address.length_bits != 0;
    return "the port with " + (v4 ? config.address : config.host_v6.address).ToString() +
           " reaches no target: leave it out, or give it a --gateway";
  }
  return "";
}

}  // namespace millrace::apps
