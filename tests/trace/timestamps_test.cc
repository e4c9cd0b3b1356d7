// Timestamps, PAWS and window scaling (RFC 7323; group TS).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

constexpr uint32_t kPeerStart = 1000;

// A segment of data with a timestamp that echoes nothing in particular.
Seg Stamped(uint32_t tsval, uint32_t seq, const std::string& data, uint32_t ack = 1) {
  return {.flags = kAck, .seq = seq, .ack = ack, .data = data, .tsval = tsval, .tsecr = 0};
}

void AcceptStamped(Trace& t, uint32_t tsval = kPeerStart) {
  t.AcceptFromPeer({.mss = 1460, .tsval = tsval, .tsecr = 0});
}

// TS-01
TEST(Timestamps, SynAckEchoesTheTimestampOfTheSyn) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460, .tsval = 77, .tsecr = 0});
  const auto syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1, .tsecr = 77}));
  EXPECT_TRUE(syn_ack->tsval.has_value());
}

// TS-01: "When the ACK bit is not set ... the TSecr field ... MUST be set to zero by the sender".
TEST(Timestamps, SynOffersTimestampsAndEchoesZero) {
  Trace t;
  t.Connect();
  const auto syn = t.Sent();
  EXPECT_THAT(syn, IsSegment({.flags = kSyn, .seq = 0, .tsecr = 0}));
  ASSERT_TRUE(syn->tsval.has_value());
  t.Receives({.flags = kSyn | kAck, .ack = 1, .mss = 1460, .tsval = 500, .tsecr = syn->tsval});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .tsecr = 500}));
}

// TS-01, MUST-16: twelve octets of options come off the MSS.
TEST(Timestamps, OptionSpaceIsTakenFromTheSegmentSize) {
  Trace t;
  AcceptStamped(t);
  t.Send(Octets(2000));
  EXPECT_EQ(t.Sent()->data.size(), 1448u);
}

// TS-02
TEST(Timestamps, NeverSentWhenThePeerOfferedNone) {
  for (bool active : {false, true}) {
    SCOPED_TRACE(active ? "active" : "passive");
    Trace t;
    active ? t.ConnectToPeer({.mss = 1460}) : t.AcceptFromPeer({.mss = 1460});
    t.Send("data");
    t.Receives({.flags = kAck, .seq = 1, .ack = 5, .data = "data"});
    t.Advance(Duration::Milliseconds(50));
    t.Close();
    t.Advance(Duration::Seconds(2));
    const std::vector<Seg> sent = t.AllSent();
    EXPECT_GE(sent.size(), 4u);
    for (const Seg& seg : sent) EXPECT_FALSE(seg.tsval.has_value()) << seg;
  }
}

// TS-02: the SYN-ACK of a peer without the option gets none either.
TEST(Timestamps, SynAckCarriesNoneWhenTheSynHadNone) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1460});
  EXPECT_FALSE(t.Sent()->tsval.has_value());
}

// TS-03: data, retransmission, pure ACK, challenge ACK, zero-window probe, FIN, ACK of TIME-WAIT.
TEST(Timestamps, OnEverySegmentThatIsNoReset) {
  Trace t;
  AcceptStamped(t);
  std::vector<Seg> sent;
  const auto collect = [&](size_t at_least) {
    const std::vector<Seg> now = t.AllSent();
    EXPECT_GE(now.size(), at_least);
    sent.insert(sent.end(), now.begin(), now.end());
  };
  t.Send("data");
  t.Advance(Duration::Milliseconds(250));
  collect(2);  // and its retransmission
  t.Receives(Stamped(kPeerStart + 1, 1, "abc", 5));
  t.Advance(Duration::Milliseconds(50));
  collect(1);
  Seg closed = Stamped(kPeerStart + 1, 4, "", 5);
  closed.window = 0;
  t.Receives(closed);
  t.Send("probe me");
  t.Advance(Duration::Seconds(2));
  collect(1);
  t.Receives({.flags = kSyn, .seq = 4, .tsval = kPeerStart + 1, .tsecr = 0});
  collect(1);
  t.Receives(Stamped(kPeerStart + 2, 4, "", 5));
  t.Close();
  collect(1);
  Seg fin = Stamped(kPeerStart + 2, 4, "", 14);
  fin.flags |= kFin;
  t.Receives(fin);
  collect(1);
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.Advance(Duration::Seconds(1));
  t.Receives(fin);
  collect(1);
  for (const Seg& seg : sent) EXPECT_TRUE(seg.tsval.has_value()) << seg;
  // The clock runs forward and the echo is the last valid one.
  for (size_t i = 1; i < sent.size(); ++i) {
    EXPECT_GE(static_cast<int32_t>(*sent[i].tsval - *sent[i - 1].tsval), 0) << sent[i];
  }
  EXPECT_EQ(sent.back().tsecr, kPeerStart + 2);
}

// TS-04, RFC 7323 5.3 R1, and SEG-08.
TEST(Timestamps, OldTimestampIsAcknowledgedAndDropped) {
  for (uint32_t peer_isn : {1'000'000u, 0xFFFF'FFFDu}) {
    SCOPED_TRACE(peer_isn);
    TraceOptions options;
    options.peer_isn = peer_isn;
    Trace t(options);
    AcceptStamped(t);
    t.Receives(Stamped(kPeerStart - 1, 1, "old"));
    EXPECT_THAT(t.AllSent(),
                ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 1, .tsecr = kPeerStart})));
    EXPECT_EQ(t.app().received, "");
    EXPECT_EQ(t.counters().paws_estab, 1u);
    t.Receives(Stamped(kPeerStart, 1, "new"));  // equal is not old
    EXPECT_EQ(t.app().received, "new");
  }
}

// TS-04: "the RST segment MUST NOT be subjected to the PAWS check".
TEST(Timestamps, ResetIsNotSubjectToPaws) {
  Trace t;
  AcceptStamped(t);
  t.Receives({.flags = kRst, .seq = 1, .tsval = kPeerStart - 1000, .tsecr = 0});
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// TS-05, RFC 7323 4.3 (A): with delayed ACKs the echo is that of the earliest segment.
TEST(Timestamps, DelayedAckEchoesTheEarliestSegment) {
  Trace t;
  AcceptStamped(t);
  t.Receives(Stamped(kPeerStart + 1, 1, "abc"));
  t.Receives(Stamped(kPeerStart + 2, 4, "def"));
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(45));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 7, .tsecr = kPeerStart + 1}));
  // Last.ACK.sent is 7 now: the next segment moves TS.Recent.
  t.Receives(Stamped(kPeerStart + 3, 7, "ghi"));
  t.Advance(Duration::Milliseconds(45));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 10, .tsecr = kPeerStart + 3}));
}

// TS-06, RFC 7323 4.3 (B) and (C).
TEST(Timestamps, SegmentOutOfOrderDoesNotMoveTheEcho) {
  Trace t;
  AcceptStamped(t);
  t.Receives(Stamped(kPeerStart + 3, 4, "def"));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .tsecr = kPeerStart}));
  t.Receives(Stamped(kPeerStart + 2, 1, "abc"));  // fills the hole, sent earlier
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 7, .tsecr = kPeerStart + 2}));
}

// TS-07
TEST(Timestamps, TimestampsWrap) {
  Trace t;
  AcceptStamped(t, 0xFFFF'FFFE);
  t.Receives(Stamped(2, 1, "abc"));
  EXPECT_EQ(t.app().received, "abc");
  t.Advance(Duration::Milliseconds(45));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 4, .tsecr = 2}));
  t.Receives(Stamped(0xFFFF'FFFF, 4, "old"));
  EXPECT_EQ(t.app().received, "abc");
  EXPECT_EQ(t.counters().paws_estab, 1u);
}

// TS-08, RFC 7323 5.5.
TEST(Timestamps, AfterTwentyFourIdleDaysAnyTimestampIsTaken) {
  constexpr int64_t kDay = 24 * 3600;
  for (int days : {23, 25, 40}) {
    SCOPED_TRACE(days);
    Trace t;
    AcceptStamped(t);
    for (int day = 0; day < days; ++day) t.Advance(Duration::Seconds(kDay));
    t.Receives(Stamped(kPeerStart - 500, 1, "abc"));
    if (days < 24) {
      EXPECT_EQ(t.app().received, "");
      continue;
    }
    EXPECT_EQ(t.app().received, "abc");
    t.Advance(Duration::Milliseconds(45));
    EXPECT_THAT(t.Sent(),
                IsSegment({.flags = kAck, .seq = 1, .ack = 4, .tsecr = kPeerStart - 500}));
  }
}

// TS-09
TEST(Timestamps, EchoOfWhatWasNeverSentGivesNoRoundTripTime) {
  Trace t;
  AcceptStamped(t);
  t.Send("data");
  const uint32_t tsval = *t.Sent()->tsval;
  t.Advance(Duration::Milliseconds(300));  // retransmitted: only an echo can be timed now
  const uint32_t before = t.tcb()->rtt.srtt_us();
  Seg ack = Stamped(kPeerStart, 1, "", 3);
  ack.tsecr = tsval + 100'000;  // of the future
  t.Receives(ack);
  EXPECT_EQ(t.tcb()->rtt.srtt_us(), before);
  ack.ack = 4;
  ack.tsecr = tsval - 10'000'000;  // hours before the connection
  t.Receives(ack);
  EXPECT_EQ(t.tcb()->rtt.srtt_us(), before);
  EXPECT_EQ(t.state(), State::kEstablished);
}

// TS-09, RFC 7323 4.1: "only ... if the segment advances the left edge of the send window".
TEST(Timestamps, EchoCountsOnlyWhenDataIsAcknowledged) {
  Trace t;
  AcceptStamped(t);
  t.Send("data");
  const uint32_t tsval = *t.Sent()->tsval;
  t.Advance(Duration::Milliseconds(300));
  const uint32_t before = t.tcb()->rtt.srtt_us();
  Seg ack = Stamped(kPeerStart, 1, "", 1);
  ack.tsecr = tsval;
  t.Receives(ack);
  EXPECT_EQ(t.tcb()->rtt.srtt_us(), before);
  ack.ack = 5;
  t.Receives(ack);
  EXPECT_GT(t.tcb()->rtt.srtt_us(), before);
}

// TS-10
TEST(Timestamps, TimestampZeroIsATimestamp) {
  Trace t;
  AcceptStamped(t, 0);
  t.Receives(Stamped(0, 1, "abc"));
  EXPECT_EQ(t.app().received, "abc");
  t.Advance(Duration::Milliseconds(45));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 4, .tsecr = 0}));
  t.Receives(Stamped(0xFFFF'FFF0, 4, "old"));
  EXPECT_EQ(t.app().received, "abc");
}

// TS-11, RFC 7323 3.2: dropped silently, "MUST NOT abort".
TEST(Timestamps, SegmentWithoutTheOptionIsDroppedSilently) {
  Trace t;
  AcceptStamped(t);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abc"});
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  t.Advance(Duration::Milliseconds(100));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.app().received, "");
  EXPECT_EQ(t.counters().timestamp_missing, 2u);
  t.Receives(Stamped(kPeerStart, 1, "abc"));
  EXPECT_EQ(t.app().received, "abc");
}

// TS-11 and RFC 5961 4.2: a SYN is challenged "irrespective of the sequence number", or a peer
// that restarted without timestamps would never learn that we hold an old connection.
TEST(Timestamps, SynWithoutTheOptionIsStillChallenged) {
  Trace t;
  AcceptStamped(t);
  t.Receives({.flags = kSyn, .seq = 70'000, .mss = 1460});
  EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 1})));
  EXPECT_EQ(t.state(), State::kEstablished);
}

// TS-12: RFC 7323 2.3, "If a Window Scale option is received with a shift.cnt value larger than
// 14, the TCP SHOULD log the error but MUST use 14".
TEST(WindowScale, ShiftsAboveFourteenAreTakenAsFourteen) {
  for (int shift : {0, 1, 13, 14, 15, 16, 128, 255}) {
    SCOPED_TRACE(shift);
    Trace t;
    t.AcceptFromPeer({.mss = 1460, .window_scale = static_cast<uint8_t>(shift)});
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 3});
    EXPECT_EQ(t.tcb()->snd_wnd, 3u << std::min(shift, 14));
  }
}

// TS-13
TEST(WindowScale, OneSidedOfferIsNone) {
  for (bool active : {false, true}) {
    SCOPED_TRACE(active ? "active" : "passive");
    Trace t;
    active ? t.ConnectToPeer({.mss = 1460}) : t.AcceptFromPeer({.mss = 1460});
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "x", .window = 500});
    EXPECT_EQ(t.tcb()->snd_wnd, 500u);
    t.Advance(Duration::Milliseconds(50));
    const auto sent = t.Sent();
    ASSERT_TRUE(sent.has_value());
    EXPECT_GT(*sent->window, 60'000);  // 256 KiB do not fit the field; scaled it would be 32768
  }
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1460});
  EXPECT_EQ(t.Sent()->window_scale, std::nullopt);
}

// TS-14, RFC 7323 2.2: the window "in a segment where the SYN bit is set MUST NOT be scaled".
TEST(WindowScale, OurSynAndSynAckAreUnscaledAndTheRestIsScaled) {
  Trace passive;
  passive.Listen();
  passive.Receives({.flags = kSyn, .mss = 1460, .window_scale = 7});
  EXPECT_THAT(passive.Sent(), IsSegment({.flags = kSyn | kAck, .ack = 1, .window = 65535}));
  Trace active;
  active.Connect();
  EXPECT_THAT(active.Sent(), IsSegment({.flags = kSyn, .window = 65535}));
  active.Receives({.flags = kSyn | kAck, .ack = 1, .mss = 1460, .window_scale = 7});
  EXPECT_THAT(active.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .window = 32768}));
}

// TS-14: the peer's, in all three ways of opening.
TEST(WindowScale, WindowOfThePeersSynIsUnscaled) {
  Trace active;
  active.ConnectToPeer({.window = 100, .mss = 1460, .window_scale = 7});
  EXPECT_EQ(active.tcb()->snd_wnd, 100u);
  active.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 100});
  EXPECT_EQ(active.tcb()->snd_wnd, 12800u);

  Trace both;
  both.Connect();
  both.Receives({.flags = kSyn, .seq = 0, .window = 100, .mss = 1460, .window_scale = 7});
  both.Receives({.flags = kSyn | kAck, .ack = 1, .window = 100, .mss = 1460, .window_scale = 7});
  ASSERT_EQ(both.state(), State::kEstablished);
  EXPECT_EQ(both.tcb()->snd_wnd, 100u);

  Trace passive;  // the ACK of a passive open is scaled
  passive.Listen();
  passive.Receives({.flags = kSyn, .window = 100, .mss = 1460, .window_scale = 7});
  passive.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 100});
  EXPECT_EQ(passive.tcb()->snd_wnd, 12800u);
}

}  // namespace
}  // namespace millrace::testing
