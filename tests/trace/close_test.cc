// Closing: who closes first, half-close, data lost by a close, aborts (group CLS; peers that vanish
// are in giving_up_test.cc, TIME-WAIT itself is in time_wait_test.cc).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kTwoMsl = Duration::Seconds(61);

// CLS-01, RFC 9293 figure 12.
TEST(Close, ActiveCloseGoesThroughFinWaitToTimeWait) {
  Trace t;
  t.AcceptFromPeer();
  t.Close();
  EXPECT_EQ(t.FlowState(), State::kFinWait1);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(t.FlowState(), State::kFinWait2);
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
  EXPECT_EQ(t.engine().connections().used(), 0u);
  t.Advance(kTwoMsl);
  EXPECT_TRUE(t.SentNothing());
  t.ExpectNothingHeld();
}

// CLS-02, RFC 9293 figure 12 from the other side.
TEST(Close, PassiveCloseGoesThroughCloseWaitAndLastAckToClosed) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kCloseWait);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 2}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("fin"));
  t.Close();
  EXPECT_EQ(t.state(), State::kLastAck);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 2}));
  t.Receives({.flags = kAck, .seq = 2, .ack = 2});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
  t.ExpectNothingHeld();
}

// CLS-03, RFC 9293 figure 13.
TEST(Close, SimultaneousCloseGoesThroughClosing) {
  Trace t;
  t.AcceptFromPeer();
  t.Close();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.FlowState(), State::kClosing);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  t.Receives({.flags = kAck, .seq = 2, .ack = 2});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
}

// CLS-03, RFC 9293 A.2: a simultaneous close whose ACKs were lost must not lock up.
TEST(Close, SimultaneousCloseRecoversFromLostAcks) {
  Trace t;
  t.AcceptFromPeer();
  t.Close();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  t.ForgetSent();
  // The peer did not get our ACK; its FIN comes again, with our FIN acknowledged.
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  // Ours comes again and its ACK ends the matter.
  t.Advance(Duration::Milliseconds(1100));
  if (t.FlowState() == State::kClosing) {
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 2}));
    t.Receives({.flags = kAck, .seq = 2, .ack = 2});
  }
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
}

// CLS-04: FIN-WAIT-1 to TIME-WAIT by one segment.
TEST(Close, FinThatAcknowledgesOurFinLeadsStraightToTimeWait) {
  Trace t;
  t.AcceptFromPeer();
  t.Close();
  t.ForgetSent();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
}

// CLS-05, and SEG-08: also where sequence numbers wrap inside the data, and on the FIN.
TEST(Close, FinWithDataDeliversTheDataFirstAndIsAcknowledgedOnce) {
  for (uint32_t peer_isn : {1'000'000u, 0xFFFF'FFFDu, 0xFFFF'FFFBu, 0xFFFF'FFFAu}) {
    SCOPED_TRACE(peer_isn);
    TraceOptions options;
    options.peer_isn = peer_isn;
    Trace t(options);
    t.AcceptFromPeer();
    t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = "last"});
    EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 6})));
    EXPECT_EQ(t.state(), State::kCloseWait);
    EXPECT_THAT(t.TakeLog(), ElementsAre("data last", "fin"));
  }
}

// Ours: answer and FIN in one segment, with the ACK of the request.
TEST(Close, AnswerAndFinLeaveInOneSegment) {
  Trace t;
  t.app().reply_on_data = "pong";
  t.app().close_on_data = true;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "ping"});
  EXPECT_THAT(t.AllSent(),
              ElementsAre(SegmentIs({.flags = kFin | kAck, .seq = 1, .ack = 5, .data = "pong"})));
  EXPECT_EQ(t.FlowState(), State::kFinWait1);
}

// CLS-06
TEST(Close, FinBeforeItsDataWaitsForTheData) {
  for (uint32_t peer_isn : {1'000'000u, 0xFFFF'FFFDu}) {
    SCOPED_TRACE(peer_isn);
    TraceOptions options;
    options.peer_isn = peer_isn;
    Trace t(options);
    t.AcceptFromPeer();
    t.Receives({.flags = kFin | kAck, .seq = 4, .ack = 1, .data = "def"});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_EQ(t.state(), State::kEstablished);
    EXPECT_THAT(t.TakeLog(), IsEmpty());
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 8}));
    EXPECT_EQ(t.state(), State::kCloseWait);
    EXPECT_EQ(t.app().received, "abcdef");
    EXPECT_EQ(t.TakeLog().back(), "fin");
  }
}

// CLS-06: a FIN without data of its own.
TEST(Close, BareFinOutOfOrderWaitsForTheData) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 4, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("data abc", "fin"));
}

// CLS-07: the FIN again with other payload, at the same sequence number and longer than before.
TEST(Close, RetransmittedFinWithOtherPayloadChangesNothing) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5}));
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = "XYZ"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5}));
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = "XYZ12345"});
  t.Receives({.flags = kFin | kAck, .seq = 5, .ack = 1, .data = "more"});
  EXPECT_EQ(t.state(), State::kCloseWait);
  for (const Seg& sent : t.AllSent()) EXPECT_EQ(sent.ack, 5u);
  EXPECT_THAT(t.TakeLog(), ElementsAre("data abc", "fin"));
  EXPECT_EQ(t.engine().env().receive_pool.nodes.used(), 0u);
}

// CLS-07: two different FINs, both out of order; the first one stands.
TEST(Close, SecondFinFurtherOnIsIgnored) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 4, .ack = 1});
  t.Receives({.flags = kFin | kAck, .seq = 4, .ack = 1, .data = "beyond"});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
  EXPECT_EQ(t.state(), State::kCloseWait);
  EXPECT_EQ(t.AllSent().back().ack, 5u);
  EXPECT_EQ(t.app().received, "abc");
}

// CLS-08
TEST(Close, InCloseWaitWeSendAndThePeersDataIsIgnored) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 2, .ack = 1, .data = "after"});
  EXPECT_EQ(t.state(), State::kCloseWait);
  EXPECT_EQ(t.counters().data_after_fin, 1u);
  t.ForgetSent();
  t.Send("still here");
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 2, .data = "still here"}));
  t.Receives({.flags = kAck, .seq = 2, .ack = 11});
  EXPECT_EQ(t.app().received, "");
  EXPECT_EQ(t.state(), State::kCloseWait);
}

// CLS-09: half-close has no time limit while the application listens.
TEST(Close, AfterShutdownThePeerMaySendForMinutes) {
  Trace t;
  t.AcceptFromPeer();
  t.Shutdown();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 2});
  uint32_t seq = 1;
  for (int minute = 0; minute < 10; ++minute) {
    t.Advance(Duration::Seconds(70));
    ASSERT_EQ(t.FlowState(), State::kFinWait2);
    t.Receives({.flags = kAck, .seq = seq, .ack = 2, .data = "tick"});
    seq += 4;
    t.Advance(Duration::Milliseconds(100));
    ASSERT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = seq}));
  }
  t.Receives({.flags = kFin | kAck, .seq = seq, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = seq + 1}));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_EQ(t.app().received.size(), 40u);
}

// CLS-08, CLS-09: nothing is sent after our FIN.
TEST(Close, SendAfterShutdownTakesNothing) {
  Trace t;
  t.AcceptFromPeer();
  t.Shutdown();
  t.ForgetSent();
  EXPECT_EQ(t.app().socket.Send(std::as_bytes(std::span("late", 4))), 0u);
  t.Advance(Duration::Milliseconds(50));
  EXPECT_TRUE(t.SentNothing());
}

// CLS-10 (SHLD-3), RFC 2525 2.17.
TEST(Close, CloseWithUnreadDataSendsReset) {
  Trace t;
  t.AcceptFromPeer();
  t.app().reading = false;
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "unread"});
  t.ForgetSent();
  t.Close();
  EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kRst | kAck, .seq = 1, .ack = 7})));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
  t.ExpectNothingHeld();
}

// CLS-11 (SHLD-3): RFC 1122 4.2.2.13, "or if new data is received after CLOSE is called".
TEST(Close, DataAfterFullCloseIsAnsweredByReset) {
  for (bool fin_acked : {false, true}) {
    SCOPED_TRACE(fin_acked ? "FIN-WAIT-2" : "FIN-WAIT-1");
    Trace t;
    t.AcceptFromPeer();
    t.Close();
    if (fin_acked) t.Receives({.flags = kAck, .seq = 1, .ack = 2});
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = fin_acked ? 2u : 1u, .data = "late"});
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_NE(sent[0].flags & kRst, 0);
    EXPECT_EQ(sent[0].seq, 2u);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
    t.ExpectNothingHeld();
  }
}

// CLS-11: what the peer repeats was received; it is acknowledged and does not reset.
TEST(Close, RepeatedOldDataAfterFullCloseIsOnlyAcknowledged) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
  t.Close();
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 4}));
  EXPECT_EQ(t.FlowState(), State::kFinWait1);
}

// CLS-12, CLS-22 (SO_LINGER 0): RFC 9293 3.10.5 in each state that sends a reset.
TEST(Close, AbortSendsResetAndGivesEverythingBack) {
  for (State state : {State::kEstablished, State::kFinWait1, State::kFinWait2, State::kCloseWait}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    t.AcceptFromPeer();
    if (state != State::kFinWait2) {
      t.Send(Octets(40'000));  // unacknowledged, and a part not yet sent
      t.app().reading = false;
      t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "unread"});
      t.Receives({.flags = kAck, .seq = 100, .ack = 1, .data = "out of order"});
    }
    if (state == State::kCloseWait) t.Receives({.flags = kFin | kAck, .seq = 7, .ack = 1});
    if (state == State::kFinWait1 || state == State::kFinWait2) t.Shutdown();
    if (state == State::kFinWait2) t.Receives({.flags = kAck, .seq = 1, .ack = 2});
    ASSERT_EQ(t.FlowState(), state);
    const uint32_t next = t.tcb()->snd_nxt.Since(t.host_isn());
    t.ForgetSent();
    t.Abort();
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_NE(sent[0].flags & kRst, 0);
    EXPECT_EQ(sent[0].seq, next);  // "<SEQ=SND.NXT><CTL=RST>"
    EXPECT_EQ(t.TakeLog().back(), "close aborted");
    t.ExpectNothingHeld();
    t.Advance(Duration::Seconds(200));
    EXPECT_TRUE(t.SentNothing());
  }
}

// CLS-22 and MUST-12: the application is told once how it ended.
TEST(Close, ResetByThePeerIsToldFromANormalClose) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kRst, .seq = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
  t.ExpectNothingHeld();
}

// RFC 5681 2: cwnd "limits the amount of data a TCP can send": a FIN alone does not wait for it.
TEST(Close, FinAloneDoesNotWaitForTheCongestionWindow) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(10'000));
  EXPECT_EQ(t.AllSent().size(), 10u);
  ASSERT_EQ(t.tcb()->flight(), t.tcb()->congestion.cwnd);
  t.Shutdown();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 10'001, .ack = 1}));
  EXPECT_TRUE(t.SentNothing());
}

}  // namespace
}  // namespace millrace::testing
