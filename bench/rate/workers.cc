#include "bench/rate/workers.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "bench/rate/connections.h"
#include "bench/rate/engine_end.h"
#include "bench/rate/side_by_side.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/stack/any_port.h"
#include "millrace/stack/steered_port.h"

namespace millrace::bench {
namespace {

constexpr uint32_t kBuckets = 512;

// One of the two devices: a port for each worker, and an end over each.
class Device {
 public:
  Device(dpdk::DpdkPort& first, const WorkersRun& run, const stack::Steering& steering)
      : run_(run), steering_(steering), hand_over_(run.workers) {
    ports_.push_back(&first);
    for (uint32_t i = 1; i < run.workers; ++i) {
      more_.push_back(dpdk::DpdkPort::OfQueue(first, static_cast<uint16_t>(i)));
      ports_.push_back(more_.back().get());
    }
    for (dpdk::DpdkPort* port : ports_) any_.emplace_back(*port);
  }

  // Adds the end of the next worker.
  template <stack::App A>
  absl::StatusOr<stack::Engine*> Add(const Plan& plan, const stack::EngineConfig& config,
                                     Instant now) {
    const auto worker = static_cast<uint32_t>(ends_.size());
    return run_.indirect ? AddOver<A>(any_[worker], plan, config, now)
                         : AddOver<A>(*ports_[worker], plan, config, now);
  }
  End& end(uint32_t worker) { return *ends_[worker]; }

 private:
  template <stack::App A, stack::Port P>
  absl::StatusOr<stack::Engine*> AddOver(P& port, const Plan& plan,
                                         const stack::EngineConfig& config, Instant now) {
    using Layer = stack::SteeredPort<P>;
    const auto worker = static_cast<uint32_t>(ends_.size());
    auto layer = std::make_unique<Layer>(port, steering_, hand_over_, worker, run_.queues);
    auto end = std::make_unique<EngineEnd<Layer, A>>(plan, std::move(layer),
                                                     config.ForWorker(steering_, worker), now);
    stack::Engine* const engine = &end->engine();
    if (!engine->ok()) return absl::ResourceExhaustedError("no memory for the tables");
    ends_.push_back(std::move(end));
    return engine;
  }

  const WorkersRun run_;
  const stack::Steering& steering_;
  stack::HandOver hand_over_;
  std::vector<std::unique_ptr<dpdk::DpdkPort>> more_;
  std::vector<dpdk::DpdkPort*> ports_;
  std::deque<stack::AnyPort> any_;
  std::vector<std::unique_ptr<End>> ends_;
};

Plan PartOf(const Plan& plan, uint32_t worker, uint32_t workers) {
  Plan part = plan;
  LoadPlan& load = part.exchange.plan;
  load.concurrency = std::max(stack::ShareOf(load.concurrency, worker, workers), 1u);
  if (load.count > 0)
    load.count = std::max(stack::ShareOf(load.count, worker, workers), uint64_t{1});
  return part;
}

absl::Status AddEnds(const Plan& plan, const WorkersRun& run, const MacAddress& client_mac,
                     Instant now, Device& client, Device& server) {
  for (uint32_t i = 0; i < run.workers; ++i) {
    const auto opener = client.Add<ConnectionsClient>(PartOf(plan, i, run.workers),
                                                      LoopbackClientConfig(plan.exchange), now);
    if (!opener.ok()) return opener.status();
    const auto accepter =
        server.Add<ConnectionsServer>(plan, LoopbackServerConfig(plan.exchange), now);
    if (!accepter.ok()) return accepter.status();
    const absl::Status prepared =
        PrepareLoopbackServer(**accepter, plan.exchange.network, client_mac);
    if (!prepared.ok()) return prepared;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RunResult> RunWorkers(const Plan& plan, const WorkersRun& run, dpdk::Clock clock,
                                     apps::StopSignals& stop) {
  dpdk::RingPairOptions options;
  options.port.packets = kLoopbackPacketsPerPort * run.workers;
  options.port.queues = static_cast<uint16_t>(run.queues);
  options.port.mtu = run.mtu;
  auto rings = dpdk::RingPair::Create(options);
  if (!rings.ok()) return rings.status();
  const stack::Steering steering(stack::Steering::DrawPattern(7, kBuckets), kBuckets, run.workers);
  Device client((*rings)->first(), run, steering), server((*rings)->second(), run, steering);
  const MacAddress client_mac = (*rings)->first().capabilities().mac;
  absl::Status added = AddEnds(plan, run, client_mac, clock.Now(), client, server);
  if (!added.ok()) return added;
  std::vector<Both> pairs;
  for (uint32_t i = 0; i < run.workers; ++i) pairs.push_back({&client.end(i), &server.end(i)});
  return run.in_turn ? RunAllInTurn(plan, pairs, clock, stop)
                     : RunEachOnACore(plan, pairs, clock, stop);
}

}  // namespace millrace::bench
