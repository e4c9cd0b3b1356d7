// What fuzz/segments and hostile reading have found, each as the shortest trace that shows it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

// Data that a peer sent behind its own FIN can never come in order; it must not outlive the
// connection.
TEST(FuzzFindings, DataHeldBehindThePeersFinIsGivenBack) {
  for (const State state : {State::kEstablished, State::kFinWait2}) {
    Trace t;
    const Trace::Place p = t.Reach(state);
    t.Receives({.flags = kAck, .seq = p.rcv_nxt + 100, .ack = p.snd_una, .data = Octets(10)});
    t.Receives({.flags = kAck | kFin, .seq = p.rcv_nxt, .ack = p.snd_una});
    t.Close();
    t.Receives({.flags = kAck, .seq = p.rcv_nxt + 1, .ack = 2});
    t.Advance(Duration::Seconds(100));
    t.ExpectNothingHeld();
  }
}

// A FIN in the middle of data that is held already: the FIN counts, rcv_nxt cannot pass it.
TEST(FuzzFindings, FinInsideHeldDataEndsTheStreamThere) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 101, .ack = 1, .data = Octets(100, 100)});
  t.Receives({.flags = kAck | kFin, .seq = 141, .ack = 1, .data = Octets(10, 140)});
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(100)});
  EXPECT_EQ(t.state(), State::kCloseWait);
  EXPECT_EQ(t.app().received, Octets(150));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 152}));
}

// The override of silly window avoidance (RFC 9293 3.8.6.2.1) sends once, not twice.
TEST(FuzzFindings, TheOverrideOfSillyWindowAvoidanceSendsItsSegmentOnce) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 100});
  t.Send(Octets(5000));
  EXPECT_TRUE(t.SentNothing());
  for (int ms = 0; ms < 3000 && t.SentNothing(); ++ms) t.Advance(Duration::Milliseconds(1));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(100)}));
  EXPECT_TRUE(t.SentNothing());
}

// What follows a zero window is timed afresh (RFC 6298 5.1), although the probe is in flight.
TEST(FuzzFindings, DataAfterAZeroWindowIsTimedAfresh) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  t.Send(Octets(1000));
  for (int i = 0; i < 300; ++i) {  // every probe is answered: the persist timer backs off to 60 s
    t.Advance(Duration::Seconds(1));
    if (!t.SentNothing()) t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
    t.ForgetSent();
  }
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 5000});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
  t.Advance(Duration::Seconds(4));  // and lost
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
}

// A SYN-ACK is due to a neighbour that does not answer ARP, and a RST behind the SYN in the same
// burst lets go of it: the answer must not wait at an entry that is free.
TEST(FuzzFindings, AnAnswerToANeighbourThatIsGivenUpInTheSameBurstIsNotLost) {
  constexpr uint32_t kNobody = Trace::kPeerAddress + 1;
  Trace t;
  t.Listen();
  const Seg syn{.flags = kSyn, .seq = 0};
  t.ReceivesFrom(kNobody, 40'000, 80, syn);
  for (int i = 0; i < 120; ++i) t.Advance(Duration::Milliseconds(100));
  const uint16_t nobody = t.engine().neighbors().Find(t.AddressOf(kNobody));
  ASSERT_NE(nobody, stack::Neighbors::kNone);
  ASSERT_EQ(t.engine().neighbors()[nobody].state, stack::NeighborState::kFailed);
  ASSERT_EQ(t.engine().half_opens().used(), 1u);
  for (const Seg& seg : {syn, Seg{.flags = kRst, .seq = 1}}) {
    t.port().Deliver(sim::Frame::CopyOf(t.FrameOf(seg, kNobody, 40'000, 80)));
  }
  t.Poll();
  EXPECT_EQ(t.engine().half_opens().used(), 0u);
  t.Advance(Duration::Seconds(30));
  EXPECT_EQ(t.engine().neighbors().parked(), 0u);
  t.ExpectNothingHeld();
}

}  // namespace
}  // namespace millrace::testing
