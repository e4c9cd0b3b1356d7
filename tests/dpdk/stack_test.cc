// The shipped stack over real mbufs: connections through the joined rings, pools full at the end.

#include "millrace/stack/stack.h"

#include <gtest/gtest.h>

#include <memory>

#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/sim/checkers.h"
#include "testing/exchange.h"

namespace millrace::dpdk {
namespace {

using testing::ExchangeClient;
using testing::ExchangeServer;

stack::EngineConfig ConfigOf(const char* address) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.limits = {.connections = 512,
                   .half_open = 512,
                   .time_wait = 4096,
                   .send_extents = 2048,
                   .send_chunks = 64,
                   .receive_nodes = 2048};
  config.tcp.time_wait = Duration::Seconds(1);
  config.pages = Region::Pages::kPlain;
  return config;
}

TEST(StackOverMbufs, ConnectionsLeaveThePoolsFull) {
  constexpr uint64_t kConnections = 20'000;
  RingPairOptions options;
  options.port.packets = 2047;
  auto rings = RingPair::Create(options);
  ASSERT_TRUE(rings.ok()) << rings.status();
  DpdkPort& a = (*rings)->first();
  DpdkPort& b = (*rings)->second();
  ASSERT_EQ(a.pool()->in_use(), a.stash() + b.stash());
  {
    Instant now = Instant::FromNanoseconds(1'000'000'000);
    const Endpoint server_address{*IpAddress::Parse("10.0.0.2"), 80};
    ExchangeClient client_app(server_address, kConnections, 200);
    ExchangeServer server_app;
    stack::Stack client(a, client_app, ConfigOf("10.0.0.1/24"),
                        stack::EngineSecrets::FromOperatingSystem(), now);
    stack::Stack server(b, server_app, ConfigOf("10.0.0.2/24"),
                        stack::EngineSecrets::FromOperatingSystem(), now);
    ASSERT_EQ(server.engine().Listen({IpAddress::V4(0), 80}, 512), stack::ListenResult::kOk);
    // The engine's time is an argument, here too: 10 us a round, whatever the machine does.
    for (int rounds = 0; !client_app.done() && rounds < 10'000'000; ++rounds) {
      now = now + Duration::Microseconds(10);
      client.Poll(now);
      server.Poll(now);
    }
    EXPECT_TRUE(client_app.done());
    EXPECT_EQ(client_app.failed, 0u);
    EXPECT_EQ(client_app.received, kConnections);
    for (int i = 0; i < 20'000; ++i) {
      now = now + Duration::Microseconds(100);
      client.Poll(now);
      server.Poll(now);
    }
    EXPECT_EQ(server_app.closed, kConnections);
    EXPECT_EQ(sim::EngineChecker::CheckEmpty(client.engine(), 0), std::nullopt);
    EXPECT_EQ(sim::EngineChecker::CheckEmpty(server.engine(), 0), std::nullopt);
  }
  EXPECT_EQ(a.pool()->in_use(), a.stash() + b.stash());
}

}  // namespace
}  // namespace millrace::dpdk
