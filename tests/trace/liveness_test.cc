// Keepalive, user timeout, CLOSE-WAIT, abort at the end (groups KA, CLS, O11; RFC 9293 3.8.4, 3.9.1
// and 3.10.5, RFC 5482).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kTickSlack = Duration::Milliseconds(1);

tcp::Liveness Keepalive() {
  tcp::Liveness l;
  l.keepalive = true;
  l.keepalive_idle = Duration::Seconds(10);
  l.keepalive_interval = Duration::Seconds(3);
  l.keepalive_probes = 4;
  return l;
}

tcp::Liveness UserTimeout(int seconds) {
  tcp::Liveness l;
  l.user_timeout = Duration::Seconds(seconds);
  return l;
}

Seg Probe() { return {.flags = kAck, .seq = 0, .ack = 1}; }
Seg Alive() { return {.flags = kAck, .seq = 1, .ack = 1}; }

// KA-01 (MUST-25): "keep-alives ... MUST default to off".
TEST(Keepalive, IsOffByDefault) {
  Trace t;
  t.AcceptFromPeer();
  t.Advance(Duration::Seconds(30 * 24 * 3600));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.engine().env().extras.used(), 0u);
}

// KA-01 (MUST-28): "it MUST default to no less than two hours".
TEST(Keepalive, DefaultIntervalIsTwoHours) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness({.keepalive = true}));
  t.Advance(Duration::Seconds(2 * 3600) - kTickSlack);
  EXPECT_TRUE(t.SentNothing());
  t.Advance(kTickSlack * 2);
  EXPECT_THAT(t.Sent(), IsSegment(Probe()));
}

// KA-03 (SHLD-12): SND.NXT-1 and no octet. KA-04 (MUST-29): one probe proves nothing, the last one
// does.
TEST(Keepalive, UnansweredProbesEndTheConnection) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(Keepalive()));
  t.Advance(Duration::Seconds(10) - kTickSlack);
  EXPECT_TRUE(t.SentNothing());
  t.Advance(kTickSlack * 2);
  EXPECT_THAT(t.Sent(), IsSegment(Probe()));
  for (int i = 1; i < 4; ++i) {
    t.Advance(Duration::Milliseconds(2'980));
    EXPECT_TRUE(t.SentNothing());
    t.Advance(Duration::Milliseconds(20));
    EXPECT_THAT(t.Sent(), IsSegment(Probe()));
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Milliseconds(3'010));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 1, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
  EXPECT_EQ(t.counters().abort_on_keepalive, 1u);
  EXPECT_EQ(t.counters().keepalives, 4u);
  t.ExpectNothingHeld();
}

// KA-04, KA-05: an answer to any probe, or data, begins anew.
TEST(Keepalive, AnswerOrDataBeginsTheIdleTimeAnew) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(Keepalive()));
  for (int round = 0; round < 5; ++round) {
    t.Advance(Duration::Milliseconds(19'100));  // four probes
    EXPECT_EQ(t.AllSent().size(), 4u);
    t.Receives(Alive());
    EXPECT_TRUE(t.SentNothing());
  }
  t.Advance(Duration::Seconds(9));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "x"});
  t.Advance(Duration::Seconds(9));
  EXPECT_THAT(t.AllSent().size(), 1u);  // the ACK
  t.Advance(Duration::Milliseconds(1'010));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 0, .ack = 2}));
}

// KA-02 (MUST-26): "MUST only be sent when no sent data is outstanding".
TEST(Keepalive, IsNotSentWhileDataIsOutstanding) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(Keepalive()));
  t.Advance(Duration::Seconds(9));
  t.Send("data");
  t.Advance(Duration::Seconds(60));
  for (const Seg& seg : t.AllSent()) EXPECT_EQ(seg.data, "data");
  EXPECT_EQ(t.counters().keepalives, 0u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 5});
  t.Advance(Duration::Milliseconds(9'990));
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(20));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 4, .ack = 1}));
}

// KA-02 in the other states that may be idle; an orphan has its own deadline.
TEST(Keepalive, ProbesHalfClosedConnections) {
  for (const State state : {State::kCloseWait, State::kFinWait2}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    const Trace::Place at = t.Reach(state);
    ASSERT_TRUE(t.app().socket.SetLiveness(Keepalive()));
    t.Advance(Duration::Milliseconds(10'010));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = at.snd_nxt - 1, .ack = at.rcv_nxt}));
    t.Advance(Duration::Seconds(20));
    EXPECT_EQ(t.FlowState(), State::kClosed);
  }
}

// MUST-24 for a whole engine: connections of both directions begin with it.
TEST(Keepalive, MayBeTheDefaultOfTheEngine) {
  for (const bool passive : {false, true}) {
    TraceOptions options;
    options.config.tcp.liveness = Keepalive();
    Trace t(options);
    passive ? t.AcceptFromPeer() : t.ConnectToPeer();
    t.Advance(Duration::Milliseconds(9'990));
    EXPECT_TRUE(t.SentNothing());
    t.Advance(Duration::Milliseconds(20));
    EXPECT_THAT(t.Sent(), IsSegment(Probe()));
    t.Advance(Duration::Seconds(20));
    EXPECT_EQ(t.FlowState(), State::kClosed);
    t.ExpectNothingHeld();
  }
}

TEST(Keepalive, CanBeTurnedOffAgain) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(Keepalive()));
  t.Advance(Duration::Seconds(5));
  ASSERT_TRUE(t.app().socket.SetLiveness({}));
  t.Advance(Duration::Seconds(1000));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
}

TEST(Keepalive, RecordsAreBounded) {
  TraceOptions options;
  options.config.limits.extras = 0;
  Trace t(options);
  t.AcceptFromPeer();
  EXPECT_FALSE(t.app().socket.SetLiveness(Keepalive()));
  EXPECT_EQ(t.counters().extras_full, 1u);
  EXPECT_EQ(t.state(), State::kEstablished);
}

// KA-06: in every state with something outstanding.
TEST(UserTimeout, EndsTheConnectionInEveryState) {
  for (const State state : {State::kEstablished, State::kFinWait1, State::kCloseWait,
                            State::kClosing, State::kLastAck}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    const Trace::Place at = t.Reach(state);
    ASSERT_TRUE(t.app().socket.SetLiveness(UserTimeout(5)));
    if (at.snd_nxt == 1) t.Send("data");
    t.Advance(Duration::Seconds(5) - kTickSlack);
    EXPECT_EQ(t.FlowState(), state);
    t.Advance(kTickSlack * 2);
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
    t.ExpectNothingHeld();
  }
}

// KA-06: an opening too.
TEST(UserTimeout, EndsAnOpening) {
  Trace t;
  t.Connect();
  ASSERT_TRUE(t.app().socket.SetLiveness(UserTimeout(5)));
  t.Poll();
  t.Advance(Duration::Seconds(5) - kTickSlack);
  EXPECT_EQ(t.FlowState(), State::kSynSent);
  t.Advance(kTickSlack * 2);
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// KA-06: a window that stays closed is no progress, however politely it is.
TEST(UserTimeout, EndsAConnectionWithAClosedWindow) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  ASSERT_TRUE(t.app().socket.SetLiveness(UserTimeout(30)));
  t.Send("data");
  for (int i = 0; i < 299; ++i) {
    t.Advance(Duration::Milliseconds(100));
    if (!t.SentNothing()) t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
    t.ForgetSent();
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Milliseconds(110));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
}

// Progress, and having nothing to send, begin it anew.
TEST(UserTimeout, CountsFromTheLastProgress) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(UserTimeout(5)));
  t.Advance(Duration::Seconds(100));
  uint32_t ack = 1;
  t.Send(Octets(10));
  for (int i = 0; i < 9; ++i) {
    t.Advance(Duration::Milliseconds(4'900));
    EXPECT_EQ(t.state(), State::kEstablished);
    t.Receives({.flags = kAck, .seq = 1, .ack = ++ack});
  }
  t.Advance(Duration::Milliseconds(5'010));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
}

// RTO-08 (MUST-21): longer than R2, too.
TEST(UserTimeout, MayBeLongerThanR2) {
  Trace t;
  t.AcceptFromPeer();
  ASSERT_TRUE(t.app().socket.SetLiveness(UserTimeout(1000)));
  t.Send("data");
  t.Advance(Duration::Seconds(999));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Seconds(2));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
}

// A segment with the option of RFC 5482, which the harness does not write itself.
std::vector<std::byte> WithUserTimeout(Trace& t, uint16_t value) {
  // MSS has the same length: kind and value are changed, and the checksum with them.
  std::vector<std::byte> frame =
      t.FrameOf({.flags = kAck, .seq = 1, .ack = 1, .mss = uint16_t{1460}});
  std::byte* const options = frame.data() + t.TcpAt() + wire::kTcpHeaderBytes;
  StoreBe32(options, uint32_t{28} << 24 | uint32_t{4} << 16 | value);
  t.FixTcpChecksum(frame);
  return frame;
}

// KA-07: ignored unless wanted; clamped then.
TEST(UserTimeout, OfThePeerIsClampedOrIgnored) {
  struct Case {
    bool adopt;
    uint16_t value;
    int seconds;
  };
  constexpr Case kCases[] = {{false, 1, 0},       {true, 1, 100},      {true, 99, 100},
                             {true, 300, 300},    {true, 0x7FFF, 600}, {true, 0x8000 | 5, 300},
                             {true, 0xFFFF, 600}, {true, 0, 0},        {true, 0x8000, 0}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.adopt << ' ' << c.value);
    Trace t;
    t.AcceptFromPeer();
    tcp::Liveness liveness;
    liveness.adopt_user_timeout = c.adopt;
    ASSERT_TRUE(t.app().socket.SetLiveness(liveness));
    t.ReceivesFrame(WithUserTimeout(t, c.value));
    const tcp::Extra& extra = t.engine().env().extras[t.tcb()->extra - 1];
    EXPECT_EQ(extra.user_timeout, tcp::Extra::Span(Duration::Seconds(c.seconds)));
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// O11: the age of the oldest is known; a deadline is an option.
TEST(CloseWait, AgeIsMeasuredAndADeadlineMayEndIt) {
  Trace t;
  t.Reach(State::kCloseWait);
  t.Advance(Duration::Seconds(1000));
  EXPECT_EQ(t.FlowState(), State::kCloseWait);
  t.engine().ForEachConnection([&](const stack::Connection& c) {
    EXPECT_NEAR(t.engine().CloseWaitAge(c).seconds(), 1000.0, 0.001);
  });
  tcp::Liveness liveness;
  liveness.close_wait = Duration::Seconds(1010);
  ASSERT_TRUE(t.app().socket.SetLiveness(liveness));
  t.Advance(Duration::Milliseconds(9'990));
  EXPECT_EQ(t.FlowState(), State::kCloseWait);
  t.Advance(Duration::Milliseconds(20));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 1, .ack = 2}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
  EXPECT_EQ(t.counters().abort_on_close_wait, 1u);
  t.ExpectNothingHeld();
}

// O11: every connection of an engine that is configured so, a tick after T at most.
TEST(CloseWait, DeadlineOfTheEngineEndsAllOfThem) {
  TraceOptions options;
  options.config.tcp.liveness.close_wait = Duration::Seconds(30);
  Trace t(options);
  t.Reach(State::kCloseWait);
  t.Advance(Duration::Seconds(30) - kTickSlack);
  EXPECT_EQ(t.FlowState(), State::kCloseWait);
  t.Advance(kTickSlack * 2);
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.ExpectNothingHeld();
}

// RFC 9293 3.10.5: both sides have closed: "Respond with "ok" and delete the TCB", no RST.
TEST(Abort, InClosingAndLastAckSendsNothing) {
  for (const State state : {State::kClosing, State::kLastAck}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    t.Reach(state);
    t.Abort();
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
    t.ExpectNothingHeld();
  }
}

}  // namespace
}  // namespace millrace::testing
