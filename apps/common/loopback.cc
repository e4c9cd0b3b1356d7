#include "apps/common/loopback.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

namespace millrace::apps {
namespace {

constexpr uint32_t kServerV4 = 0xC612'0001;  // 198.18.0.1
constexpr uint32_t kClientV4 = 0xC612'8001;  // 198.18.128.1
constexpr int kNetworkBits = 16, kClientBits = 23;
constexpr uint16_t kServerPort = 80;

uint64_t MemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

LoadPlan WithTarget(LoadPlan plan) {
  plan.target = {IpAddress::V4(kServerV4), kServerPort};
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

Loopback::Loopback(const LoopbackOptions& options, const LoadPlan& plan)
    : plan_(plan),
      time_waits_(options.time_waits != 0 ? options.time_waits
                                          : TimeWaitsFor(plan, options.tcp.time_wait)),
      client_app_(plan_, pattern_, live_),
      server_app_(plan_, pattern_) {}

absl::StatusOr<std::unique_ptr<Loopback>> Loopback::Create(const LoopbackOptions& options,
                                                           Instant now) {
  std::unique_ptr<Loopback> loopback(new Loopback(options, WithTarget(options.plan)));
  dpdk::RingPairOptions rings;
  rings.port.packets = kPacketsPerPort;
  auto pair = dpdk::RingPair::Create(rings);
  if (!pair.ok()) return pair.status();
  loopback->rings_ = *std::move(pair);

  stack::EngineConfig client = CommonConfig(options);
  client.address = {IpAddress::V4(kClientV4), kNetworkBits};
  client.owned_bits = kClientBits;
  stack::EngineConfig server = CommonConfig(options);
  server.address = {IpAddress::V4(kServerV4), kNetworkBits};
  (options.plan.client_closes ? client : server).limits.time_wait = loopback->time_waits_;

  auto client_stack = HostedStack<LoadClient>::Create(
      loopback->rings_->first(), loopback->client_app_, client, options.layers, now);
  if (!client_stack.ok()) return client_stack.status();
  loopback->client_ = *std::move(client_stack);
  auto server_stack = HostedStack<ResponseServer>::Create(
      loopback->rings_->second(), loopback->server_app_, server, LayerOptions(), now);
  if (!server_stack.ok()) return server_stack.status();
  loopback->server_ = *std::move(server_stack);
  const absl::Status known =
      KnowClients(loopback->server_->engine(), loopback->rings_->first().capabilities().mac);
  if (!known.ok()) return known;
  const absl::Status listening = ListenOn(loopback->server_->engine(), loopback->plan_.target);
  if (!listening.ok()) return listening;
  return loopback;
}

}  // namespace millrace::apps
