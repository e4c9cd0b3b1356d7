// The Diffserv field of a connection (RFC 9293 3.9.1.9), over both families.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

constexpr uint8_t kExpedited = 46, kBulk = 8;

// The traffic classes of all frames that are sent from now on, in order.
void Watch(Trace& t, std::vector<int>* classes) {
  t.port().SetSink([classes](Instant, const sim::Frame& frame) {
    const std::byte* const ip = frame.data() + wire::kEthernetHeaderBytes;
    const bool v6 = LoadU8(ip) >> 4 == 6;
    classes->push_back(v6 ? LoadBe16(ip) >> 4 & 0xFF : LoadU8(ip + wire::kIpv4TosAt));
  });
}

// MUST-48, SHLD-21, SHLD-22: text, ACKs, what is sent again, and RST; and it may change.
TEST(Diffserv, IsOnEverySegmentAndMayChange) {
  Trace t;
  t.AcceptFromPeer();
  t.app().socket.SetNoDelay(true);
  std::vector<int> classes;
  Watch(t, &classes);
  t.Send("a");
  EXPECT_EQ(classes, std::vector<int>{0});
  classes.clear();
  ASSERT_TRUE(t.app().socket.SetDiffserv(kExpedited));
  t.Receives({.flags = kAck, .seq = 1, .ack = 2});
  t.Send(Octets(2144));
  t.Advance(Duration::Seconds(2));
  t.Receives({.flags = kAck, .seq = 1, .ack = 2146, .data = "x"});
  t.Advance(Duration::Milliseconds(100));
  EXPECT_GE(classes.size(), 4u);
  EXPECT_EQ(classes, std::vector<int>(classes.size(), kExpedited << 2));
  classes.clear();
  ASSERT_TRUE(t.app().socket.SetDiffserv(kBulk));
  t.Send("end");
  t.Abort();
  EXPECT_EQ(classes, (std::vector<int>{kBulk << 2, kBulk << 2}));  // text, RST
}

TEST(Diffserv, IsOnTheSynOfAnOpening) {
  Trace t;
  stack::Socket socket;
  const Endpoint local{t.AddressOf(Trace::kHostAddress), t.options().local_port};
  const Endpoint remote{t.AddressOf(Trace::kPeerAddress), t.options().peer_port};
  ASSERT_EQ(t.engine().ConnectFrom(local, remote, 0, &socket), stack::ConnectResult::kOk);
  ASSERT_TRUE(socket.SetDiffserv(kExpedited));
  std::vector<int> classes;
  Watch(t, &classes);
  t.Poll();
  t.Advance(Duration::Seconds(2));  // and again
  EXPECT_EQ(classes, (std::vector<int>{kExpedited << 2, kExpedited << 2}));
}

// The two fields of the octet do not touch each other.
TEST(Diffserv, LeavesEcnAlone) {
  TraceOptions options;
  options.config.tcp.ecn = tcp::Ecn::kPassive;
  Trace t(options);
  t.Listen();
  t.Receives({.flags = kSyn | wire::kEce | wire::kCwr, .seq = 0});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  ASSERT_TRUE(t.app().socket.SetDiffserv(kExpedited));
  std::vector<int> classes;
  Watch(t, &classes);
  t.Send("text");
  EXPECT_EQ(classes, std::vector<int>{kExpedited << 2 | wire::kEcnEct0});
}

// Other connections pay nothing and show nothing of it; without a record it cannot be had.
TEST(Diffserv, IsOfOneConnectionAndNeedsARecord) {
  TraceOptions options;
  options.config.limits.extras = 0;
  Trace t(options);
  t.AcceptFromPeer();
  EXPECT_FALSE(t.app().socket.SetDiffserv(kExpedited));
  EXPECT_FALSE(stack::Socket().SetDiffserv(kExpedited));
  std::vector<int> classes;
  Watch(t, &classes);
  t.Send("text");
  EXPECT_EQ(classes, std::vector<int>{0});
}

}  // namespace
}  // namespace millrace::testing
