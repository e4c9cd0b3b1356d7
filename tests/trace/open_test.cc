// Opening: three-way handshake from both sides, options, loss (group OPN; RFC 9293 3.5, 3.9.1.1).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// OPN-01
TEST(Open, ActiveHandshakeSendsSynAndAcksTheSynAck) {
  Trace t;
  t.Connect();
  EXPECT_EQ(t.state(), State::kSynSent);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .mss = 1460}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-02
TEST(Open, PassiveHandshakeAnswersSynAndIsEstablishedByTheAck) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460, .window_scale = 7, .sack_permitted = true});
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  const auto syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck,
                                  .seq = 0,
                                  .ack = 1,
                                  .mss = 1460,
                                  .window_scale = 3,
                                  .sack_permitted = true}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-03 (MUST-10), RFC 9293 figure 7.
TEST(Open, SimultaneousOpenEndsEstablished) {
  Trace t;
  t.Connect();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0}));
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460});
  EXPECT_EQ(t.state(), State::kSynReceived);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460});
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-03: RFC 7323 2.2: "The window field in a segment where the SYN bit is set ... MUST NOT be
// scaled", also in the SYN-ACK that ends a simultaneous open.
TEST(Open, WindowOfSynAckInSimultaneousOpenIsNotScaled) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0, .window = 500, .mss = 1000, .window_scale = 7});
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .window = 2000, .window_scale = 7});
  EXPECT_EQ(t.state(), State::kEstablished);
  t.ForgetSent();
  t.Send(Octets(8000));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
  EXPECT_THAT(t.Sent(),
              IsSegment({.flags = kAck, .seq = 1001, .ack = 1, .data = Octets(1000, 1000)}));
  EXPECT_TRUE(t.SentNothing());
}

// The ACK that completes the handshake repeats no other, though our FIN has gone before it (RFC
// 5681 section 2: "(e) the advertised window in the incoming acknowledgment equals the advertised
// window in the last incoming acknowledgment": there was none).
TEST(Open, AckOfTheHandshakeIsNoDuplicateWhenTheFinIsOut) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0});
  t.Close();
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_EQ(t.state(), State::kFinWait1);
  EXPECT_EQ(t.tcb()->duplicate_acks, 0);
}

// OPN-03: the peer's SYN-ACK is lost; ours comes again until its ACK arrives.
TEST(Open, SimultaneousOpenRepeatsItsSynAck) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(1100));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data text"));
}

// OPN-04: refused.
TEST(Open, ConnectionToItselfIsRefused) {
  Trace t;
  const Endpoint self{t.AddressOf(Trace::kHostAddress), 80};
  stack::Socket socket;
  EXPECT_EQ(t.engine().ConnectFrom(self, self, 0, &socket), stack::ConnectResult::kBadAddress);
  EXPECT_EQ(t.engine().Connect(self, 0, &socket), stack::ConnectResult::kBadAddress);
  t.Poll();
  EXPECT_TRUE(t.SentNothing());
  t.ExpectNothingHeld();
}

// Lets time pass until `limit_s` and returns when segments went out, in seconds from now.
std::vector<int> SecondsOfSegments(Trace& t, int limit_s, const Seg& expected) {
  std::vector<int> times;
  for (int s = 0; s < limit_s; ++s) {
    // Half of a second off, so that nothing falls between two steps.
    t.Advance(s == 0 ? Duration::Milliseconds(1500) : Duration::Seconds(1));
    while (const std::optional<Seg> seg = t.Sent()) {
      EXPECT_THAT(seg, IsSegment(expected));
      times.push_back(s + 1);
    }
  }
  return times;
}

// OPN-05 (MUST-23): "a SYN ... R2 ... MUST be set large enough to provide retransmission of the
// segment for at least 3 minutes".
TEST(Open, LostSynIsRepeatedForThreeMinutesAndThenGivenUp) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  EXPECT_THAT(SecondsOfSegments(t, 180, {.flags = kSyn, .seq = 0, .mss = 1460}),
              ElementsAre(1, 3, 7, 15, 31, 63, 123));
  EXPECT_EQ(t.state(), State::kSynSent);
  t.Advance(Duration::Seconds(10));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
  t.ExpectNothingHeld();
}

// OPN-05: and one that is answered at last opens.
TEST(Open, AnswerToARepeatedSynOpens) {
  Trace t;
  t.Connect();
  t.Advance(Duration::Seconds(5));
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-06
TEST(Open, LostSynAckIsRepeatedFiveTimesAndThenForgotten) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  EXPECT_THAT(SecondsOfSegments(t, 60, {.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460}),
              ElementsAre(1, 3, 7, 15, 31));
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  t.Advance(Duration::Seconds(5));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.ExpectNothingHeld();
}

// OPN-07
TEST(Open, AckOfTheFirstDataEstablishesWhenTheBareAckWasLost) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.Receives({.flags = kAck | kPsh | kFin, .seq = 1, .ack = 1, .data = "GET /"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data GET /", "fin"));
  EXPECT_EQ(t.state(), State::kCloseWait);
}

// OPN-07: the second segment of data comes first.
TEST(Open, AckOfDataOutOfOrderEstablishesToo) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.Receives({.flags = kAck, .seq = 6, .ack = 1, .data = "index"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "GET /"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data GET /", "data index"));
}

// OPN-08
TEST(Open, SynBeyondTheBacklogIsDroppedWithoutAnAnswer) {
  TraceOptions options;
  options.config.tcp.syn_cookies = tcp::SynCookies::kNever;
  Trace t(options);
  t.Listen(2);
  for (uint16_t port = 40'000; port < 40'005; ++port) {
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0});
  }
  const std::vector<Seg> sent = t.AllSent();
  ASSERT_EQ(sent.size(), 2u);
  for (const Seg& seg : sent) EXPECT_EQ(seg.flags, kSyn | kAck);
  EXPECT_EQ(t.engine().half_opens().used(), 2u);
  EXPECT_EQ(t.counters().listen_overflows, 3u);
}

// OPN-09: the entry stays in SYN-RECEIVED and is completed by what comes when there is room.
TEST(Open, HandshakeThatFindsNoConnectionBlockWaitsForOne) {
  TraceOptions options;
  options.config.limits.connections = 1;
  Trace t(options);
  t.Listen();
  t.ReceivesFrom(Trace::kPeerAddress, 50'000, 80, {.flags = kSyn, .seq = 0});
  t.ReceivesFrom(Trace::kPeerAddress, 50'000, 80, {.flags = kAck, .seq = 1, .ack = 1});
  const stack::Socket first = t.app().socket;
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  t.ForgetSent();
  t.ForgetIsn();
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  first.Abort();
  t.Poll();
  t.ForgetSent();
  EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data text"));
  t.Abort();
  t.ExpectNothingHeld();
}

// OPN-10 (MUST-41, MUST-42)
TEST(Open, ListenersOnOnePortDoNotInterfere) {
  Trace t;
  stack::Engine& engine = t.engine();
  const Endpoint here{t.AddressOf(Trace::kHostAddress), 80};
  const Endpoint anywhere{t.AddressOf(0), 80};
  EXPECT_EQ(engine.Listen(anywhere, 16, 1), stack::ListenResult::kOk);
  EXPECT_EQ(engine.Listen(here, 16, 2), stack::ListenResult::kOk);
  EXPECT_EQ(engine.Listen(here, 16, 3), stack::ListenResult::kInUse);
  EXPECT_EQ(engine.Listen({t.AddressOf(0), 81}, 16, 4), stack::ListenResult::kOk);
  const auto accept = [&t](uint16_t port, uint16_t local_port) {
    t.ForgetIsn();
    t.ReceivesFrom(Trace::kPeerAddress, port, local_port, {.flags = kSyn, .seq = 0});
    t.ReceivesFrom(Trace::kPeerAddress, port, local_port, {.flags = kAck, .seq = 1, .ack = 1});
    return t.app().socket.user_data();
  };
  EXPECT_EQ(accept(1001, 80), 2u);
  EXPECT_EQ(accept(1002, 81), 4u);
  engine.CloseListener(here);
  EXPECT_EQ(accept(1003, 80), 1u);
  EXPECT_EQ(accept(1004, 81), 4u);
  engine.CloseListener(here);  // again: not the one on all addresses
  EXPECT_EQ(accept(1005, 80), 1u);
  EXPECT_EQ(engine.connections().used(), 5u);
}

// OPN-11 (MUST-63): "A TCP implementation MUST silently ignore a SYN ... from an invalid source".
TEST(Open, SynFromAnAddressThatCannotBeASourceIsIgnored) {
  Trace t;
  t.Listen();
  for (const uint32_t source : {0u, 0xFFFF'FFFFu, 0x0A00'00FFu, 0xE000'0001u, 0xEFFF'FFFFu,
                                0x7F00'0001u, Trace::kHostAddress}) {
    SCOPED_TRACE(source);
    t.ReceivesFrom(source, 40'000, 80, {.flags = kSyn, .seq = 0});
    EXPECT_TRUE(t.SentNothing());
    EXPECT_THAT(t.other_frames, IsEmpty());
  }
  t.ExpectNothingHeld();
}

// OPN-12 (MUST-57)
TEST(Open, SynToABroadcastOrMulticastAddressIsDiscardedSilently) {
  Trace t;
  t.Listen();
  const Seg syn{.flags = kSyn, .seq = 0};
  for (const uint32_t destination : {0xFFFF'FFFFu, 0x0A00'00FFu, 0xE000'0001u, 0u}) {
    SCOPED_TRACE(destination);
    t.ReceivesFrame(t.FrameOf(syn, Trace::kPeerAddress, 0, 0, destination));
    EXPECT_TRUE(t.SentNothing());
  }
  for (const std::byte first : {std::byte{0xFF}, std::byte{0x01}}) {
    std::vector<std::byte> frame = t.FrameOf(syn);  // our IP address, a group's MAC address
    for (size_t i = 0; i < 6; ++i) frame[i] = first;
    t.ReceivesFrame(std::move(frame));
    EXPECT_TRUE(t.SentNothing());
  }
  t.ExpectNothingHeld();
}

// OPN-13: RFC 9293 3.5, figure 8: the old SYN gets its SYN-ACK, the peer resets, and opens anew.
TEST(Open, OldDuplicateSynIsRecoveredFrom) {
  constexpr uint32_t kOldIsn = 0u - 900;
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = kOldIsn});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = kOldIsn + 1}));
  t.Receives({.flags = kRst, .seq = kOldIsn + 1});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.ForgetIsn();
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-13: an old SYN-ACK in SYN-SENT is reset, and the opening goes on (figure 8, other side).
TEST(Open, SynAckForAnOldSynIsResetAndTheOpeningGoesOn) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 0u - 900});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 0u - 900}));
  EXPECT_EQ(t.state(), State::kSynSent);
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

}  // namespace
}  // namespace millrace::testing
