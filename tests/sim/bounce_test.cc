// L2 bounce: a loop in the network brings back every frame that a host sends. It must not talk to
// itself: nothing of its own teaches it anything, opens anything, or makes it answer.

#include <gtest/gtest.h>

#include <numeric>
#include <span>

#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"

namespace millrace::testing {
namespace {

struct SilentApp {
  void OnOpen(stack::Socket) { ++opened; }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) { return data.size(); }
  void OnPeerClosed(stack::Socket) {}
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) { ++closed; }
  void OnPoll(stack::Engine&, Instant) {}

  int opened = 0, closed = 0;
};

constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 2}};

// A host that listens on port 80, and whose cable leads back to itself.
class Bounce : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(host_.engine().Listen({GetParam() ? IpAddress() : IpAddress::V4(0), 80}, 16, 0),
              stack::ListenResult::kOk);
    world_.Add(loop_);
    world_.RunFor(Duration::Seconds(5));  // detection of duplicate addresses
  }
  void TearDown() override { world_.Remove(loop_); }

  static sim::SimPortOptions PortOptions() {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, 1}};
    return options;
  }
  static stack::EngineConfig Config() {
    stack::EngineConfig config;
    if (GetParam()) {
      config.host_v6.address = *IpPrefix::Parse("2001:db8::1/64");
    } else {
      config.address = *IpPrefix::Parse("10.0.0.1/24");
    }
    config.limits = {.connections = 64, .half_open = 64, .time_wait = 64};
    config.pages = Region::Pages::kPlain;
    return config;
  }
  static IpAddress Address(const char* v4, const char* v6) {
    return *IpAddress::Parse(GetParam() ? v6 : v4);
  }
  stack::ConnectResult Open(const IpAddress& address) {
    const stack::ConnectResult result = host_.engine().Connect({address, 80}, 0, nullptr);
    host_.Wake();
    return result;
  }
  uint64_t Drops() {
    const auto& drops = host_.engine().counters().drops;
    return std::accumulate(drops.begin(), drops.end(), uint64_t{0});
  }
  const tcp::Counters& tcp() { return host_.engine().tcp_counters(); }

  const IpAddress peer_ = Address("10.0.0.2", "2001:db8::2");
  sim::World world_{1};
  sim::Host<SilentApp> host_{world_, PortOptions(), Config()};
  sim::Link loop_{host_.port(), host_.port(), {}};
};

// A SYN and its copies come back to a port on which we listen; each is dropped for its source, and
// the opening ends as one to a host that is silent does.
TEST_P(Bounce, OurOwnSynsOpenNothingAndAreNotAnswered) {
  ASSERT_TRUE(host_.engine().neighbors().AddStatic(peer_, kPeerMac));
  ASSERT_EQ(Open(peer_), stack::ConnectResult::kOk);
  const uint64_t before = loop_.counters().delivered, dropped = Drops();
  world_.RunFor(Duration::Seconds(300));
  EXPECT_EQ(host_.app().closed, 1);
  EXPECT_EQ(host_.app().opened, 0);
  EXPECT_EQ(tcp().out_rsts, 0u);
  EXPECT_EQ(tcp().passive_opens, 0u);
  EXPECT_EQ(host_.engine().half_opens().used(), 0u);
  // What came back is what was sent, and no more: the SYN and its copies.
  const uint64_t syns = 1 + tcp().syn_retrans;
  EXPECT_EQ(tcp().out_segs, syns);
  EXPECT_EQ(loop_.counters().delivered - before, syns);
  EXPECT_EQ(Drops() - dropped, syns);
}

// Questions for a neighbour come back as questions of somebody with our own address.
TEST_P(Bounce, OurOwnQuestionsTeachNothing) {
  ASSERT_EQ(Open(peer_), stack::ConnectResult::kOk);
  const uint64_t before = loop_.counters().delivered;
  world_.RunFor(Duration::Seconds(60));
  EXPECT_EQ(host_.app().closed, 1) << "no neighbour answers";
  EXPECT_LE(loop_.counters().delivered - before, 4u) << "three questions, one a second";
  // Our address is still ours, and the peer still unknown.
  ASSERT_EQ(Open(peer_), stack::ConnectResult::kOk);
  world_.RunFor(Duration::Seconds(60));
  EXPECT_EQ(host_.app().closed, 2);
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, Bounce, ::testing::Bool(),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace millrace::testing
