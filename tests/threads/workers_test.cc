// Workers as the programs run them, each a real thread: the rings between them, what is asked of
// them meanwhile, their heartbeats, and their end. The same with a drawn order of turns is in
// tests/sim/workers_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "millrace/base/watchdog.h"
#include "millrace/stack/control.h"
#include "millrace/stack/stack.h"
#include "millrace/stack/steered_port.h"
#include "testing/exchange.h"
#include "threads/thread_port.h"

namespace millrace::testing {
namespace {

using Port = stack::SteeredPort<ThreadPort>;

constexpr uint64_t kConnections = 500;  // of each client
constexpr Endpoint kServer{IpAddress::V4(0x0A01'0002), 80};
constexpr MacAddress kClientMac = {{2, 0, 0, 0, 0, 1}}, kServerMac = {{2, 0, 0, 0, 0, 2}};

// Who finds nothing to do lets the others run (base/idle_policy.h says why it does not yield).
// tidy: allow(sleep) real threads, and a loop around it that ends by what they did
void LetOthersRun() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

Instant Now() {
  // tidy: allow(clock) real threads have no virtual time
  return Instant::FromNanoseconds(std::chrono::steady_clock::now().time_since_epoch().count());
}

stack::EngineConfig ConfigOf(const char* address) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.limits = {.connections = 2048, .half_open = 2048, .time_wait = 8192};
  config.pages = Region::Pages::kPlain;
  return config;
}

// A device with a stack and a thread for each worker, as apps/common/worker_group.h makes it.
template <stack::App A>
class Machine {
 public:
  // Queue i reads in[i] and writes out[i].
  Machine(const MacAddress& mac, const stack::EngineConfig& config, uint32_t workers,
          std::deque<ThreadWire>& in, std::deque<ThreadWire>& out)
      : config_(config),
        steering_(stack::Steering::DrawPattern(mac.octets[5], 512), 512, workers),
        hand_over_(workers),
        queues_(static_cast<uint32_t>(in.size())) {
    for (uint32_t i = 0; i < workers; ++i) {
      const bool has_queue = i < queues_;
      devices_.emplace_back(mac, has_queue ? &in[i] : nullptr, has_queue ? &out[i] : nullptr);
    }
  }
  ~Machine() { Stop(); }

  template <class... Arguments>
  void AddWorker(Arguments&&... arguments) {
    const auto i = static_cast<uint32_t>(members_.size());
    members_.push_back(std::make_unique<Member>(devices_[i], steering_, hand_over_, i, queues_,
                                                config_.ForWorker(steering_, i),
                                                std::forward<Arguments>(arguments)...));
  }
  void Start() {
    for (auto& member : members_) {
      member->thread = std::thread([this, &member = *member] {
        while (!stop_.load(std::memory_order_relaxed)) {
          const Instant now = Now();
          const bool asked = member.control.Poll(member.stack.engine(), now);
          if (member.stack.Poll(now) == 0 && !asked) LetOthersRun();
          member.heartbeat.fetch_add(1, std::memory_order_relaxed);
        }
      });
    }
  }
  void Stop() {
    stop_.store(true, std::memory_order_relaxed);
    for (auto& member : members_) {
      if (member->thread.joinable()) member->thread.join();
    }
  }

  // Asks all workers and waits for all answers; what was counted in the answers, added up.
  uint32_t Ask(stack::ControlRequest request, const auto& prepare) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < size(); ++i) {
      prepare(request, i);
      EXPECT_TRUE(members_[i]->control.Ask(request));
    }
    for (auto& member : members_) {
      std::optional<stack::ControlAnswer> answer;
      while (!(answer = member->control.NextAnswer())) LetOthersRun();
      EXPECT_EQ(answer->kind, request.kind);
      sum += answer->count;
    }
    return sum;
  }
  uint32_t size() const { return static_cast<uint32_t>(members_.size()); }
  A& app(uint32_t worker) { return members_[worker]->app; }
  stack::Engine& engine(uint32_t worker) { return members_[worker]->stack.engine(); }
  const stack::HandOverCounters& counters(uint32_t i) { return members_[i]->port.counters(); }
  uint64_t heartbeat(uint32_t worker) const {
    return members_[worker]->heartbeat.load(std::memory_order_relaxed);
  }

 private:
  struct Member {
    template <class... Arguments>
    Member(ThreadPort& device, const stack::Steering& steering, stack::HandOver& hand_over,
           uint32_t self, uint32_t queues, const stack::EngineConfig& config,
           Arguments&&... arguments)
        : port(device, steering, hand_over, self, queues),
          app(std::forward<Arguments>(arguments)...),
          stack(port, app, config, stack::EngineSecrets::FromOperatingSystem(), Now()) {}

    Port port;
    A app;
    stack::Stack<Port, A> stack;
    stack::Control control;
    std::atomic<uint64_t> heartbeat{0};
    std::thread thread;
  };

  stack::EngineConfig config_;
  stack::Steering steering_;
  stack::HandOver hand_over_;
  uint32_t queues_;
  std::deque<ThreadPort> devices_;
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<bool> stop_{false};
};

// Clients and servers, so many workers each over so many queues. Queue i of one device is joined to
// queue i of the other, whatever the hash says: a frame arrives at any worker.
struct Pair {
  Pair(uint32_t workers, uint32_t queues)
      : to_clients(MakeWires(queues)),
        to_servers(MakeWires(queues)),
        clients(kClientMac, ConfigOf("10.1.0.1/16"), workers, *to_clients, *to_servers),
        servers(kServerMac, ConfigOf("10.1.0.2/16"), workers, *to_servers, *to_clients) {
    for (uint32_t i = 0; i < workers; ++i) {
      clients.AddWorker(kServer, kConnections, uint64_t{16});
      servers.AddWorker();
      EXPECT_EQ(servers.engine(i).Listen(kServer, 512), stack::ListenResult::kOk);
      EXPECT_TRUE(clients.engine(i).neighbors().AddStatic(kServer.address, kServerMac));
      EXPECT_TRUE(servers.engine(i).neighbors().AddStatic(IpAddress::V4(0x0A01'0001), kClientMac));
    }
    servers.Start();
    clients.Start();
  }
  static std::unique_ptr<std::deque<ThreadWire>> MakeWires(uint32_t queues) {
    auto wires = std::make_unique<std::deque<ThreadWire>>();
    for (uint32_t i = 0; i < queues; ++i) wires->emplace_back(1024);
    return wires;
  }

  std::unique_ptr<std::deque<ThreadWire>> to_clients, to_servers;
  Machine<ExchangeClient> clients;
  Machine<ExchangeServer> servers;
};

class WorkerThreads : public ::testing::TestWithParam<std::pair<uint32_t, uint32_t>> {};

TEST_P(WorkerThreads, WorkAreAskedAndEndCleanly) {
  const auto [workers, queues] = GetParam();
  Pair pair(workers, queues);
  std::vector<stack::EngineSnapshot> counts(workers);
  std::vector<std::vector<stack::ConnectionRow>> rows(workers);
  for (auto& each : rows) each.resize(64);
  const auto where = [&](stack::ControlRequest& request, uint32_t i) {
    request.snapshot = &counts[i];
    request.rows = rows[i];
  };
  // Asked all the time while they work, until all connections are over.
  Watchdog watchdog(workers, Duration::Seconds(60), Now());
  for (uint64_t opened = 0, left = 1; opened < workers * kConnections || left > 0;) {
    pair.clients.Ask({.kind = stack::ControlKind::kList}, where);
    for (const auto& each : rows) {
      for (const stack::ConnectionRow& row : each) {
        EXPECT_TRUE(row.remote.port == 0 || row.remote.port == kServer.port);
      }
    }
    pair.clients.Ask({.kind = stack::ControlKind::kCount}, where);
    opened = left = 0;
    for (uint32_t i = 0; i < workers; ++i) {
      opened += counts[i].tcp_counters.active_opens;
      left += counts[i].connections;
      ASSERT_EQ(watchdog.Check(i, pair.clients.heartbeat(i), Now()), Watchdog::Event::kNone);
    }
  }
  // One backlog for another, then the end.
  pair.servers.Ask({.kind = stack::ControlKind::kListen, .endpoint = kServer, .backlog = 7}, where);
  const stack::ControlRequest drain{.kind = stack::ControlKind::kDrain,
                                    .grace = Duration::Seconds(60)};
  EXPECT_EQ(pair.clients.Ask(drain, where), 0u);
  EXPECT_EQ(pair.servers.Ask(drain, where), 0u);
  pair.clients.Stop();
  pair.servers.Stop();
  uint64_t accepted = 0, handed_over = 0;
  for (uint32_t i = 0; i < workers; ++i) {
    EXPECT_TRUE(pair.clients.app(i).done());
    EXPECT_EQ(pair.clients.app(i).failed + pair.servers.app(i).failed, 0u);
    accepted += pair.servers.app(i).opened;
    handed_over += pair.servers.counters(i).handed_over;
    for (stack::Engine* engine : {&pair.clients.engine(i), &pair.servers.engine(i)}) {
      EXPECT_EQ(engine->tcp_counters().no_listener, 0u) << "a segment at the wrong worker";
    }
  }
  EXPECT_EQ(accepted, workers * kConnections);
  EXPECT_GT(handed_over, 0u);
}

INSTANTIATE_TEST_SUITE_P(OfADevice, WorkerThreads,
                         ::testing::Values(std::pair(2u, 2u), std::pair(3u, 1u), std::pair(4u, 2u)),
                         [](const auto& param) {
                           return std::to_string(param.param.first) + "over" +
                                  std::to_string(param.param.second);
                         });

}  // namespace
}  // namespace millrace::testing
