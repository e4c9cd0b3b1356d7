// Acceptability of segments, trimming and reassembly (group SEG; RFC 9293 3.10.7.4, table 6).
//
// Every test runs with RCV.NXT in the middle of the sequence space, below the wrap, at the wrap and
// at the sign change of a 32-bit difference (SEG-08).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kWindow = 1000;  // of the engine, in octets

class SegTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  // RCV.NXT is GetParam() when the handshake is done, and RCV.WND is kWindow.
  TraceOptions Options() const {
    TraceOptions options;
    options.peer_isn = GetParam() - 1;
    options.config.tcp.receive_buffer_bytes = kWindow;
    return options;
  }

  // An ESTABLISHED connection with one octet sent, so that it shows whether an ACK field is used.
  static void Open(Trace& t) {
    t.AcceptFromPeer();
    t.Send("?");
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = "?"}));
  }

  // The application stops reading, and the peer fills the window.
  static void FillWindow(Trace& t) {
    t.app().reading = false;
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(kWindow)});
    t.Advance(Duration::Milliseconds(100));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1 + kWindow, .window = 0}));
    EXPECT_TRUE(t.SentNothing());
  }

  // "If an incoming segment is not acceptable, an acknowledgment should be sent in reply ...
  // <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>", and the ACK field is not looked at.
  static void ExpectRefused(Trace& t, uint32_t rcv_nxt) {
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = rcv_nxt}));
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.tcb()->flight(), 1u) << "the ACK field of an unacceptable segment was used";
  }
};

INSTANTIATE_TEST_SUITE_P(RcvNxt, SegTest,
                         ::testing::Values(1'000'000, 0xFFFF'FFF0, 0, 0x7FFF'FFF0));

// SEG-01
TEST_P(SegTest, EmptySegmentIntoClosedWindowIsAcceptableAtRcvNxtOnly) {
  constexpr uint32_t kNext = 1 + kWindow;
  for (const uint32_t seq : {kNext - 1, kNext, kNext + 1}) {
    SCOPED_TRACE(seq);
    Trace t(Options());
    Open(t);
    FillWindow(t);
    t.Receives({.flags = kAck, .seq = seq, .ack = 2});
    if (seq == kNext) {
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.tcb()->flight(), 0u);
    } else {
      ExpectRefused(t, kNext);
    }
  }
}

// SEG-02
TEST_P(SegTest, EmptySegmentIsAcceptableInsideTheWindow) {
  for (const uint32_t seq : {0u, 1u, kWindow, kWindow + 1}) {
    SCOPED_TRACE(seq);
    Trace t(Options());
    Open(t);
    t.Receives({.flags = kAck, .seq = seq, .ack = 2});
    if (seq >= 1 && seq <= kWindow) {
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.tcb()->flight(), 0u);
    } else {
      ExpectRefused(t, 1);
    }
  }
}

// SEG-02 without window scaling: RCV.WND is what the field can say, not the receive buffer.
TEST_P(SegTest, WindowWithoutScalingEndsWhereItWasAdvertised) {
  for (const uint32_t beyond : {0u, 1u}) {
    SCOPED_TRACE(beyond);
    TraceOptions options;
    options.peer_isn = GetParam() - 1;
    Trace t(options);
    Open(t);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "!"});
    t.Advance(Duration::Milliseconds(100));
    ASSERT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2, .window = 65534}));
    t.Receives({.flags = kAck, .seq = 2 + 65533 + beyond, .ack = 2});
    if (beyond == 0) {
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.tcb()->flight(), 0u);
    } else {
      ExpectRefused(t, 2);
    }
  }
}

// SEG-03, SEG-05 (MUST-66): "special allowance should be made to accept valid ACKs".
TEST_P(SegTest, TextIntoClosedWindowIsRefusedButItsAckCounts) {
  Trace t(Options());
  Open(t);
  FillWindow(t);
  t.Receives({.flags = kAck, .seq = 1 + kWindow, .ack = 2, .data = "z"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1 + kWindow, .window = 0}));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.tcb()->flight(), 0u);
  t.app().reading = true;
  t.app().socket.Resume();
  t.Poll();
  EXPECT_EQ(t.app().received, Octets(kWindow));
}

// SEG-03: a FIN needs room as well.
TEST_P(SegTest, FinIntoClosedWindowIsNotTaken) {
  Trace t(Options());
  Open(t);
  FillWindow(t);
  t.Receives({.flags = kFin | kAck, .seq = 1 + kWindow, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1 + kWindow, .window = 0}));
  EXPECT_EQ(t.state(), State::kEstablished);
}

// SEG-04. RCV.NXT is 11 and the right edge 1001.
TEST_P(SegTest, TextIsAcceptableWhenItsFirstOrLastOctetIsInside) {
  struct Case {
    uint32_t seq, length;
    bool acceptable;
  };
  constexpr Case kCases[] = {{1, 10, false},  {1, 11, true},    {10, 1, false},   {11, 1, true},
                             {1000, 1, true}, {1000, 9, true},  {1001, 1, false}, {5, 996, true},
                             {5, 997, false}, {11, 1400, true}, {1001, 99, false}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message() << "seq " << c.seq << " length " << c.length);
    Trace t(Options());
    Open(t);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(10)});
    t.Advance(Duration::Milliseconds(100));
    ASSERT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 11, .window = 990}));
    t.Receives({.flags = kAck, .seq = c.seq, .ack = 2, .data = Octets(c.length, c.seq - 1)});
    if (c.acceptable) {
      EXPECT_EQ(t.tcb()->flight(), 0u);
      EXPECT_EQ(t.app().received, Octets(t.app().received.size()));
    } else {
      ExpectRefused(t, 11);
      EXPECT_EQ(t.app().received, Octets(10));
    }
  }
}

// SEG-05 (MUST-66)
TEST_P(SegTest, ResetCountsWhileTheWindowIsClosed) {
  Trace t(Options());
  Open(t);
  FillWindow(t);
  t.Receives({.flags = kRst, .seq = 1 + kWindow});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
  t.ExpectNothingHeld();
}

// SEG-06
TEST_P(SegTest, OnlyTheNewPartOfAnOverlapOnTheLeftIsDelivered) {
  Trace t(Options());
  Open(t);
  t.Receives({.flags = kAck, .seq = 1, .ack = 2, .data = "abcdefghij"});
  t.Receives({.flags = kAck, .seq = 4, .ack = 2, .data = "defghijKLM"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data abcdefghij", "data KLM"));
  t.Advance(Duration::Milliseconds(100));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 14}));
}

// SEG-07
TEST_P(SegTest, WhatLiesRightOfTheWindowIsCutAndTheFinWithIt) {
  Trace t(Options());
  Open(t);
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2, .data = Octets(kWindow + 10)});
  EXPECT_EQ(t.app().received, Octets(kWindow));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Milliseconds(100));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1 + kWindow}));
  t.Receives({.flags = kFin | kAck, .seq = 1 + kWindow, .ack = 2, .data = Octets(10, kWindow)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = kWindow + 12}));
  EXPECT_EQ(t.app().received, Octets(kWindow + 10));
  EXPECT_EQ(t.state(), State::kCloseWait);
}

// SEG-07: the FIN takes one place in the window.
TEST_P(SegTest, FinIsTakenWhenItIsTheLastOfTheWindowAndNotWhenItIsBehind) {
  for (const uint32_t length : {kWindow - 1, kWindow}) {
    SCOPED_TRACE(length);
    Trace t(Options());
    Open(t);
    t.app().reading = false;
    t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2, .data = Octets(length)});
    t.Advance(Duration::Milliseconds(100));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1 + kWindow}));
    EXPECT_EQ(t.state(), length < kWindow ? State::kCloseWait : State::kEstablished);
  }
}

// SEG-09 (SHLD-31)
TEST_P(SegTest, TextOutOfOrderIsHeldAndDeliveredOnceInOrder) {
  Trace t(Options());
  Open(t);
  t.app().log_data = false;
  t.Receives({.flags = kAck, .seq = 21, .ack = 2, .data = Octets(10, 20)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 11, .ack = 2, .data = Octets(15, 10)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1}));
  EXPECT_THAT(t.app().received, IsEmpty());
  t.Receives({.flags = kAck, .seq = 1, .ack = 2, .data = Octets(10)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 31}));
  EXPECT_EQ(t.app().received, Octets(30));
  t.Receives({.flags = kAck, .seq = 11, .ack = 2, .data = Octets(10, 10)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 31}));
  EXPECT_EQ(t.app().received, Octets(30));
}

// SEG-09: a FIN that comes before the text in front of it waits as well.
TEST_P(SegTest, FinOutOfOrderWaitsForTheTextBeforeIt) {
  Trace t(Options());
  Open(t);
  t.Receives({.flags = kFin | kAck, .seq = 4, .ack = 2, .data = "def"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1}));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 2, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 8}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("data abc", "data def", "fin"));
}

// SEG-10
TEST_P(SegTest, SegmentWithoutFlagsIsDroppedInEveryState) {
  for (const State state : kSynchronizedStates) {
    SCOPED_TRACE(ToString(state));
    Trace t(Options());
    const Trace::Place at = t.Reach(state);
    t.Receives({.flags = 0, .seq = at.rcv_nxt, .data = "null"});
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.FlowState(), state);
    EXPECT_THAT(t.TakeLog(), IsEmpty());
  }
}

// SEG-10
TEST_P(SegTest, SegmentWithoutFlagsIsDroppedByListenerAndInSynSent) {
  Trace listening(Options());
  listening.Listen();
  listening.Receives({.flags = 0, .seq = 0});
  EXPECT_TRUE(listening.SentNothing());
  EXPECT_EQ(listening.FlowState(), State::kClosed);

  Trace opening(Options());
  opening.Connect();
  opening.ForgetSent();
  opening.Receives({.flags = 0, .seq = 0});
  EXPECT_TRUE(opening.SentNothing());
  EXPECT_EQ(opening.state(), State::kSynSent);
}

}  // namespace
}  // namespace millrace::testing
