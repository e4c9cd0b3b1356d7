// Slowloris at scale: thousands of connections that send an octet of their request now and then
// must neither stay for ever nor cost the others anything. In virtual time.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kSlow = 20'000;  // in bursts of 32
constexpr Duration kIdleTimeout = Duration::Seconds(60);
constexpr std::string_view kRequest = "GET /1k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

// Opens kSlow connections and sends an octet of a request's head on each every 10 s. Beside them it
// makes whole requests, each when the one before is over.
class SlowApp {
 public:
  void OnOpen(stack::Socket socket) {
    if (socket.id() == whole_.id()) socket.Send(std::as_bytes(std::span(kRequest)));
  }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    if (socket.id() == whole_.id()) received_ += data.size();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason) {
    if (socket.id() != whole_.id()) {
      ++slow_ended;
      return;
    }
    const bool good = reason == tcp::CloseReason::kNormal && received_ > 1024;
    ++(good ? answered : failed);
    whole_ = stack::Socket();
  }
  void OnPoll(stack::Engine& engine, Instant now) {
    if (now >= next_open_ && slow_.size() < kSlow) {
      next_open_ = now + Duration::Milliseconds(1);
      for (int i = 0; i < 32; ++i) {
        MR_CHECK(engine.Connect(kServer, 0, &slow_.emplace_back()) == stack::ConnectResult::kOk);
      }
    }
    if (slow_.size() == kSlow && !whole_.IsOpen()) {
      received_ = 0;
      MR_CHECK(engine.Connect(kServer, 0, &whole_) == stack::ConnectResult::kOk);
    }
    if (now < next_octet_) return;
    // A tenth of a second's share of them.
    for (uint32_t i = 0; i < kSlow / 100 && !slow_.empty(); ++i) {
      stack::Socket& socket = slow_[turn_++ % slow_.size()];
      if (socket.IsOpen()) socket.Send(std::as_bytes(std::span("G", 1)));
    }
    next_octet_ = now + Duration::Milliseconds(100);
  }
  Instant NextDeadline() const {
    return slow_.size() < kSlow ? next_open_ : whole_.IsOpen() ? next_octet_ : Instant();
  }

  uint32_t slow_ended = 0, answered = 0, failed = 0;

  static constexpr Endpoint kServer{IpAddress::V4(0x0A00'0002), 80};

 private:
  std::vector<stack::Socket> slow_;
  stack::Socket whole_;
  size_t received_ = 0, turn_ = 0;
  Instant next_octet_, next_open_;
};

stack::EngineConfig ConfigOf(const char* address) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.limits.connections = kSlow + 64;
  config.limits.half_open = kSlow + 64;
  config.limits.time_wait = 65'536;
  config.pages = Region::Pages::kPlain;
  return config;
}

sim::SimPortOptions PortOf(uint8_t last) {
  sim::SimPortOptions options;
  options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
  return options;
}

TEST(SlowClients, TwentyThousandCostTheOthersNothingAndEnd) {
  apps::ServeOptions serve;
  serve.http.idle_timeout = kIdleTimeout;
  apps::Pattern pattern;
  sim::World world(1);
  sim::Host<SlowApp> client(world, PortOf(1), ConfigOf("10.0.0.1/24"));
  sim::Host<apps::ServeApp> server(world, PortOf(2), ConfigOf("10.0.0.2/24"), serve, pattern);
  sim::Impairment link;
  link.delay = Duration::Milliseconds(1);
  sim::Cable cable(world, client.port(), server.port(), link);
  AppClock client_clock(world, client);
  AppClock server_clock(world, server);
  ASSERT_TRUE(apps::ListenOn(server.engine(), {{apps::Service::kHttp, "", 80}}).ok());
  client.Wake();
  world.RunFor(Duration::Seconds(50));
  EXPECT_EQ(client.app().slow_ended, 0u);
  EXPECT_GE(server.engine().connections().used(), kSlow);
  // A whole request takes two round trips of 2 ms, with all the slow ones around it.
  const uint32_t before = client.app().answered;
  const uint64_t retransmitted = client.engine().tcp_counters().retrans_segs;
  world.RunFor(Duration::Seconds(5));
  EXPECT_GT(client.app().answered - before, 500u);
  EXPECT_EQ(client.engine().tcp_counters().retrans_segs, retransmitted);
  // The deadline is that of the request, which octets of its head do not put off.
  world.RunFor(Duration::Seconds(15));
  EXPECT_EQ(server.app().http().counters().idle_aborted, kSlow);
  EXPECT_LE(server.engine().connections().used(), 1u);
  EXPECT_EQ(client.app().failed, 0u);
}

}  // namespace
}  // namespace millrace::testing
