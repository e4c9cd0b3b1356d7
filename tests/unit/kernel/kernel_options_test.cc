// What is asked of the kernel for each socket, and what it says of them: sources, congestion
// control, counters.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <memory>
#include <string>
#include <vector>

#include "apps/common/setup.h"
#include "apps/kernel/kernel_congestion.h"
#include "unit/kernel/kernel_rig.h"

namespace millrace::testing {
namespace {

using apps::KernelEngine;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using KernelCountingTest = KernelStackTest;

TEST_P(KernelCountingTest, WhatAnOpenConnectionSendsAgainIsCounted) {
  LocalServer server(loopback(), /*listens=*/true, /*backlog=*/0);
  // As many as it has room for: the kernel drops what comes behind them, and repeats our SYN.
  for (int i = 0; i < 3; ++i) ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  ASSERT_TRUE(Until([this] { return engine_->counters().retrans_segs > 0; }));
  EXPECT_THAT(app_.reasons, ElementsAre()) << "it is still being opened";
}

TEST_P(KernelCountingTest, SegmentsCountOnceHoweverOftenTheyAreLookedAt) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  peer.Send("something");
  ASSERT_TRUE(Until([this] { return app_.received == "something"; }));
  engine_->CountAll();
  const apps::KernelCounters open = engine_->counters();
  EXPECT_GE(open.in_segs, 2u) << "SYN-ACK, data";
  EXPECT_GE(open.out_segs, 2u) << "SYN, ACK";
  for (int i = 0; i < 20; ++i) {
    engine_->CountAll();
    engine_->CountSome(engine_->Now() + Duration::Seconds(i));
  }
  EXPECT_LE(engine_->counters().in_segs, open.in_segs + 1) << "a late ACK at most";
  EXPECT_LE(engine_->counters().out_segs, open.out_segs + 1);
  peer.Close();
  ASSERT_TRUE(UntilClosed());
  EXPECT_LE(engine_->counters().in_segs, 6u) << "SYN-ACK, data, FIN, ACKs";
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, KernelCountingTest, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& p) { return std::string(p.index == 0 ? "V4" : "V6"); });

// What governs the windows of the connections of this process to `server`.
std::vector<std::string> CongestionOfThoseTo(const Endpoint& server) {
  constexpr int kDescriptorsMax = 256;
  std::vector<std::string> names;
  for (int fd = 0; fd < kDescriptorsMax; ++fd) {
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != server.port) continue;
    char name[16] = {};
    length = sizeof name;
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    names.emplace_back(name);
  }
  return names;
}

class KernelCongestionTest : public KernelStackTest {
 protected:
  KernelCongestionTest() : KernelStackTest({.connections = 4, .sockets = {.congestion = "reno"}}) {}
};

TEST_P(KernelCongestionTest, IsThatOfEverySocket) {
  LocalServer server(loopback());
  const Fd peer = Establish(server);
  EXPECT_THAT(CongestionOfThoseTo(server.endpoint()), ElementsAre("reno"));
}

INSTANTIATE_TEST_SUITE_P(V4, KernelCongestionTest, ::testing::Values("127.0.0.1"));

TEST(KernelCongestion, HasTheKernelsNameOrSaysWhatThereIs) {
  using tcp::CongestionKind;
  const auto reno = apps::KernelCongestion(CongestionKind::kNewReno);  // every kernel has it
  ASSERT_TRUE(reno.ok()) << reno.status();
  EXPECT_EQ(*reno, "reno");
  const auto none = apps::KernelCongestion(CongestionKind::kNone);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("reno"));
  for (const auto kind : {CongestionKind::kCubic, CongestionKind::kDctcp, CongestionKind::kBbr}) {
    const auto name = apps::KernelCongestion(kind);
    if (name.ok()) {
      EXPECT_EQ(*name, apps::ToString(kind));
    } else {
      EXPECT_THAT(std::string(name.status().message()),
                  AllOf(HasSubstr(std::string("--congestion ") + apps::ToString(kind)),
                        HasSubstr("reno"), HasSubstr("sudo")));
    }
  }
}

// A port for one connection alone.
class KernelPortTest : public KernelStackTest {
 protected:
  static KernelEngine::Options OnePort() {
    LocalServer free_port(IpAddress::V4(0x7f00'0001), /*listens=*/false);
    apps::KernelSources sources{.addresses = {IpAddress::V4(0x7f00'0001)},
                                .ports = {{free_port.endpoint().port, free_port.endpoint().port}}};
    return {
        .connections = 4,
        .sources = apps::SourceWalk(std::make_shared<const apps::KernelSources>(sources), 0, 1, 1)};
  }
  KernelPortTest() : KernelStackTest(OnePort()) {}
};

TEST_P(KernelPortTest, ASourceThatIsInUseIsNoPort) {
  LocalServer server(loopback());
  ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  EXPECT_EQ(Open(server.endpoint()), stack::ConnectResult::kNoPorts);
  EXPECT_EQ(engine_->counters().ports_exhausted, 1u);
  LocalServer other(loopback());
  EXPECT_EQ(Open(other.endpoint()), stack::ConnectResult::kOk) << "another tuple";
}

INSTANTIATE_TEST_SUITE_P(V4, KernelPortTest, ::testing::Values("127.0.0.1"));

}  // namespace
}  // namespace millrace::testing
