// What one source may do to a listener (SFL-09, SFL-10); the arithmetic is in
// unit/stack/source_limit_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

TraceOptions Limited(uint32_t rate, uint32_t burst) {
  TraceOptions options;
  options.config.gateway_v4 = Trace::kPeerAddress;
  options.config.syns_per_source_per_s = rate;
  options.config.syns_per_source_burst = burst;
  return options;
}

// SYN-ACKs to the peer's address for `count` SYNs, each from another port.
size_t AnswersTo(Trace& t, uint32_t count, uint16_t first_port) {
  t.ForgetSent();
  for (uint32_t i = 0; i < count; ++i) {
    t.ReceivesFrom(Trace::kPeerAddress, static_cast<uint16_t>(first_port + i), 80,
                   {.flags = kSyn, .seq = i});
  }
  return t.AllSent().size();
}

// SFL-09: handshakes that are completed are counted as others are; the rest of the pool is for
// those who come from elsewhere.
TEST(SourceLimit, FloodThatCompletesGetsItsShareOnly) {
  Trace t(Limited(10, 5));
  t.Listen(1000);
  EXPECT_EQ(AnswersTo(t, 100, 10'000), 5u);
  EXPECT_EQ(t.counters().syn_source_limited, 95u);
  EXPECT_EQ(t.engine().half_opens().used(), 5u);
  t.Advance(Duration::Seconds(1));
  EXPECT_EQ(AnswersTo(t, 100, 20'000), 5u);
  // Another source. (Over IPv6 the fixture's addresses are all of one /64.)
  if (t.v6()) return;
  t.ReceivesFrom(0x0A01'0007, 1024, 80, {.flags = kSyn, .seq = 0});
  EXPECT_EQ(t.engine().half_opens().used(), 11u);
}

// SFL-10: whatever is forged in a victim's name, it receives no more than the rate, by cookies too.
TEST(SourceLimit, VictimOfForgedSynsReceivesFewSynAcks) {
  for (const tcp::SynCookies cookies : {tcp::SynCookies::kWhenFull, tcp::SynCookies::kAlways}) {
    TraceOptions options = Limited(10, 5);
    options.config.tcp.syn_cookies = cookies;
    Trace t(options);
    t.Listen(2);
    size_t answers = 0;
    for (int ms = 0; ms < 2000; ++ms) {
      answers += AnswersTo(t, 5, static_cast<uint16_t>(1024 + 5 * ms));
      t.Advance(Duration::Milliseconds(1));
    }
    EXPECT_GE(answers, 20u);
    EXPECT_LE(answers, 26u);
  }
}

TEST(SourceLimit, ConnectionWithinItIsServedAsUsual) {
  Trace t(Limited(10, 5));
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "GET"});
  EXPECT_EQ(t.app().received, "GET");
  EXPECT_EQ(t.counters().listen_drops, 0u);
}

// OPN-08: the backlog counts behind the limit.
TEST(SourceLimit, BacklogStillHolds) {
  TraceOptions options = Limited(1000, 100);
  options.config.tcp.syn_cookies = tcp::SynCookies::kNever;
  Trace t(options);
  t.Listen(3);
  EXPECT_EQ(AnswersTo(t, 10, 10'000), 3u);
  EXPECT_EQ(t.counters().listen_overflows, 7u);
  EXPECT_EQ(t.counters().syn_source_limited, 0u);
}

// A SYN that is one too many does not cost the old incarnation its 2MSL.
TEST(SourceLimit, TimeWaitStaysWhenTheSynIsOneTooMany) {
  Trace t(Limited(1, 2));
  t.AcceptFromPeer();
  t.Close();
  t.Receives({.flags = kAck | kFin, .seq = 1, .ack = 2});
  ASSERT_EQ(t.FlowState(), State::kTimeWait);
  t.ForgetSent();
  EXPECT_EQ(AnswersTo(t, 1, 9), 1u);  // the second of the burst
  t.Receives({.flags = kSyn, .seq = 5000});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.Advance(Duration::Seconds(3));
  t.ForgetIsn();
  t.Receives({.flags = kSyn, .seq = 6000});
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
}

}  // namespace
}  // namespace millrace::testing
