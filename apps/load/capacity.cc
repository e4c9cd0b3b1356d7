#include "apps/load/capacity.h"

#include <algorithm>
#include <cmath>

#include "apps/common/units.h"
#include "apps/load/port_targets.h"
#include "millrace/stack/own_addresses.h"
#include "millrace/stack/source_port.h"
#include "millrace/stack/steering.h"

namespace millrace::apps {
namespace {

// As SourcePorts counts them: of /30 and shorter the first and the last address are left out, with
// IPv6 the first, unless they are some inside of a network.
uint64_t AddressesOf(const stack::EngineConfig& config, bool v4) {
  const IpPrefix owned = v4 ? IpPrefix{config.address.address, config.owned_bits}
                            : IpPrefix{config.host_v6.address.address, config.host_v6.owned_bits};
  const int host_bits = std::min((v4 ? 32 : 128) - owned.length_bits, 32);
  const uint64_t all = uint64_t{1} << host_bits;
  if (all < 4 || stack::IsInside(config, owned)) return all;
  return all - (v4 ? 2 : 1);
}

// Several workers share whole blocks of ports.
uint64_t PortsOf(const stack::EngineConfig& config) {
  if (config.steering == nullptr) {
    return uint64_t{config.source_port_max} - config.source_port_min + 1;
  }
  return stack::SteerablePorts(config.source_port_min, config.source_port_max,
                               config.steering->buckets());
}

}  // namespace

double BusiestShare(const std::vector<Target>& targets) {
  double sum = 0, most = 0;
  for (const Target& target : targets) {
    double same = 0;
    for (const Target& other : targets) {
      if (other.endpoint == target.endpoint) same += other.weight;
    }
    most = std::max(most, same);
    sum += target.weight;
  }
  return most / sum;
}

double StartsWithin(const RunPlan& plan, double rate_per_s, Duration time) {
  const Duration length = plan.duration == Duration() ? time : std::min(plan.length(), time);
  double starts = rate_per_s * length.seconds();
  if (plan.count != RunPlan::kUnlimited) {
    starts = std::min(starts, static_cast<double>(plan.count) + rate_per_s * plan.lead().seconds());
  }
  return starts / plan.rank.count;
}

Capacity CapacityIn(const RunPlan& plan, const SourceSpace& space) {
  Capacity capacity;
  capacity.v4 = plan.targets.front().endpoint.address.IsV4();
  capacity.addresses = space.addresses;
  capacity.ports = space.ports;
  capacity.tuples = capacity.addresses * capacity.ports;
  capacity.known = plan.open_loop();
  const RunPlan part = PlanOf(plan, {});
  const double open = part.hold + (plan.open_loop() ? 0.0 : part.concurrency);
  const bool we_close = plan.close == CloseMode::kFin || plan.close == CloseMode::kHalf;
  const double starts = StartsWithin(plan, plan.rate_per_s, space.time_wait);
  capacity.needed = std::ceil(space.busiest_share * (open + (we_close ? starts : 0)));
  capacity.sequel = plan.close == CloseMode::kServer &&
                    space.busiest_share * starts > static_cast<double>(capacity.tuples);
  return capacity;
}

Capacity CapacityOf(const RunPlan& plan, std::span<const stack::EngineConfig> ports) {
  const stack::EngineConfig& config = ports.front();
  const bool v4 = plan.targets.front().endpoint.address.IsV4();
  SourceSpace space{
      .ports = PortsOf(config), .time_wait = config.tcp.time_wait, .busiest_share = 0};
  // A port opens its share of the connections, however many addresses it has.
  uint64_t addresses = AddressesOf(config, v4);
  for (const stack::EngineConfig& port : ports) {
    addresses = std::min(addresses, AddressesOf(port, v4));
    const std::vector<Target> targets = TargetsOf(plan.targets, port, ports.size() == 1);
    space.busiest_share = std::max(space.busiest_share, BusiestShare(targets));
  }
  space.addresses = addresses * ports.size();
  return CapacityIn(plan, space);
}

std::string Capacity::Text() const {
  std::string text = GroupDigits(addresses) + (addresses == 1 ? " address x " : " addresses x ") +
                     GroupDigits(ports) + " ports = " + FormatCount(static_cast<double>(tuples)) +
                     " tuples per target";
  if (known) text += ", " + FormatCount(needed) + " needed at a time";
  if (sequel) text += "; tuples come back within the server's TIME-WAIT (RFC 6191)";
  return text;
}

std::string CapacityAdvice(const Capacity& capacity, bool rings) {
  if (capacity.tuples == 0) {
    return "several workers share source ports in blocks, and the range has no whole block: give "
           "--src-port 1,024 ports or more, or one of --cores";
  }
  const double times = capacity.needed / static_cast<double>(capacity.tuples);
  // Addresses for the need, as a prefix length of IPv4.
  int bits = 32;
  while (bits > 8 &&
         std::ldexp(1.0, 32 - bits) * static_cast<double>(capacity.ports) < capacity.needed) {
    --bits;
  }
  return "the run needs " + FormatCount(times) + " times the source tuples that there are (" +
         capacity.Text() + "); give it " +
         (rings ? "" : "--src with a /" + std::to_string(capacity.v4 ? bits : bits + 96) + ", ") +
         "a shorter --time-wait, or --close rst";
}

}  // namespace millrace::apps
