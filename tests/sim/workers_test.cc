// Many workers over one device in virtual time: every segment reaches its owner whichever worker
// receives it, nothing of one worker is another's, and what one worker suffers the others do not.
//
// A "machine" is a device with a stack per logical worker, as apps/common/worker_group.h makes it.
// The workers take turns in a drawn order; any of those with a queue may receive any frame, as with
// a NIC that hashes otherwise than we do.

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "millrace/base/watchdog.h"
#include "millrace/sim/checkers.h"
#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"
#include "millrace/stack/steered_port.h"
#include "testing/exchange.h"

namespace millrace::testing {
namespace {

using Port = stack::SteeredPort<sim::SimPort>;

#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kConnections = 4'000;
#else
constexpr uint64_t kConnections = 40'000;
#endif
constexpr Duration kTurn = Duration::Microseconds(200);

stack::EngineConfig ConfigOf(const char* address, int owned_bits = 32) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.owned_bits = owned_bits;
  config.limits = {.connections = 32'768,
                   .half_open = 32'768,
                   .time_wait = 262'144,
                   .send_extents = 65'536,
                   .send_chunks = 512,
                   .receive_nodes = 65'536,
                   .extras = 512,
                   .recoveries = 1024,
                   .sent_runs = 2048};
  config.tcp.time_wait = Duration::Seconds(1);
  config.pages = Region::Pages::kPlain;
  return config;
}

constexpr MacAddress MacOf(uint8_t last) { return {{2, 0, 0, 0, 0, last}}; }

template <stack::App A>
class Machine {
 public:
  Machine(sim::World& world, uint8_t mac, const stack::EngineConfig& config, uint32_t workers,
          uint32_t queues)
      : world_(world),
        device_(DeviceOf(mac)),
        steering_(stack::Steering::DrawPattern(world.NextSeed(), 512), 512, workers),
        hand_over_(workers),
        stopped_(workers) {
    for (uint32_t i = 0; i < workers; ++i) {
      ports_.push_back(std::make_unique<Port>(device_, steering_, hand_over_, i, queues));
    }
    config_ = config;
  }

  template <class... Arguments>
  void AddWorker(Arguments&&... arguments) {
    const auto worker = static_cast<uint32_t>(apps_.size());
    apps_.push_back(std::make_unique<A>(std::forward<Arguments>(arguments)...));
    stacks_.push_back(std::make_unique<stack::Stack<Port, A>>(
        *ports_[worker], *apps_[worker], config_.ForWorker(steering_, worker),
        sim::DrawSecrets(world_), world_.now()));
    heartbeats_.push_back(0);
    order_.push_back(worker);
  }

  // One poll of each worker that is not stopped, in a drawn order.
  void Turn() {
    for (size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1], order_[world_.dice().Below(i)]);
    }
    for (const uint32_t worker : order_) {
      if (stopped_[worker]) continue;
      stacks_[worker]->Poll(world_.now());
      ++heartbeats_[worker];
    }
  }

  uint32_t workers() const { return static_cast<uint32_t>(apps_.size()); }
  A& app(uint32_t worker) { return *apps_[worker]; }
  stack::Engine& engine(uint32_t worker) { return stacks_[worker]->engine(); }
  const stack::HandOverCounters& counters(uint32_t worker) { return ports_[worker]->counters(); }
  sim::SimPort& device() { return device_; }
  uint64_t heartbeat(uint32_t worker) const { return heartbeats_[worker]; }
  void SetStopped(uint32_t worker, bool stopped) { stopped_[worker] = stopped; }

 private:
  static sim::SimPortOptions DeviceOf(uint8_t mac) {
    sim::SimPortOptions options;
    options.capabilities.mac = MacOf(mac);
    options.rx_queue_packets_max = 16'384;
    return options;
  }

  sim::World& world_;
  sim::SimPort device_;
  stack::Steering steering_;
  stack::HandOver hand_over_;
  stack::EngineConfig config_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<A>> apps_;
  std::vector<std::unique_ptr<stack::Stack<Port, A>>> stacks_;
  std::vector<uint64_t> heartbeats_;
  std::vector<bool> stopped_;
  std::vector<uint32_t> order_;
};

// Clients and servers, many workers each, joined by a cable.
struct Pair {
  Pair(uint32_t workers, uint32_t queues, uint64_t connections, uint64_t concurrency)
      : clients(world, 1, ConfigOf("10.1.16.1/16", 28), workers, queues),
        servers(world, 2, ConfigOf("10.1.0.2/16"), workers, queues),
        cable(world, clients.device(), servers.device()) {
    for (uint32_t i = 0; i < workers; ++i) {
      clients.AddWorker(kServer, stack::ShareOf(connections, i, workers),
                        stack::ShareOf(concurrency, i, workers));
      servers.AddWorker();
      const uint32_t backlog = servers.engine(i).config().limits.half_open;
      EXPECT_EQ(servers.engine(i).Listen(kServer, backlog), stack::ListenResult::kOk);
      // Known from the start: nothing is dropped while an address is asked for.
      EXPECT_TRUE(clients.engine(i).neighbors().AddStatic(kServer.address, MacOf(2)));
      for (uint32_t a = 0; a < 16; ++a) {
        const IpAddress client = IpAddress::V4(0x0A01'1000 + a);
        EXPECT_TRUE(servers.engine(i).neighbors().AddStatic(client, MacOf(1)));
      }
    }
  }
  void Turn() {
    clients.Turn();
    servers.Turn();
    world.RunFor(kTurn);
  }
  void RunUntilDone(int turns_max) {
    const auto done = [this] {
      for (uint32_t i = 0; i < clients.workers(); ++i) {
        if (!clients.app(i).done()) return false;
      }
      return true;
    };
    for (int turn = 0; turn < turns_max && !done(); ++turn) Turn();
    EXPECT_TRUE(done());
  }
  uint64_t ReceivedByOthers(uint32_t except) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < clients.workers(); ++i)
      sum += i == except ? 0 : clients.app(i).received;
    return sum;
  }

  static constexpr Endpoint kServer{IpAddress::V4(0x0A01'0002), 80};
  sim::World world{7};
  Machine<ExchangeClient> clients;
  Machine<ExchangeServer> servers;
  sim::Cable cable;
};

class Workers : public ::testing::TestWithParam<std::pair<uint32_t, uint32_t>> {};

// A segment at the wrong worker would find no connection there, and be answered by RST; a SYN at
// the wrong worker would open a second connection.
TEST_P(Workers, EverySegmentReachesItsOwner) {
  const auto [workers, queues] = GetParam();
  Pair pair(workers, queues, kConnections, 32 * workers);
  pair.RunUntilDone(2'000'000);
  uint64_t accepted = 0;
  for (uint32_t i = 0; i < workers; ++i) {
    EXPECT_EQ(pair.clients.app(i).failed, 0u);
    EXPECT_EQ(pair.servers.app(i).failed, 0u);
    EXPECT_EQ(pair.clients.app(i).received, stack::ShareOf(kConnections, i, workers));
    accepted += pair.servers.app(i).opened;
    for (stack::Engine* engine : {&pair.clients.engine(i), &pair.servers.engine(i)}) {
      EXPECT_EQ(engine->tcp_counters().no_listener, 0u);
      EXPECT_EQ(engine->tcp_counters().out_rsts, 0u);
      EXPECT_EQ(engine->tcp_counters().retrans_segs, 0u);
      EXPECT_EQ(engine->tcp_counters().ports_exhausted, 0u);
    }
    EXPECT_EQ(pair.servers.counters(i).dropped + pair.servers.counters(i).dropped_openings, 0u);
  }
  EXPECT_EQ(accepted, kConnections);
  for (Instant end = pair.world.now() + Duration::Seconds(2); pair.world.now() < end;) pair.Turn();
  for (uint32_t i = 0; i < workers; ++i) {
    EXPECT_EQ(sim::EngineChecker::CheckEmpty(pair.clients.engine(i), 0), std::nullopt);
    EXPECT_EQ(sim::EngineChecker::CheckEmpty(pair.servers.engine(i), 0), std::nullopt);
  }
}

INSTANTIATE_TEST_SUITE_P(OfADevice, Workers,
                         ::testing::Values(std::pair(8u, 8u), std::pair(8u, 1u), std::pair(8u, 3u),
                                           std::pair(32u, 32u), std::pair(32u, 4u)),
                         [](const auto& param) {
                           return std::to_string(param.param.first) + "over" +
                                  std::to_string(param.param.second);
                         });

// One of four is stopped for two seconds. The others go on at 99 % and more of their rate; the
// watchdog, who looks every 30 ms as the programs do, says so within 200 ms.
TEST(WorkerStuck, LeavesTheOthersAloneAndIsReported) {
  constexpr uint32_t kStuck = 2;
  Pair pair(4, 4, uint64_t{1} << 40, 64);
  const auto run = [&pair](Duration time, auto&& each_30_ms) {
    const Instant end = pair.world.now() + time;
    Instant look = pair.world.now();
    uint64_t before = pair.ReceivedByOthers(kStuck);
    while (pair.world.now() < end) {
      pair.Turn();
      if (pair.world.now() < look) continue;
      look = look + Duration::Milliseconds(30);
      each_30_ms();
    }
    return pair.ReceivedByOthers(kStuck) - before;
  };
  run(Duration::Milliseconds(20), [] {});
  const uint64_t usual = run(Duration::Milliseconds(100), [] {});
  Watchdog watchdog(4, Duration::Milliseconds(120), pair.world.now());
  // On the client's side: its connections are its own, while a stuck server's are some of
  // everyone's.
  pair.clients.SetStopped(kStuck, true);
  const Instant stopped_at = pair.world.now();
  Instant reported;
  const uint64_t meanwhile = run(Duration::Milliseconds(2000), [&] {
    for (uint32_t i = 0; i < 4; ++i) {
      const auto event = watchdog.Check(i, pair.clients.heartbeat(i), pair.world.now());
      if (event == Watchdog::Event::kNone) continue;
      EXPECT_EQ(event, Watchdog::Event::kStuck);
      EXPECT_EQ(i, kStuck);
      reported = pair.world.now();
    }
  });
  EXPECT_GE(static_cast<double>(meanwhile), 0.99 * 20 * static_cast<double>(usual));
  EXPECT_GT(reported, stopped_at);
  EXPECT_LE(reported - stopped_at, Duration::Milliseconds(200));
  pair.clients.SetStopped(kStuck, false);
  const uint64_t before = pair.clients.app(kStuck).received;
  run(Duration::Milliseconds(500), [] {});
  EXPECT_GT(pair.clients.app(kStuck).received, before) << "it goes on";
}

}  // namespace
}  // namespace millrace::testing
