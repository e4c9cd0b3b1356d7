// All SYNs to one queue: what is sent to one worker's queue, with addresses that it owns or that
// any worker may own, costs the other worker nothing that it would notice. In virtual time.

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "millrace/sim/host.h"
#include "millrace/sim/world.h"
#include "millrace/stack/frame_steering.h"
#include "millrace/stack/steered_port.h"
#include "testing/exchange.h"
#include "unit/wire/frame_builder.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kWorkers = 2, kFlooded = 0, kOther = 1;
constexpr Endpoint kServer{IpAddress::V4(0x0A01'0002), 80};
constexpr IpAddress kClient = IpAddress::V4(0x0A01'0001);
constexpr MacAddress kClientMac = {{2, 0, 0, 0, 0, 1}}, kServerMac = {{2, 0, 0, 0, 0, 2}};
constexpr Duration kTurn = Duration::Microseconds(50);
constexpr int kSynsPerTurn = 64;        // 1.28 M/s, twice what a worker takes in these turns
constexpr int kSynsPerTurnShared = 16;  // half of it, where all others' segments have to get by

stack::EngineConfig ConfigOf(const char* address) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.gateway_v4 = kClient.v4();
  config.limits = {.connections = 16'384, .half_open = 16'384, .time_wait = 262'144};
  config.tcp.time_wait = Duration::Seconds(1);
  config.pages = Region::Pages::kPlain;
  return config;
}

sim::SimPortOptions QueueOf(const MacAddress& mac) {
  sim::SimPortOptions options;
  options.capabilities.mac = mac;
  return options;
}

// A server of two workers over one queue, or with one each, steered by the device as they steer;
// and for each of them a client whose connections are all its own, so that neither's rate depends
// on the other's.
class Flood : public ::testing::TestWithParam<uint32_t> {
 protected:
  using Port = stack::SteeredPort<sim::SimPort>;

  Flood() {
    for (uint32_t i = 0; i < GetParam(); ++i) queues_.emplace_back(QueueOf(kServerMac));
    for (uint32_t i = 0; i < kWorkers; ++i) {
      client_ports_.emplace_back(QueueOf(kClientMac));
    }
    for (sim::SimPort& queue : queues_) {
      queue.SetSink([this](Instant, sim::Frame f) { Deliver(client_ports_, std::move(f)); });
    }
    for (uint32_t i = 0; i < kWorkers; ++i) {
      client_ports_[i].SetSink([this](Instant, sim::Frame f) { Deliver(queues_, std::move(f)); });
      ports_.emplace_back(queues_[i % GetParam()], steering_, hand_over_, i, GetParam());
      clients_.emplace_back(kServer, uint64_t{1} << 40, 8);
    }
    for (uint32_t i = 0; i < kWorkers; ++i) {
      server_stacks_.push_back(std::make_unique<stack::Stack<Port, ExchangeServer>>(
          ports_[i], servers_[i], ConfigOf("10.1.0.2/16").ForWorker(steering_, i),
          sim::DrawSecrets(world_), world_.now()));
      client_stacks_.push_back(std::make_unique<stack::Stack<sim::SimPort, ExchangeClient>>(
          client_ports_[i], clients_[i], ConfigOf("10.1.0.1/16").ForWorker(steering_, i),
          sim::DrawSecrets(world_), world_.now()));
      EXPECT_EQ(server_stacks_[i]->engine().Listen(kServer, 256), stack::ListenResult::kOk);
      EXPECT_TRUE(server_stacks_[i]->engine().neighbors().AddStatic(kClient, kClientMac));
      EXPECT_TRUE(client_stacks_[i]->engine().neighbors().AddStatic(kServer.address, kServerMac));
    }
  }

  // To the queue of the owner; what belongs to nobody vanishes, and so does, at the clients' end,
  // the answer to a forged SYN.
  void Deliver(std::deque<sim::SimPort>& to, sim::Frame frame) {
    const stack::FrameTarget target = stack::TargetOf(frame.data(), frame.length());
    if (target.goal != stack::FrameGoal::kOwner) return;
    const bool to_client = &to == &client_ports_;
    const uint32_t destination = LoadBe32(frame.data() + 14 + wire::kIpv4DestinationAt);
    if (to_client && destination != kClient.v4()) return;
    to[steering_.OwnerOf(target.fold) % to.size()].Deliver(std::move(frame));
  }

  // A SYN from somewhere to the first queue; with a queue each, one that its worker owns.
  void SendForgedSyn() {
    wire::testing::FrameSpec spec{.destination_mac = kServerMac,
                                  .destination = kServer.address.v4()};
    spec.tcp.flags = wire::kSyn;
    spec.tcp.options = {};
    while (true) {
      spec.source = 0x0B00'0000 + static_cast<uint32_t>(world_.dice().Below(1 << 24));
      spec.tcp.source_port = static_cast<uint16_t>(1024 + world_.dice().Below(60'000));
      const wire::testing::Bytes frame = wire::testing::Build(spec);
      const stack::FrameTarget target =
          stack::TargetOf(frame.data(), static_cast<uint32_t>(frame.size()));
      if (GetParam() > 1 && steering_.OwnerOf(target.fold) != kFlooded) continue;
      queues_[kFlooded].Deliver(sim::Frame::CopyOf(frame));
      return;
    }
  }

  // Connections that each worker's client had through in this time.
  std::vector<uint64_t> Run(Duration time, const std::function<void()>& each_turn) {
    std::vector<uint64_t> before, done;
    for (const ExchangeClient& client : clients_) before.push_back(client.received);
    for (const Instant end = world_.now() + time; world_.now() < end;) {
      each_turn();
      for (uint32_t i = 0; i < kWorkers; ++i) {
        client_stacks_[i]->Poll(world_.now());
        server_stacks_[i]->Poll(world_.now());
      }
      world_.RunFor(kTurn);
    }
    for (uint32_t i = 0; i < kWorkers; ++i) done.push_back(clients_[i].received - before[i]);
    return done;
  }

  sim::World world_{11};
  stack::Steering steering_{stack::Steering::DrawPattern(world_.NextSeed(), 512), 512, kWorkers};
  stack::HandOver hand_over_{kWorkers};
  std::deque<sim::SimPort> queues_, client_ports_;
  std::deque<Port> ports_;
  std::deque<ExchangeServer> servers_{kWorkers};
  std::deque<ExchangeClient> clients_;
  std::vector<std::unique_ptr<stack::Stack<Port, ExchangeServer>>> server_stacks_;
  std::vector<std::unique_ptr<stack::Stack<sim::SimPort, ExchangeClient>>> client_stacks_;
};

TEST_P(Flood, OfOneQueueLeavesTheOtherWorkerItsRate) {
  const bool shared = GetParam() == 1;
  Run(Duration::Milliseconds(20), [] {});
  const auto usual = Run(Duration::Milliseconds(100), [] {});
  const auto flooded = Run(Duration::Milliseconds(100), [&] {
    for (int i = 0; i < (shared ? kSynsPerTurnShared : kSynsPerTurn); ++i) SendForgedSyn();
  });
  EXPECT_GT(usual[kOther], 1000u);
  EXPECT_GE(static_cast<double>(flooded[kOther]), 0.99 * static_cast<double>(usual[kOther]));
  if (shared) {  // half of it is the other's, and is handed over
    EXPECT_GT(ports_[kFlooded].counters().handed_over, 1000u);
    EXPECT_EQ(ports_[kFlooded].counters().dropped, 0u) << "no segment but SYNs";
  } else {  // the worker that it is aimed at has more than it can take
    EXPECT_GT(queues_[kFlooded].counters().rx_queue_full, 0u);
    EXPECT_EQ(queues_[kOther].counters().rx_queue_full, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Queues, Flood, ::testing::Values(2u, 1u));

}  // namespace
}  // namespace millrace::testing
