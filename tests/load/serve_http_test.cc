// What `serve` answers to one HTTP client, and how long it waits for one, in virtual time.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::Fate;

// Sends `request` when it is connected and keeps what comes.
class Client {
 public:
  explicit Client(std::string request) : request_(std::move(request)) {}

  void OnOpen(stack::Socket socket) { socket.Send(std::as_bytes(std::span(request_))); }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) {
    text_.append(reinterpret_cast<const char*>(data.data()), data.size());
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    over_ = true;
    reset_ = reason == tcp::CloseReason::kReset;
  }
  void OnPoll(stack::Engine&, Instant) {}

  const std::string& text() const { return text_; }
  std::string_view Body() const {
    return std::string_view(text_).substr(text_.find("\r\n\r\n") + 4);
  }
  bool over() const { return over_; }
  bool reset() const { return reset_; }

 private:
  std::string request_, text_;
  bool over_ = false, reset_ = false;
};

struct ServeRigOptions {
  std::string request = "GET /1m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  apps::ServeOptions serve;
  sim::Impairment to_client;
};

class ServeRig {
 public:
  explicit ServeRig(const ServeRigOptions& options)
      : world_(1),
        client_(world_, PortOf(1), ConfigOf("10.0.0.1/24"), options.request),
        server_(world_, PortOf(2), ConfigOf("10.0.0.2/24"), options.serve, pattern_),
        cable_(world_, client_.port(), server_.port(), {}, options.to_client),
        server_clock_(world_, server_) {
    MR_CHECK(apps::ListenOn(server_.engine(), {{apps::Service::kHttp, "", 80}}).ok());
    stack::Socket socket;
    MR_CHECK(client_.engine().Connect({*IpAddress::Parse("10.0.0.2"), 80}, 0, &socket) ==
             stack::ConnectResult::kOk);
    client_.Wake();
  }

  sim::World& world() { return world_; }
  sim::Cable& cable() { return cable_; }
  const Client& client() { return client_.app(); }
  const apps::HttpCounters& http() { return server_.app().http().counters(); }

 private:
  static sim::SimPortOptions PortOf(uint8_t last) {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
    return options;
  }
  static stack::EngineConfig ConfigOf(const char* address) {
    stack::EngineConfig config;
    config.address = *IpPrefix::Parse(address);
    config.pages = Region::Pages::kPlain;
    return config;
  }

  apps::Pattern pattern_;
  sim::World world_;
  sim::Host<Client> client_;
  sim::Host<apps::ServeApp> server_;
  sim::Cable cable_;
  AppClock<apps::ServeApp> server_clock_;
};

// All of the response is queued in the first second; what shows the peer's life are its ACKs.
TEST(ServeHttp, KeepsADownloadThatTakesLongerThanIdleTimeout) {
  ServeRigOptions options;
  options.serve.http.idle_timeout = Duration::Seconds(3);
  options.to_client.rate_bps = 500'000;
  ServeRig rig(options);
  rig.world().RunFor(Duration::Seconds(15));
  EXPECT_FALSE(rig.client().over());
  EXPECT_LT(rig.client().Body().size(), 1'048'576u);
  rig.world().RunFor(Duration::Seconds(15));
  EXPECT_TRUE(rig.client().over());
  EXPECT_FALSE(rig.client().reset());
  EXPECT_EQ(rig.client().Body().size(), 1'048'576u);
  EXPECT_EQ(rig.http().idle_aborted, 0u);
}

TEST(ServeHttp, EndsADownloadThatStopped) {
  ServeRigOptions options;
  options.serve.http.idle_timeout = Duration::Seconds(3);
  options.to_client.rate_bps = 500'000;
  ServeRig rig(options);
  rig.world().RunFor(Duration::Seconds(5));
  rig.cable().forward.SetFilter([](Instant, const sim::Frame&) { return true; });
  rig.world().RunFor(Duration::Milliseconds(2'900));
  EXPECT_EQ(rig.http().idle_aborted, 0u);
  rig.world().RunFor(Duration::Milliseconds(2'200));
  EXPECT_EQ(rig.http().idle_aborted, 1u);
}

// The server's own delay is no idleness of the peer, nor does it leave less time to the download.
TEST(ServeHttp, KeepsWhoWaitsForADelayedAnswer) {
  ServeRigOptions options;
  options.request = "GET /100k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  options.serve.http.idle_timeout = Duration::Seconds(3);
  options.serve.disturbance.delay = *apps::Quantiles::Parse("10s");
  options.to_client.delay = Duration::Seconds(1);
  ServeRig rig(options);
  rig.world().RunFor(Duration::Seconds(60));
  EXPECT_EQ(rig.client().Body().size(), 102'400u);
  EXPECT_FALSE(rig.client().reset());
  EXPECT_EQ(rig.http().idle_aborted, 0u);
}

// RFC 9110 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content
// in the response." The header still says how long it would have been.
TEST(ServeHttp, AnErrorOnPurposeAnswersHeadWithoutABody) {
  ServeRigOptions options;
  options.serve.disturbance.error_share[static_cast<size_t>(Fate::kStatus)] = 1;
  const auto answer_to = [&options](const std::string& method) {
    options.request = method + " /1k HTTP/1.1\r\nHost: a\r\n\r\n";
    ServeRig rig(options);
    rig.world().RunFor(Duration::Seconds(1));
    return rig.client().text();
  };
  const std::string head = answer_to("HEAD"), get = answer_to("GET");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 503 ")) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_EQ(get, head + "503 Service Unavailable\n");
}

TEST(ServeHttp, AnswersHeadWithoutABody) {
  ServeRigOptions options;
  options.request = "HEAD /1k HTTP/1.1\r\nHost: a\r\n\r\n";
  ServeRig rig(options);
  rig.world().RunFor(Duration::Seconds(1));
  EXPECT_NE(rig.client().text().find("Content-Length: 1024\r\n"), std::string::npos);
  EXPECT_EQ(rig.client().Body(), "");
}

}  // namespace
}  // namespace millrace::testing
