#include "apps/ranks/line_network.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::apps {
namespace {

class Ear : public LineHandler {
 public:
  void OnConnected(uint64_t peer) override { peers.push_back(peer); }
  void OnLine(uint64_t, std::string_view line) override { lines.emplace_back(line); }
  void OnGone(uint64_t, const std::string& why) override { gone.push_back(why); }
  size_t LineMax(uint64_t) const override { return 1000; }

  std::vector<uint64_t> peers;
  std::vector<std::string> lines, gone;
};

// Both ends over the loopback, at the first port that is free.
class LineNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int port = 20'000; port < 20'100; ++port) {
      const HostPort at{"127.0.0.1", std::to_string(port)};
      if (!server.Listen(at, 2).ok()) continue;
      client.Connect(at);
      Until([&] { return server_ear.peers.size() == 1 && client_ear.peers.size() == 1; });
      ASSERT_EQ(server_ear.peers.size(), 1u);
      return;
    }
    GTEST_SKIP() << "no port is free";
  }
  template <class Condition>
  void Until(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) {
      server.Poll(Duration::Milliseconds(1));
      client.Poll(Duration::Milliseconds(1));
    }
  }

  Ear server_ear, client_ear;
  LineNetwork server{server_ear}, client{client_ear};
};

TEST_F(LineNetworkTest, LinesArriveWholeAndInOrder) {
  client.Send(1, "one\ntwo\nthr");
  Until([&] { return server_ear.lines.size() == 2; });
  client.Send(1, "ee\n");
  Until([&] { return server_ear.lines.size() == 3; });
  EXPECT_EQ(server_ear.lines, (std::vector<std::string>{"one", "two", "three"}));
  server.Send(1, "four\n");
  server.Close(1);
  Until([&] { return !client_ear.gone.empty(); });
  EXPECT_EQ(client_ear.lines, std::vector<std::string>{"four"});
  EXPECT_EQ(client_ear.gone, std::vector<std::string>{"the connection was closed"});
  EXPECT_TRUE(server_ear.gone.empty());  // it did so itself
}

TEST_F(LineNetworkTest, LineThatIsTooLongEndsTheConnection) {
  client.Send(1, std::string(999, 'x') + "\n");
  Until([&] { return server_ear.lines.size() == 1; });
  EXPECT_EQ(server_ear.lines.size(), 1u);
  client.Send(1, std::string(5000, 'x'));
  Until([&] { return !server_ear.gone.empty(); });
  EXPECT_EQ(server_ear.gone, std::vector<std::string>{"sent a line that is too long"});
}

TEST_F(LineNetworkTest, PeerThatDoesNotReadIsGivenUp) {
  const std::string line(1 << 20, 'x');
  for (int i = 0; i < 200 && server_ear.gone.empty(); ++i) {
    server.Send(1, line + "\n");
    server.Poll(Duration());
  }
  EXPECT_EQ(server_ear.gone, std::vector<std::string>{"does not read what it is sent"});
}

TEST(HostPort, IsReadAndRefused) {
  EXPECT_EQ(ParseHostPort("bench-1:7070")->host, "bench-1");
  EXPECT_EQ(ParseHostPort("[2001:db8::1]:7070")->host, "2001:db8::1");
  EXPECT_EQ(ParseHostPort("10.0.0.1:1")->port, "1");
  for (const char* text : {"", "bench", "bench:", ":7070", "bench:0", "bench:65536", "bench:70x",
                           "2001:db8::1:7070", "bench:-1", "bench:123456"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

}  // namespace
}  // namespace millrace::apps
