// What a server of ours answers to requests that come all at once, and how such a connection ends,
// in virtual time.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::Fate;

// Opens one connection, says its text and keeps what comes back.
class Asker {
 public:
  struct Options {
    std::string says;
    bool half_closes = false;  // at once
  };
  explicit Asker(const Options& options) : options_(options) {}

  void OnOpen(stack::Socket socket) {
    socket.Send(std::as_bytes(std::span(options_.says)));
    if (options_.half_closes) socket.Shutdown();
  }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) {
    heard += data.size();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) { ended = reason; }
  void OnPoll(stack::Engine& engine, Instant) {
    if (asked_) return;
    const Endpoint server{*IpAddress::Parse("10.0.0.2"), 80};
    asked_ = engine.Connect(server, 0, nullptr) == stack::ConnectResult::kOk;
  }

  size_t heard = 0;  // octets
  std::optional<tcp::CloseReason> ended;

 private:
  Options options_;
  bool asked_ = false;
};

class ServeAnswers : public ::testing::Test {
 protected:
  // Runs until the asker's connection has ended, or for ten seconds.
  void Ask(apps::Service service, const Asker::Options& asker) {
    client_.emplace(world_, Port(1), Config("10.0.0.1/24"), asker);
    server_.emplace(world_, Port(2), Config("10.0.0.2/24"), serve_, pattern_);
    sim::Cable cable(world_, client_->port(), server_->port(), {});
    AppClock<apps::ServeApp> clock(world_, *server_);
    ASSERT_TRUE(apps::ListenOn(server_->engine(), {{service, "", 80}}).ok());
    client_->Wake();
    (void)world_.RunUntil([this] { return client_->app().ended.has_value(); },
                          world_.now() + Duration::Seconds(10));
  }
  void Spoil(Fate fate) { serve_.disturbance.error_share[static_cast<size_t>(fate)] = 1; }
  const Asker& asker() { return client_->app(); }
  const apps::ServeApp& server() { return server_->app(); }

  apps::ServeOptions serve_;

 private:
  static stack::EngineConfig Config(const char* address) {
    stack::EngineConfig config;
    config.address = *IpPrefix::Parse(address);
    config.pages = Region::Pages::kPlain;
    config.limits.connections = config.limits.half_open = config.limits.time_wait = 64;
    return config;
  }
  static sim::SimPortOptions Port(uint8_t last) {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
    return options;
  }

  apps::Pattern pattern_;
  sim::World world_{1};
  std::optional<sim::Host<Asker>> client_;
  std::optional<sim::Host<apps::ServeApp>> server_;
};

constexpr char kFiveGets[] =
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";

TEST_F(ServeAnswers, AreAsManyAsWereToBe) {
  for (const char* delay : {"0", "100ms"}) {
    serve_.exchange.close_after = 2;
    serve_.disturbance.delay = *apps::Quantiles::Parse(delay);
    Ask(apps::Service::kExchange, {.says = "abcde"});
    EXPECT_EQ(asker().heard, 2u) << delay;
    EXPECT_EQ(server().exchange().answered(), 2u) << delay;
    EXPECT_EQ(asker().ended, tcp::CloseReason::kNormal) << delay;
  }
}

TEST_F(ServeAnswers, EndWithAReset) {
  Spoil(Fate::kReset);
  Ask(apps::Service::kHttp, {.says = kFiveGets});
  EXPECT_EQ(server().http().counters().requests, 1u);
  EXPECT_EQ(server().http().counters().errors, 1u);
  EXPECT_EQ(asker().heard, 0u);
  EXPECT_EQ(asker().ended, tcp::CloseReason::kReset);
}

TEST_F(ServeAnswers, OfNoOctetsEndWithAReset) {
  Spoil(Fate::kReset);
  serve_.exchange.response_bytes = 0;
  Ask(apps::Service::kExchange, {.says = "abcde"});
  EXPECT_EQ(server().exchange().errors(), 1u);
  EXPECT_EQ(asker().ended, tcp::CloseReason::kReset);
}

TEST_F(ServeAnswers, ThatNeverComeEndWithThePeersFin) {
  for (const char* delay : {"0", "500ms"}) {
    for (const auto service : {apps::Service::kHttp, apps::Service::kExchange}) {
      Spoil(Fate::kSilent);
      serve_.disturbance.delay = *apps::Quantiles::Parse(delay);
      serve_.http.idle_timeout = Duration();
      const bool http = service == apps::Service::kHttp;
      Ask(service, {.says = http ? kFiveGets : "a", .half_closes = true});
      EXPECT_EQ(asker().heard, 0u) << delay << http;
      EXPECT_EQ(asker().ended, tcp::CloseReason::kNormal) << delay << http;
    }
  }
}

}  // namespace
}  // namespace millrace::testing
