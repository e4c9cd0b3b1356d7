// The ACK field, the send window and the limiter of challenge ACKs (group ACK; RFC 9293 3.10.7.4,
// RFC 5961 sections 5 and 7).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kMaxWindow = 65'535;  // of the peer: MAX.SND.WND

// Sequence numbers of the engine in the middle of their space, and about to wrap.
class AckTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (GetParam() != 0) t_.AwaitIsnBelowWrap(GetParam());
  }
  Trace t_;
};
INSTANTIATE_TEST_SUITE_P(IsnBelowWrap, AckTest, ::testing::Values(0, 1, 2, 50, 40'000));

// ACK-01: "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
// segment, and return."
TEST_P(AckTest, AckOfWhatWasNotSentIsAnsweredAndItsTextDropped) {
  t_.AcceptFromPeer();
  t_.Send(Octets(100));
  t_.ForgetSent();
  for (const uint32_t ack : {102u, 1000u, 0x7FFF'FFFFu}) {
    SCOPED_TRACE(ack);
    t_.Receives({.flags = kAck | kFin, .seq = 1, .ack = ack, .data = "text"});
    EXPECT_THAT(t_.Sent(), IsSegment({.flags = kAck, .seq = 101, .ack = 1}));
    EXPECT_TRUE(t_.SentNothing());
    EXPECT_EQ(t_.tcb()->flight(), 100u);
    t_.Receives({.flags = kAck, .seq = 1, .ack = 1});
    t_.Advance(Duration::Milliseconds(150));
    t_.Advance(Duration::Milliseconds(450));
    t_.ForgetSent();  // retransmissions
  }
  EXPECT_EQ(t_.state(), State::kEstablished);
  EXPECT_THAT(t_.TakeLog(), IsEmpty());
  t_.Receives({.flags = kAck, .seq = 1, .ack = 101});
  EXPECT_EQ(t_.tcb()->flight(), 0u);
}

// ACK-02 (MAY-12): "((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT). All incoming segments whose
// ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
TEST_P(AckTest, AckOlderThanAnyWindowIsAnsweredAndItsTextDropped) {
  t_.AcceptFromPeer();
  for (const uint32_t ack : {1 - kMaxWindow - 1, 1 - 1'000'000u, 0x8000'0002u}) {
    SCOPED_TRACE(ack);
    t_.Receives({.flags = kAck, .seq = 1, .ack = ack, .data = "text"});
    EXPECT_THAT(t_.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_TRUE(t_.SentNothing());
    t_.Advance(Duration::Milliseconds(600));
  }
  EXPECT_THAT(t_.TakeLog(), IsEmpty());
}

// ACK-03: "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored", the text is not.
TEST_P(AckTest, TextWithOldAckIsTaken) {
  for (const uint32_t back : {1u, 100u, kMaxWindow}) {
    Trace t;
    if (GetParam() != 0) t.AwaitIsnBelowWrap(GetParam());
    t.AcceptFromPeer();
    t.Send(Octets(100));
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = 101});
    t.Receives({.flags = kAck, .seq = 1, .ack = 101 - back, .data = "text"});
    EXPECT_TRUE(t.SentNothing());
    EXPECT_THAT(t.TakeLog(), ElementsAre("data text"));
    EXPECT_EQ(t.tcb()->flight(), 0u);
  }
}

// ACK-04: "if the ACK bit is off, drop the segment and return".
TEST(Ack, SegmentWithoutAckIsDroppedInEverySynchronizedState) {
  for (const State state : kSynchronizedStates) {
    for (const int flags : {+kPsh, +kFin, +kUrg, kFin | kPsh | kUrg}) {
      SCOPED_TRACE(::testing::Message() << ToString(state) << " flags " << flags);
      Trace t;
      const Trace::Place at = t.Reach(state);
      t.Receives({.flags = flags, .seq = at.rcv_nxt, .data = "text"});
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.FlowState(), state);
      EXPECT_THAT(t.TakeLog(), IsEmpty());
    }
  }
}

// ACK-04 in SYN-RECEIVED: it does not complete the handshake.
TEST(Ack, SegmentWithoutAckDoesNotEstablish) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Receives({.flags = kPsh, .seq = 1, .data = "text"});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
}

// What the engine sends when it has more than enough: the window that it believes in.
uint32_t WindowInUse(Trace& t) {
  t.ForgetSent();
  t.Send(Octets(8000));
  uint32_t end = 0;
  for (const Seg& seg : t.AllSent()) {
    end = std::max(end, static_cast<uint32_t>(seg.seq + seg.data.size()));
  }
  return end - 1;
}

// ACK-05: "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <-
// SEG.WND ... The check here prevents using old segments to update the window."
TEST(Ack, OlderSegmentDoesNotChangeTheWindow) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.ReceivesBurst({{.flags = kAck, .seq = 11, .ack = 1, .data = Octets(10, 10), .window = 3000},
                   {.flags = kAck, .seq = 1, .ack = 1, .data = Octets(10), .window = 6000}});
  EXPECT_EQ(WindowInUse(t), 3000u);
}

// ACK-05
TEST(Ack, NewerSegmentChangesTheWindow) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.ReceivesBurst({{.flags = kAck, .seq = 1, .ack = 1, .data = Octets(10), .window = 3000},
                   {.flags = kAck, .seq = 11, .ack = 1, .data = Octets(10, 10), .window = 6000}});
  EXPECT_EQ(WindowInUse(t), 6000u);
}

// ACK-05: a window update has the numbers of the ACK before it.
TEST(Ack, SegmentWithTheSameNumbersChangesTheWindow) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 2000});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 5000});
  EXPECT_EQ(WindowInUse(t), 5000u);
}

// ACK-05: the same sequence number and an older ACK, which comes late.
TEST(Ack, OlderAckDoesNotChangeTheWindow) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(1000));
  t.Send(Octets(1000));
  t.ReceivesBurst({{.flags = kAck, .seq = 1, .ack = 2001, .window = 3000},
                   {.flags = kAck, .seq = 1, .ack = 1001, .window = 7000}});
  EXPECT_EQ(WindowInUse(t) - 2000, 3000u);
}

// ACK-06: at most two a second and connection.
TEST(Ack, FloodOfBadSegmentsGetsTwoChallengesPerSecond) {
  const Seg kBad[] = {{.flags = kRst, .seq = 100},
                      {.flags = kSyn, .seq = 1},
                      {.flags = kSyn, .seq = 0x8000'0000},
                      {.flags = kAck, .seq = 1, .ack = 5000},
                      {.flags = kAck, .seq = 1, .ack = 5000, .data = "blind"},
                      {.flags = kAck, .seq = 1, .ack = 0x8000'0010},
                      {.flags = kAck, .seq = 100'000, .ack = 1}};
  for (const Seg& bad : kBad) {
    SCOPED_TRACE(bad);
    Trace t;
    t.AcceptFromPeer();
    for (int i = 0; i < 1000; ++i) {
      t.Receives(bad);
      t.Advance(Duration::Milliseconds(1));
    }
    const size_t count = t.AllSent().size();
    EXPECT_GE(count, 1u);
    EXPECT_LE(count, 2u);
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// ACK-07 (CVE-2016-5696): what one connection uses up says nothing on another.
TEST(Ack, LimiterOfOneConnectionIsNotSeenOnAnother) {
  constexpr uint16_t kOtherPort = 41'000;
  Trace t;
  t.AcceptFromPeer();
  t.ForgetIsn();
  t.ReceivesFrom(Trace::kPeerAddress, kOtherPort, 80, {.flags = kSyn, .seq = 0});
  t.ReceivesFrom(Trace::kPeerAddress, kOtherPort, 80, {.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  t.ForgetSent();
  for (int i = 0; i < 1000; ++i) {
    t.ReceivesFrom(Trace::kPeerAddress, kOtherPort, 80, {.flags = kRst, .seq = 2});
  }
  EXPECT_EQ(t.AllSent().size(), 1u);
  t.Receives({.flags = kRst, .seq = 2});
  EXPECT_EQ(t.AllSent().size(), 1u);
}

// ACK-08: RFC 5961 7: the other end takes our ACKs for bad ones as well, and answers each.
TEST(Ack, PeerThatAnswersEveryAckWithABadOneGetsNoEndlessLoop) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 7000});
  int rounds = 0;
  for (int i = 0; i < 2000; ++i) {
    for (size_t n = t.AllSent().size(); n > 0; --n, ++rounds) {
      t.Receives({.flags = kAck, .seq = 90'000, .ack = 7000});
    }
    t.Advance(Duration::Microseconds(500));
  }
  EXPECT_GE(rounds, 1);
  EXPECT_LE(rounds, 2);
}

// ACK-09: "If the segment acknowledgment is not acceptable, form a reset segment
// <SEQ=SEG.ACK><CTL=RST> and send it", the entry stays.
TEST(Ack, BadAckInSynReceivedIsAnsweredWithResetAndTheEntryStays) {
  for (const uint32_t ack : {0u, 2u, 0x8000'0000u}) {
    SCOPED_TRACE(ack);
    Trace t;
    t.Listen();
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = ack});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = ack}));
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// ACK-09 after a simultaneous open.
TEST(Ack, BadAckInSimultaneousOpenIsAnsweredWithReset) {
  for (const uint32_t ack : {0u, 2u}) {
    SCOPED_TRACE(ack);
    Trace t;
    t.Connect();
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = ack});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = ack}));
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}

// FLW-14: how far an ACK may stretch. Segments of one poll are acknowledged together, and a poll
// takes 32 frames (ARCHITECTURE.md, "Life of a packet"): so one ACK for at most 32 segments.
TEST(Ack, OfABurstStretchesOverThirtyTwoSegmentsAtMost) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  constexpr uint32_t kSegments = 60, kOctets = 1000;  // inside the first window
  std::vector<Seg> burst;
  for (uint32_t i = 0; i < kSegments; ++i) {
    burst.push_back({.flags = kAck, .seq = 1 + i * kOctets, .ack = 1, .data = Octets(kOctets)});
  }
  t.ReceivesBurst(burst);
  uint32_t acked = 1;
  for (const Seg& ack : t.AllSent()) {
    EXPECT_LE(ack.ack - acked, 32 * kOctets);
    acked = ack.ack;
  }
  EXPECT_EQ(acked, 1 + kSegments * kOctets);
}

// ACK-01, TS-04: whoever guesses a sequence number but no acknowledgment must not move TS.Recent,
// or PAWS would refuse the peer from then on.
TEST(Ack, SegmentThatAcknowledgesTheUnsentDoesNotMoveTheTimestamp) {
  Trace t;
  t.AcceptFromPeer({.tsval = 100, .tsecr = 0});
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 9999, .tsval = 200'000, .tsecr = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .tsecr = 100}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "next", .tsval = 101, .tsecr = 0});
  EXPECT_EQ(t.app().received, "next");
  EXPECT_EQ(t.counters().paws_estab, 0u);
}

}  // namespace
}  // namespace millrace::testing
