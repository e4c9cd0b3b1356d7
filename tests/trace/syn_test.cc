// SYN segments in states that do not expect them (group SYN; RFC 9293 3.10.7, RFC 5961 section 4).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kPastTheLimiter = Duration::Milliseconds(600);

// SYN-01: RFC 5961 4.2: "If the SYN bit is set, irrespective of the sequence number, TCP MUST send
// an ACK (also referred to as challenge ACK) to the remote peer ... and after sending the
// acknowledgment, TCP MUST drop the unacceptable segment".
TEST(Syn, SynchronizedStatesChallengeSynWithAnySequenceNumber) {
  for (const State state : kSynchronizedStates) {
    for (const uint32_t offset : {0u, 1u, 0u - 1, 1000u, 0u - 100'000, 100'000u, 0x8000'0000u}) {
      SCOPED_TRACE(::testing::Message() << ToString(state) << " offset " << offset);
      Trace t;
      const Trace::Place at = t.Reach(state);
      t.Receives({.flags = kSyn, .seq = at.rcv_nxt + offset});
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = at.snd_nxt, .ack = at.rcv_nxt}));
      t.Receives({.flags = kSyn, .seq = at.rcv_nxt + offset});
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.FlowState(), state);
      EXPECT_THAT(t.TakeLog(), IsEmpty());
    }
  }
}

// SYN-01: with text, and with an ACK that is valid: neither counts.
TEST(Syn, NeitherTextNorAckOfChallengedSynIsTaken) {
  Trace t;
  t.AcceptFromPeer();
  t.Send("?");
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 1, .ack = 2, .data = "text"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1}));
  EXPECT_EQ(t.tcb()->flight(), 1u);
  EXPECT_EQ(t.app().received, "");
}

// SYN-01 with timestamps: the peer that has rebooted knows nothing of the old clock, and may have
// another configuration. RFC 5961's MUST goes before RFC 7323's SHOULD drop.
TEST(Syn, ChallengeDoesNotDependOnTimestamps) {
  for (const bool with_option : {false, true}) {
    SCOPED_TRACE(with_option);
    Trace t;
    t.AcceptFromPeer({.tsval = 100'000, .tsecr = 0});
    Seg syn{.flags = kSyn, .seq = 5'000'000};
    if (with_option) syn.tsval = 7, syn.tsecr = 0;
    t.Receives(syn);
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// SYN-02
TEST(Syn, RepeatedSynGetsTheSynAckAgainAtALimitedRate) {
  Trace t;
  t.Listen();
  const Seg syn{.flags = kSyn, .seq = 0, .mss = 1000, .tsval = 5, .tsecr = 0};
  t.Receives(syn);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Advance(kPastTheLimiter);
  for (int i = 0; i < 10; ++i) t.Receives(syn);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460}));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.engine().half_opens().used(), 1u);
}

// SYN-02, ACK-08: what is asked for is answered now and then, and puts off neither the
// retransmissions of the SYN-ACK nor the end of the entry: 1 + 2 + 4 + 8 + 16 + 32 s.
TEST(Syn, AskingAgainDoesNotPutOffTheEndOfAHalfOpenConnection) {
  constexpr Duration kStep = Duration::Milliseconds(100);
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  Duration lived;
  while (t.FlowState() == State::kSynReceived && lived < Duration::Seconds(100)) {
    t.Advance(kStep);
    lived = lived + kStep;
    t.Receives({.flags = kAck, .seq = 5'000'000, .ack = 1});  // not in the window
  }
  EXPECT_GE(lived, Duration::Seconds(63));
  EXPECT_LE(lived, Duration::Seconds(63) + kStep);
  EXPECT_EQ(t.counters().retrans_segs, 5u);
  EXPECT_EQ(t.counters().syn_ack_timeouts, 1u);
  // One SYN-ACK and five more; ACKs every 500 ms, but seven at most between two of them.
  EXPECT_GE(t.counters().challenge_acks_skipped, 500u);
  EXPECT_LE(t.counters().out_segs, 1u + 5 + 2 + 4 + 4 * 7 + 1);
}

// SYN-03. Departs from RFC 9293 3.10.7.4 ("return to the LISTEN state"): anybody could end an
// opening connection blindly.
TEST(Syn, SynWithOtherNumberLeavesSynReceivedAsItIs) {
  for (const uint32_t seq : {1u, 2u, 0u - 1, 5'000'000u}) {
    SCOPED_TRACE(seq);
    Trace t;
    t.Listen();
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Advance(kPastTheLimiter);
    t.Receives({.flags = kSyn, .seq = seq});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// SYN-03 after a simultaneous open.
TEST(Syn, SynWithOtherNumberLeavesSimultaneousOpenAsItIs) {
  for (const uint32_t seq : {0u, 1u, 5'000'000u}) {
    SCOPED_TRACE(seq);
    Trace t;
    t.Connect();
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Receives({.flags = kSyn, .seq = seq});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.state(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// SYN-04
TEST(Syn, SynWithFinDoesNotOpen) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn | kFin, .seq = 0});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.ExpectNothingHeld();
}

// SYN-05: the RST bit is looked at first.
TEST(Syn, SynWithResetDoesNotOpen) {
  Trace listening;
  listening.Listen();
  listening.Receives({.flags = kSyn | kRst, .seq = 0});
  EXPECT_TRUE(listening.SentNothing());
  EXPECT_EQ(listening.FlowState(), State::kClosed);

  Trace opening;
  opening.Connect();
  opening.ForgetSent();
  opening.Receives({.flags = kSyn | kRst, .seq = 0});
  EXPECT_TRUE(opening.SentNothing());
  EXPECT_EQ(opening.state(), State::kSynSent);
}

// SYN-06: RFC 9293 3.10.7.2: "any other control or text-bearing segment ... queued for processing
// later": here it is left to the peer, who sends it again because only the SYN is acknowledged.
TEST(Syn, TextOnSynIsDeliveredOnceAndNotBeforeEstablished) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .data = "early"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "early"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data early"));
}

// SYN-06 for the one who opens: text and FIN of a SYN-ACK.
TEST(Syn, TextAndFinOnSynAckAreTakenWhenTheyComeAgain) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck | kFin, .seq = 0, .ack = 1, .data = "early"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  t.Receives({.flags = kAck | kFin, .seq = 1, .ack = 1, .data = "early"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data early", "fin"));
}

// SYN-07: "Any acknowledgment is bad if it arrives on a connection still in the LISTEN state."
TEST(Syn, ListenerAnswersSynAckWithReset) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 4711});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 4711}));
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// SYN-08: our ACK of the handshake was lost.
TEST(Syn, RepeatedSynAckIsAcknowledgedAgain) {
  Trace t;
  t.ConnectToPeer();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
}

// SYN-09: RFC 9293 3.5.1, figure 9, seen from the side that did not crash.
TEST(Syn, PeerThatRebootedOpensAfterChallengeAndReset) {
  constexpr uint32_t kNewIsn = 5'000'000;
  for (const bool timestamps : {false, true}) {
    SCOPED_TRACE(timestamps);
    Trace t;
    Seg first{};
    if (timestamps) first.tsval = 90'000, first.tsecr = 0;
    t.AcceptFromPeer(first);
    Seg syn{.flags = kSyn, .seq = kNewIsn};
    if (timestamps) syn.tsval = 3, syn.tsecr = 0;
    t.Receives(syn);
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    t.Receives({.flags = kRst, .seq = 1});
    EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
    t.ForgetIsn();
    t.Receives(syn);
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = kNewIsn + 1}));
    Seg ack{.flags = kAck, .seq = kNewIsn + 1, .ack = 1};
    if (timestamps) ack.tsval = 4, ack.tsecr = 0;
    t.Receives(ack);
    EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

}  // namespace
}  // namespace millrace::testing
