// What is asked of a worker while it works: two hosts in virtual time, one of them asked.
#include "millrace/stack/control.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"

namespace millrace::stack {
namespace {

// Opens and keeps; closes when the other side does, unless it is told to hold on.
struct KeepingApp {
  void OnOpen(Socket) { ++opened; }
  size_t OnReceive(Socket, std::span<const std::byte> data) { return data.size(); }
  void OnPeerClosed(Socket socket) {
    if (!holds_on) socket.Close();
  }
  void OnWritable(Socket) {}
  void OnClose(Socket, tcp::CloseReason reason) { ++closed[static_cast<size_t>(reason)]; }
  void OnPoll(Engine&, Instant) {}

  bool holds_on = false;
  int opened = 0;
  std::array<int, 8> closed{};
};

sim::SimPortOptions PortOf(uint8_t last) {
  sim::SimPortOptions options;
  options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
  return options;
}

EngineConfig ConfigOf(const char* address) {
  EngineConfig config;
  config.address = *IpPrefix::Parse(address);
  config.limits = {.connections = 2048, .half_open = 256, .time_wait = 4096};
  config.pages = Region::Pages::kPlain;
  return config;
}

class ControlTest : public ::testing::Test {
 protected:
  static constexpr int kConnections = 600;  // more than two slices

  void SetUp() override {
    ASSERT_EQ(server_.engine().Listen(kAt, 256, 5), ListenResult::kOk);
    Open(1);  // and find the neighbour
    Open(kConnections - 1);
  }
  void Open(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(client_.engine().Connect(kAt, 0, nullptr), ConnectResult::kOk);
      if (i % 64 == 63) Run(Duration::Milliseconds(1));
    }
    Run(Duration::Milliseconds(5));
  }
  // The server's worker: its control, then its stack.
  void Run(Duration duration) {
    for (int64_t us = 0; us < duration.ns() / 1000; us += 100) {
      control_.Poll(server_.engine(), world_.now());
      server_.Wake();
      client_.Wake();
      world_.RunFor(Duration::Microseconds(100));
    }
  }
  ControlAnswer Ask(const ControlRequest& request) {
    EXPECT_TRUE(control_.Ask(request));
    for (int i = 0; i < 100'000; ++i) {
      if (const auto answer = control_.NextAnswer()) return *answer;
      Run(Duration::Microseconds(100));
    }
    ADD_FAILURE() << "no answer";
    return {};
  }

  static constexpr Endpoint kAt{IpAddress::V4(0x0A00'0002), 80};
  sim::World world_{1};
  sim::Host<KeepingApp> client_{world_, PortOf(1), ConfigOf("10.0.0.1/24")};
  sim::Host<KeepingApp> server_{world_, PortOf(2), ConfigOf("10.0.0.2/24")};
  sim::Cable cable_{world_, client_.port(), server_.port()};
  Control control_;
};

TEST_F(ControlTest, CountIsASnapshot) {
  EngineSnapshot snapshot;
  EXPECT_EQ(Ask({.kind = ControlKind::kCount, .snapshot = &snapshot}).kind, ControlKind::kCount);
  EXPECT_EQ(snapshot.connections, uint32_t{kConnections});
  EXPECT_EQ(snapshot.tcp_counters.passive_opens, uint64_t{kConnections});
  EXPECT_EQ(snapshot.half_open, 0u);
}

// O11: how many the application keeps waiting for its close, and the longest of them how long.
TEST_F(ControlTest, CountTellsOfTheOldestCloseWait) {
  EngineSnapshot snapshot;
  const auto count = [&] { Ask({.kind = ControlKind::kCount, .snapshot = &snapshot}); };
  const auto close_one = [&] {
    bool closed = false;
    client_.engine().ForEachConnection([&](const Connection& c) {
      const bool open = c.tcb.state == tcp::State::kEstablished;
      if (open && !std::exchange(closed, true)) client_.engine().SocketOf(c).Close();
    });
    ASSERT_TRUE(closed);
  };
  count();
  EXPECT_EQ(snapshot.close_wait, 0u);
  EXPECT_EQ(snapshot.oldest_close_wait, Duration());
  server_.app().holds_on = true;
  close_one();
  Run(Duration::Seconds(3));
  close_one();
  Run(Duration::Seconds(2));
  count();
  EXPECT_EQ(snapshot.close_wait, 2u);
  EXPECT_NEAR(snapshot.oldest_close_wait.seconds(), 5.0, 0.1);
  EXPECT_EQ(snapshot.connections, uint32_t{kConnections});
  server_.engine().ForEachConnection([&](const Connection& c) {
    if (c.tcb.state == tcp::State::kCloseWait) server_.engine().SocketOf(c).Close();
  });
  Run(Duration::Milliseconds(10));
  count();
  EXPECT_EQ(snapshot.close_wait, 0u);
  EXPECT_EQ(snapshot.oldest_close_wait, Duration());
}

TEST_F(ControlTest, ListTakesASliceAPollAndStopsWhenFull) {
  std::vector<ConnectionRow> rows(1000);
  EXPECT_EQ(Ask({.kind = ControlKind::kList, .rows = rows}).count, uint32_t{kConnections});
  for (int i = 0; i < kConnections; ++i) {
    EXPECT_EQ(rows[static_cast<size_t>(i)].local, kAt);
    EXPECT_EQ(rows[static_cast<size_t>(i)].state, tcp::State::kEstablished);
  }
  EXPECT_EQ(Ask({.kind = ControlKind::kList, .rows = std::span(rows).first(300)}).count, 300u);
}

TEST_F(ControlTest, ListenersComeChangeAndGo) {
  const Endpoint other{kAt.address, 81};
  const ControlRequest listen{.kind = ControlKind::kListen, .endpoint = other, .backlog = 3};
  EXPECT_EQ(Ask(listen).listen, ListenResult::kOk);
  const auto find = [&] { return server_.engine().listeners().Find(other.address, other.port); };
  ASSERT_NE(find(), ListenerTable::kNone);
  EXPECT_EQ(server_.engine().listeners()[find()].backlog, 3u);
  EXPECT_EQ(Ask({.kind = ControlKind::kListen, .endpoint = other, .backlog = 9}).listen,
            ListenResult::kOk);
  EXPECT_EQ(server_.engine().listeners()[find()].backlog, 9u);
  EXPECT_EQ(Ask({.kind = ControlKind::kListen, .endpoint = {IpAddress::V4(1), 80}}).listen,
            ListenResult::kNotOurs);
  Ask({.kind = ControlKind::kCloseListener, .endpoint = other});
  EXPECT_EQ(find(), ListenerTable::kNone);
}

TEST_F(ControlTest, DrainClosesEverythingByFin) {
  const ControlAnswer answer = Ask({.kind = ControlKind::kDrain, .grace = Duration::Seconds(1)});
  EXPECT_EQ(answer.count, 0u);
  EXPECT_EQ(server_.engine().connections().used(), 0u);
  EXPECT_EQ(client_.app().closed[static_cast<size_t>(tcp::CloseReason::kNormal)], kConnections);
  EXPECT_EQ(server_.engine().tcp_counters().out_rsts, 0u);
  stack::Socket socket;
  ASSERT_EQ(client_.engine().Connect(kAt, 0, &socket), ConnectResult::kOk);
  Run(Duration::Milliseconds(5));
  EXPECT_FALSE(socket.IsOpen()) << "nobody listens";
}

TEST_F(ControlTest, WhatIsLeftAfterTheGraceIsReset) {
  client_.app().holds_on = true;
  const ControlAnswer answer = Ask({.kind = ControlKind::kDrain, .grace = Duration::Seconds(1)});
  EXPECT_EQ(answer.count, uint32_t{kConnections});
  Run(Duration::Milliseconds(5));
  EXPECT_EQ(server_.engine().connections().used(), 0u);
  EXPECT_EQ(client_.app().closed[static_cast<size_t>(tcp::CloseReason::kReset)], kConnections);
}

TEST_F(ControlTest, OtherRequestsAreAnsweredDuringADrainAndAShorterOneTakesItsPlace) {
  client_.app().holds_on = true;
  ASSERT_TRUE(
      control_.Ask({.kind = ControlKind::kDrain, .tag = 7, .grace = Duration::Seconds(3600)}));
  EngineSnapshot snapshot;
  const ControlAnswer count = Ask({.kind = ControlKind::kCount, .tag = 8, .snapshot = &snapshot});
  EXPECT_EQ(count.tag, 8u);
  EXPECT_EQ(snapshot.connections, uint32_t{kConnections});
  std::vector<ConnectionRow> rows(1000);
  Run(Duration::Milliseconds(5));
  EXPECT_EQ(Ask({.kind = ControlKind::kList, .tag = 9, .rows = rows}).count,
            uint32_t{kConnections});
  EXPECT_EQ(rows[0].state, tcp::State::kFinWait2);
  const ControlAnswer first = Ask({.kind = ControlKind::kDrain, .tag = 10});
  EXPECT_EQ(first.tag, 7u);
  EXPECT_EQ(first.count, 0u);
  Run(Duration::Milliseconds(5));
  const auto second = control_.NextAnswer();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->tag, 10u);
  EXPECT_EQ(second->count, uint32_t{kConnections});
}

TEST_F(ControlTest, AnswersThatNobodyTakesHoldUpQuestions) {
  EngineSnapshot snapshot;
  const ControlRequest request{.kind = ControlKind::kCount, .snapshot = &snapshot};
  for (uint32_t i = 0; i < Control::kRequestsMax; ++i) {
    EXPECT_TRUE(control_.Ask(request));
    Run(Duration::Milliseconds(1));
  }
  EXPECT_FALSE(control_.Ask(request));
  EXPECT_TRUE(control_.NextAnswer().has_value());
  EXPECT_TRUE(control_.Ask(request));
}

TEST_F(ControlTest, TooManyRequestsAreRefused) {
  EngineSnapshot snapshot;
  const ControlRequest request{.kind = ControlKind::kCount, .snapshot = &snapshot};
  for (uint32_t i = 0; i < Control::kRequestsMax; ++i) EXPECT_TRUE(control_.Ask(request));
  EXPECT_FALSE(control_.Ask(request));
  Run(Duration::Milliseconds(20));
  for (uint32_t i = 0; i < Control::kRequestsMax; ++i) EXPECT_TRUE(control_.NextAnswer());
  EXPECT_TRUE(control_.Ask(request));
}

}  // namespace
}  // namespace millrace::stack
