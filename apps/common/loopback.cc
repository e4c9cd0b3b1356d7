#include "apps/common/loopback.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

namespace millrace::apps {
namespace {

constexpr uint32_t kClientV4 = 0xC612'8001;  // 198.18.128.1
constexpr int kNetworkBits = 16, kClientBits = 23;

uint64_t MemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

LoadPlan WithTarget(LoadPlan plan) {
  plan.target = kLoopbackTarget;
  return plan;
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

uint32_t CloserTimeWaits(const LoopbackOptions& options) {
  if (options.time_waits != 0) return options.time_waits;
  return TimeWaitsFor(options.plan, options.tcp.time_wait);
}

absl::Status ListenOn(stack::Engine& engine, const Endpoint& endpoint) {
  const auto backlog = static_cast<uint32_t>(engine.half_opens().capacity());
  const stack::ListenResult result = engine.Listen(endpoint, backlog);
  if (result == stack::ListenResult::kOk) return absl::OkStatus();
  return absl::InternalError("listening on " + endpoint.ToString() + ": " + ToString(result));
}

// The server would ask for each of the client's addresses at the first connection from it, and drop
// what does not fit the few packets that may wait: a second's delay for each, which is no figure
// of a connection rate. The client asks for the server as usual.
absl::Status KnowClients(stack::Engine& server, const MacAddress& client_mac) {
  constexpr uint32_t kCount = 1u << (32 - kClientBits);
  constexpr uint32_t kFirst = kClientV4 & ~(kCount - 1);
  for (uint32_t i = 0; i < kCount; ++i) {
    if (!server.neighbors().AddStatic(IpAddress::V4(kFirst + i), client_mac)) {
      return absl::InternalError("the neighbour table has no room for the client's addresses");
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t TimeWaitsFor(const LoadPlan& plan, Duration time_wait) {
  constexpr double kRate = 2e6;
  constexpr double kBytesEach = 48 + 10.7;  // the record and its place in the table
  double wanted = plan.count != 0 ? static_cast<double>(plan.count)
                                  : kRate * std::min(plan.duration, time_wait).seconds();
  wanted = std::clamp(wanted, 65'536.0, static_cast<double>(MemoryBytes()) / 4 / kBytesEach);
  constexpr double kHighest = stack::FlowRef::kIndexMax / 2;
  return static_cast<uint32_t>(std::min(wanted, kHighest));
}

stack::EngineConfig LoopbackClientConfig(const LoopbackOptions& options) {
  stack::EngineConfig config = CommonConfig(options);
  config.address = {IpAddress::V4(kClientV4), kNetworkBits};
  config.owned_bits = kClientBits;
  if (options.plan.client_closes) config.limits.time_wait = CloserTimeWaits(options);
  return config;
}

stack::EngineConfig LoopbackServerConfig(const LoopbackOptions& options) {
  stack::EngineConfig config = CommonConfig(options);
  config.address = {kLoopbackTarget.address, kNetworkBits};
  if (!options.plan.client_closes) config.limits.time_wait = CloserTimeWaits(options);
  return config;
}

absl::Status PrepareLoopbackServer(stack::Engine& server, const MacAddress& client_mac) {
  const absl::Status known = KnowClients(server, client_mac);
  return known.ok() ? ListenOn(server, kLoopbackTarget) : known;
}

Loopback::Loopback(const LoadPlan& plan)
    : plan_(plan), client_app_(plan_, pattern_, live_), server_app_(plan_, pattern_) {}

absl::StatusOr<std::unique_ptr<Loopback>> Loopback::Create(const LoopbackOptions& options,
                                                           Instant now) {
  std::unique_ptr<Loopback> loopback(new Loopback(WithTarget(options.plan)));
  dpdk::RingPairOptions rings;
  rings.port.packets = kPacketsPerPort;
  rings.port.vlan = options.layers.vlan.has_value();
  auto pair = dpdk::RingPair::Create(rings);
  if (!pair.ok()) return pair.status();
  loopback->rings_ = *std::move(pair);

  auto client_stack =
      HostedStack<LoadClient>::Create(loopback->rings_->first(), loopback->client_app_,
                                      LoopbackClientConfig(options), options.layers, now);
  if (!client_stack.ok()) return client_stack.status();
  loopback->client_ = *std::move(client_stack);
  auto server_stack = HostedStack<ResponseServer>::Create(
      loopback->rings_->second(), loopback->server_app_, LoopbackServerConfig(options),
      {.vlan = options.layers.vlan}, now);
  if (!server_stack.ok()) return server_stack.status();
  loopback->server_ = *std::move(server_stack);
  const absl::Status prepared = PrepareLoopbackServer(loopback->server_->engine(),
                                                      loopback->rings_->first().capabilities().mac);
  if (!prepared.ok()) return prepared;
  return loopback;
}

}  // namespace millrace::apps
