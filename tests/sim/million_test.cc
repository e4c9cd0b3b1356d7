// A million connections, one after the other and many at a time, leave every pool exactly as full
// as it was (goal R10 of the requirements).

#include <gtest/gtest.h>

#include "millrace/sim/checkers.h"
#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"
#include "testing/exchange.h"

namespace millrace::testing {
namespace {

// Sanitizers make a connection twenty times as expensive.
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kConnections = 50'000;
#else
constexpr uint64_t kConnections = 1'000'000;
#endif

stack::EngineConfig ConfigOf(const char* address) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.limits = {.connections = 256,
                   .half_open = 256,
                   .time_wait = 1024,
                   .send_extents = 1024,
                   .send_chunks = 64,
                   .receive_nodes = 1024};
  config.tcp.time_wait = Duration::Seconds(1);
  config.pages = Region::Pages::kPlain;
  return config;
}

sim::SimPortOptions PortOf(uint8_t last) {
  sim::SimPortOptions options;
  options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
  return options;
}

TEST(Million, ConnectionsLeaveEveryPoolAsItWas) {
  sim::World world(1);
  const Endpoint server{*IpAddress::Parse("10.0.0.2"), 80};
  sim::Host<ExchangeClient> a(world, PortOf(1), ConfigOf("10.0.0.1/24"), server, kConnections,
                              uint64_t{64});
  sim::Host<ExchangeServer> b(world, PortOf(2), ConfigOf("10.0.0.2/24"));
  sim::Cable cable(world, a.port(), b.port());
  ASSERT_EQ(b.engine().Listen({IpAddress::V4(0), 80}, 128), stack::ListenResult::kOk);

  // The client opens from OnPoll: it is woken when a poll could open more.
  while (!a.app().done()) {
    a.Wake();
    ASSERT_NE(world.Step(), sim::RunResult::kLivelock);
  }
  EXPECT_EQ(a.app().failed, 0u);
  EXPECT_EQ(a.app().received, kConnections);
  EXPECT_EQ(b.app().failed, 0u);
  EXPECT_EQ(b.engine().tcp_counters().time_waits, kConnections);

  world.RunFor(Duration::Seconds(3));
  EXPECT_EQ(b.app().closed, kConnections);
  EXPECT_EQ(sim::EngineChecker::CheckEmpty(a.engine(), a.port().live()), std::nullopt);
  EXPECT_EQ(sim::EngineChecker::CheckEmpty(b.engine(), b.port().live()), std::nullopt);
}

}  // namespace
}  // namespace millrace::testing
