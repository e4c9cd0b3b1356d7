// Resets received and made (group RST; RFC 9293 3.5.2, 3.5.3, 3.10.7, RFC 5961 section 3).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kIsns[] = {1'000'000, 0xFFFF'FFEF, 0xFFFF'FFFF, 0x7FFF'FFF0};

TraceOptions WithIsn(uint32_t isn) {
  TraceOptions options;
  options.peer_isn = isn;
  return options;
}

// RST-01: RFC 5961 3.2: "If the RST bit is set and the sequence number exactly matches the next
// expected sequence number (RCV.NXT), then TCP endpoints MUST reset the connection".
TEST(Rst, ExactSequenceNumberResetsInEverySynchronizedState) {
  for (const State state : kSynchronizedStates) {
    for (const uint32_t isn : kIsns) {
      SCOPED_TRACE(::testing::Message() << ToString(state) << " ISN " << isn);
      Trace t(WithIsn(isn));
      const Trace::Place at = t.Reach(state);
      t.Receives({.flags = kRst, .seq = at.rcv_nxt});
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.FlowState(), State::kClosed);
      EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
      t.ExpectNothingHeld();
    }
  }
}

// RST-01: SYN-RECEIVED of an active open (simultaneous): "the connection was refused".
TEST(Rst, ExactSequenceNumberRefusesSimultaneousOpen) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  t.ForgetSent();
  t.Receives({.flags = kRst | kAck, .seq = 1, .ack = 1});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close refused"));
  t.ExpectNothingHeld();
}

// RST-02: "If the RST bit is set and the sequence number does not exactly match the next expected
// sequence value, yet is within the current receive window, TCP endpoints MUST send an
// acknowledgment (challenge ACK): <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>".
TEST(Rst, InsideTheWindowIsChallengedOnceAndChangesNothing) {
  for (const State state : kSynchronizedStates) {
    for (const uint32_t isn : kIsns) {
      for (const uint32_t offset : {1u, 1000u, 65'000u}) {
        SCOPED_TRACE(::testing::Message()
                     << ToString(state) << " ISN " << isn << " offset " << offset);
        Trace t(WithIsn(isn));
        const Trace::Place at = t.Reach(state);
        t.Receives({.flags = kRst, .seq = at.rcv_nxt + offset});
        EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = at.snd_nxt, .ack = at.rcv_nxt}));
        t.Receives({.flags = kRst, .seq = at.rcv_nxt + offset});
        EXPECT_TRUE(t.SentNothing());
        EXPECT_EQ(t.FlowState(), state);
        EXPECT_THAT(t.TakeLog(), IsEmpty());
      }
    }
  }
}

// RST-03: "If the RST bit is set and the sequence number is outside the current receive window,
// silently drop the segment."
TEST(Rst, OutsideTheWindowIsDroppedSilently) {
  for (const State state : kSynchronizedStates) {
    for (const uint32_t isn : kIsns) {
      for (const uint32_t offset : {0u - 1, 0u - 70'000, 65'536u, 300'000u, 0x8000'0000u}) {
        SCOPED_TRACE(::testing::Message()
                     << ToString(state) << " ISN " << isn << " offset " << offset);
        Trace t(WithIsn(isn));
        const Trace::Place at = t.Reach(state);
        t.Receives({.flags = kRst, .seq = at.rcv_nxt + offset});
        EXPECT_TRUE(t.SentNothing());
        EXPECT_EQ(t.FlowState(), state);
      }
    }
  }
}

// RST-03, RST-09: the sequence number counts, not the text behind it, which reaches into the
// window here.
TEST(Rst, TextThatReachesIntoTheWindowDoesNotHelpAnOldReset) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kRst, .seq = 0, .data = "0123456789"});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
}

// RST-04
TEST(Rst, ListenerIgnoresReset) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kRst, .seq = 0});
  t.Receives({.flags = kRst | kAck, .seq = 0, .ack = 1});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// RST-05, RST-06: "If the RST bit is set ... If the ACK was acceptable, then signal to the user".
TEST(Rst, SynSentBelievesNoResetWithoutAcceptableAck) {
  const Seg kResets[] = {{.flags = kRst, .seq = 0},
                         {.flags = kRst, .seq = 1},
                         {.flags = kRst | kAck, .seq = 0, .ack = 0},
                         {.flags = kRst | kAck, .seq = 0, .ack = 2},
                         {.flags = kRst | kAck, .seq = 0, .ack = 0x8000'0001}};
  Trace t;
  t.Connect();
  t.ForgetSent();
  for (const Seg& reset : kResets) {
    t.Receives(reset);
    EXPECT_TRUE(t.SentNothing()) << reset;
    EXPECT_EQ(t.state(), State::kSynSent) << reset;
  }
  EXPECT_THAT(t.TakeLog(), IsEmpty());
}

// RST-07
TEST(Rst, SynSentIsRefusedByResetThatAcknowledgesTheSyn) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.Receives({.flags = kRst | kAck, .seq = 0, .ack = 1});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close refused"));
  t.ExpectNothingHeld();
}

// RST-08: "return this connection to LISTEN state and return. The user need not be informed."
TEST(Rst, PassiveSynReceivedReturnsToListenAndFreesItsBacklogSlot) {
  TraceOptions options;
  options.config.tcp.syn_cookies = tcp::SynCookies::kNever;
  Trace t(options);
  t.Listen(1);
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.ReceivesFrom(Trace::kPeerAddress, 40'001, 80, {.flags = kSyn, .seq = 0});
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kRst, .seq = 1});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.ExpectNothingHeld();
  t.ForgetIsn();
  t.ReceivesFrom(Trace::kPeerAddress, 40'001, 80, {.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
}

// RST-02, RST-03 in SYN-RECEIVED of a passive open.
TEST(Rst, PassiveSynReceivedSurvivesInexactReset) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(600));
  t.Receives({.flags = kRst, .seq = 0});
  t.Receives({.flags = kRst, .seq = 1 + 65'535});
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kRst, .seq = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  t.Receives({.flags = kRst, .seq = 65'535});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kEstablished);
}

// RST-09 (SHLD-2): "TCP implementations SHOULD allow a received RST segment to include data".
TEST(Rst, ResetMayCarryTextWhichIsNotDelivered) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kRst | kAck, .seq = 1, .ack = 1, .data = "out of memory"});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
  t.ExpectNothingHeld();
}

// RST-10: RFC 7323 5.2: "RST segments MUST NOT be subjected to the PAWS check".
TEST(Rst, StaleOrMissingTimestampDoesNotMatter) {
  for (const bool with_option : {false, true}) {
    for (const uint32_t seq : {1u, 2u}) {
      SCOPED_TRACE(::testing::Message() << "TSopt " << with_option << " seq " << seq);
      Trace t;
      t.AcceptFromPeer({.tsval = 1000, .tsecr = 0});
      Seg reset{.flags = kRst, .seq = seq};
      if (with_option) reset.tsval = 1, reset.tsecr = 0;
      t.Receives(reset);
      if (seq == 1) {
        EXPECT_TRUE(t.SentNothing());
        EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
      } else {
        EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
        EXPECT_EQ(t.state(), State::kEstablished);
      }
    }
  }
}

// RST-11: whatever the state and the numbers, a RST is not answered with a RST.
TEST(Rst, IsNeverAnsweredWithReset) {
  std::vector<std::unique_ptr<Trace>> traces;
  traces.push_back(std::make_unique<Trace>());  // CLOSED
  traces.push_back(std::make_unique<Trace>());
  traces.back()->Listen();
  traces.push_back(std::make_unique<Trace>());
  traces.back()->Connect();
  traces.push_back(std::make_unique<Trace>());
  traces.back()->Listen();
  traces.back()->Receives({.flags = kSyn, .seq = 0});
  for (const State state : kSynchronizedStates) {
    traces.push_back(std::make_unique<Trace>());
    traces.back()->Reach(state);
  }
  traces.push_back(std::make_unique<Trace>());
  traces.back()->Reach(State::kTimeWait);
  for (const auto& t : traces) {
    t->ForgetSent();
    // Numbers that end the connection come last.
    for (const uint32_t seq : {70'000u, 100u, 0u, 3u, 2u, 1u}) {
      for (const uint32_t ack : {0u, 100u, 3u, 2u, 1u}) {
        t->Receives({.flags = kRst, .seq = seq});
        t->Receives({.flags = kRst | kAck, .seq = seq, .ack = ack, .data = "text"});
        t->Receives({.flags = kRst | kSyn | kFin, .seq = seq});
      }
    }
    for (const Seg& sent : t->AllSent()) EXPECT_EQ(sent.flags & kRst, 0) << sent;
  }
}

// RST-12: RFC 9293 3.10.7.1: "If the ACK bit is off, sequence number zero is used:
// <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. If the ACK bit is on: <SEQ=SEG.ACK><CTL=RST>".
TEST(Rst, ClosedPortAnswersInTheTwoFormats) {
  Trace t;  // nothing sent yet: `seq` of the engine is absolute
  t.Receives({.flags = kSyn, .seq = 0, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 0, .ack = 4}));
  t.Receives({.flags = kFin, .seq = 7, .data = "abc"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 0, .ack = 11}));
  t.Receives({.flags = kAck, .seq = 7, .ack = 0xFFFF'FFF0, .data = "abc"});
  const std::optional<Seg> reset = t.Sent();
  EXPECT_THAT(reset, IsSegment({.flags = kRst, .seq = 0xFFFF'FFF0}));
  EXPECT_EQ(reset->data, "");
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 5});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 5}));
  EXPECT_TRUE(t.SentNothing());
}

// RST-12: and the listener, and SYN-SENT, to an ACK that cannot be.
TEST(Rst, ListenerAndSynSentAnswerBadAcksWithItsNumber) {
  Trace listening;
  listening.Listen();
  listening.Receives({.flags = kAck, .seq = 7, .ack = 77});
  EXPECT_THAT(listening.Sent(), IsSegment({.flags = kRst, .seq = 77}));
  for (const uint32_t ack : {0u, 2u, 0xFFFF'FFFFu}) {
    Trace opening;
    opening.Connect();
    opening.ForgetSent();
    opening.Receives({.flags = kSyn | kAck, .seq = 0, .ack = ack});
    EXPECT_THAT(opening.Sent(), IsSegment({.flags = kRst, .seq = ack}));
    EXPECT_EQ(opening.state(), State::kSynSent);
    opening.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
    EXPECT_EQ(opening.state(), State::kEstablished);
  }
}

}  // namespace
}  // namespace millrace::testing
