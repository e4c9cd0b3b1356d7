#include "bench/common/loopback.h"

#include <unistd.h>

#include <algorithm>
#include <string>

namespace millrace::bench {
namespace {

uint64_t MemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

stack::EngineConfig CommonConfig(const LoopbackOptions& options) {
  stack::EngineConfig config;
  config.tcp = options.tcp;
  config.pages = options.pages;
  // Twice what is open, because an end that loses packets holds a connection longer than the other.
  const uint32_t room = 2 * options.plan.concurrency + 4096;
  config.limits.connections = room;
  config.limits.half_open = room;
  config.limits.time_wait = 65'536;
  return config;
}

// TIME-WAIT entries that a run can need at 3 M connections/s, bounded by a quarter of the memory.
uint32_t TimeWaitsFor(const LoadPlan& plan, Duration time_wait) {
  constexpr double kRate = 3e6;
  constexpr double kBytesEach = 48 + 10.7;  // the record and its place in the table
  double wanted = plan.count != 0 ? static_cast<double>(plan.count)
                                  : kRate * std::min(plan.duration, time_wait).seconds();
  wanted = std::clamp(wanted, 65'536.0, static_cast<double>(MemoryBytes()) / 4 / kBytesEach);
  constexpr double kHighest = stack::FlowRef::kIndexMax / 2;
  return static_cast<uint32_t>(std::min(wanted, kHighest));
}

uint32_t CloserTimeWaits(const LoopbackOptions& options) {
  if (options.time_waits != 0) return options.time_waits;
  return TimeWaitsFor(options.plan, options.tcp.time_wait);
}

}  // namespace

Endpoint LoopbackTarget(const apps::RingNetwork& network) { return {network.server(), 80}; }

stack::EngineConfig LoopbackClientConfig(const LoopbackOptions& options) {
  stack::EngineConfig config = CommonConfig(options);
  options.network.SetClient(&config);
  if (options.plan.client_closes) config.limits.time_wait = CloserTimeWaits(options);
  return config;
}

stack::EngineConfig LoopbackServerConfig(const LoopbackOptions& options) {
  stack::EngineConfig config = CommonConfig(options);
  options.network.SetServer(&config);
  if (!options.plan.client_closes) config.limits.time_wait = CloserTimeWaits(options);
  return config;
}

absl::Status PrepareLoopbackServer(stack::Engine& server, const apps::RingNetwork& network,
                                   const MacAddress& client_mac) {
  const absl::Status known = network.KnowClients(server, client_mac);
  if (!known.ok()) return known;
  const Endpoint target = LoopbackTarget(network);
  const auto backlog = static_cast<uint32_t>(server.half_opens().capacity());
  const stack::ListenResult result = server.Listen(target, backlog);
  if (result == stack::ListenResult::kOk) return absl::OkStatus();
  return absl::InternalError("listening on " + target.ToString() + ": " + ToString(result));
}

}  // namespace millrace::bench
