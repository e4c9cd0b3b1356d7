// Reductions that turn out to be wrong, and peers without SACK: F-RTO, Eifel, limited transmit,
// NewReno's timer (RFC 5682, 3522, 4015, 3042, 6582; group LR).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "testing/loss.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// LR-21, RFC 5682 section 3: the time-out was spurious: a segment that was not repeated arrives.
TEST(Frto, SpuriousTimeoutIsUndone) {
  Trace t;
  SendSegments(t, 8);
  t.Advance(Duration::Milliseconds(400));
  ASSERT_EQ(t.counters().timeouts, 1u);
  ASSERT_EQ(t.tcb()->congestion.cwnd, kMss);
  const uint64_t before = t.counters().retrans_segs;
  t.Receives(Ack(At(2)));
  EXPECT_EQ(t.counters().spurious_timeouts, 1u);
  EXPECT_GE(t.tcb()->congestion.cwnd, 6 * kMss);
  EXPECT_FALSE(t.tcb()->Has(tcp::kTimeoutRecovery));
  t.Receives(Ack(At(8)));
  EXPECT_EQ(t.counters().retrans_segs, before) << "nothing more is repeated";
}

TEST(Frto, GenuineTimeoutIsNotUndone) {
  Trace t;
  SendSegments(t, 8);
  t.Advance(Duration::Milliseconds(400));
  ASSERT_EQ(t.counters().timeouts, 1u);
  t.ForgetSent();
  t.Receives(Ack(At(1)));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(1), At(2)));
  EXPECT_EQ(t.counters().spurious_timeouts, 0u);
  EXPECT_TRUE(t.tcb()->Has(tcp::kTimeoutRecovery));
}

// RFC 5682 2.1, a peer without SACK: two new segments tell.
TEST(Frto, WorksWithoutSack) {
  for (const bool spurious : {true, false}) {
    SCOPED_TRACE(spurious);
    Trace t;
    t.AcceptFromPeer({.mss = kMss});
    t.Send(Octets(14 * kMss));
    ASSERT_THAT(t.AllSent(), SizeIs(10));
    t.Advance(Duration::Milliseconds(250));
    ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0)));
    t.Receives(Ack(At(1)));
    EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(10), At(11))) << "step 2b: new ones";
    t.Receives(Ack(spurious ? At(2) : At(1)));
    EXPECT_EQ(t.counters().spurious_timeouts, spurious ? 1u : 0u);
    if (!spurious) {
      EXPECT_EQ(t.AllSent().front().seq, At(1)) << "step 3a";
    }
  }
}

// LR-22, RFC 3522 and 4015: the echo is older than the retransmission.
TEST(Eifel, OlderEchoUndoesTheReduction) {
  for (const bool congested : {false, true}) {
    SCOPED_TRACE(congested);
    TraceOptions options;
    options.config.tcp.ecn = tcp::Ecn::kPassive;
    Trace t(options);
    t.Listen();
    t.Receives(
        {.flags = kSyn | kEce | kCwr, .mss = kMss, .sack_permitted = true, .tsval = 1, .tsecr = 0});
    const uint32_t ts = *t.Sent()->tsval;
    t.Advance(kRtt);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .tsval = 2, .tsecr = ts});
    t.Send(Octets(9 * (kMss - 12)));
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_THAT(sent, SizeIs(9));
    t.Advance(kRtt);
    const uint32_t mss = kMss - 12;
    t.Receives({.flags = kAck,
                .seq = 1,
                .ack = 1,
                .tsval = 3,
                .tsecr = *sent[0].tsval,
                .sack = {{1 + mss, 1 + 5 * mss}}});
    ASSERT_EQ(t.counters().fast_retrans, 1u);
    ASSERT_THAT(t.AllSent(), SizeIs(1));
    t.Advance(Duration::Milliseconds(2));
    t.Receives({.flags = congested ? kAck | kEce : int{kAck},
                .seq = 1,
                .ack = 1 + 5 * mss,
                .tsval = 4,
                .tsecr = *sent[0].tsval});
    EXPECT_EQ(t.counters().spurious_recoveries, congested ? 0u : 1u) << "no restore if ECE";
    EXPECT_EQ(t.tcb()->Has(tcp::kFastRecovery), congested);
  }
}

// Established with a round trip of kRtt and a peer with SACK and timestamps.
void OpenWithTimestamps(Trace& t) {
  t.Listen();
  t.Receives({.flags = kSyn, .mss = kMss, .sack_permitted = true, .tsval = 1, .tsecr = 0});
  const uint32_t ts = *t.Sent()->tsval;
  t.Advance(kRtt);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .tsval = 2, .tsecr = ts});
}

// RFC 3522 compares the echo with the first retransmission there was. A segment that is sent again
// in a second recovery may be acknowledged by the copy of the first one, though its original was
// lost.
TEST(Eifel, EchoOfAnEarlierCopyUndoesNothing) {
  Trace t;
  OpenWithTimestamps(t);
  constexpr uint32_t kText = kMss - 12;  // beside timestamps
  const auto at = [](uint32_t n) { return 1 + n * kText; };
  const auto ack = [&](uint32_t n, uint32_t tsecr, std::vector<SackRange> sack) {
    t.Receives({.flags = kAck, .seq = 1, .ack = at(n), .tsval = 3, .tsecr = tsecr, .sack = sack});
  };
  t.Send(Octets(9 * kText));
  const uint32_t first = *t.AllSent().front().tsval;
  t.Advance(kRtt);
  ack(0, first, {{at(2), at(6)}});
  const std::vector<Seg> copies = t.AllSent();
  ASSERT_THAT(SeqsOf(copies), ElementsAre(at(0), at(1)));
  t.Advance(Duration::Milliseconds(2));
  ack(1, first, {{at(2), at(6)}});
  ASSERT_EQ(t.counters().spurious_recoveries, 1u) << "the head was only late";
  t.Send(Octets(2 * kText, 9 * kText));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(at(9), at(10)));
  t.Advance(kRtt);
  // Later ones have arrived, so the second's copy counts as lost like the original, a quarter of a
  // round trip later.
  ack(1, first, {{at(2), at(11)}});
  t.Advance(kRtt / 4);
  ASSERT_EQ(t.counters().fast_retrans, 2u);
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(at(1)));
  const uint32_t reduced = t.tcb()->congestion.ssthresh;
  t.Advance(Duration::Milliseconds(2));
  ack(11, *copies[1].tsval, {});
  EXPECT_EQ(t.counters().spurious_recoveries, 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, reduced);
}

// RFC 5681 3.1: a segment behind the one that timed out first has not been resent by the timer yet.
TEST(Timeout, OfTheNextSegmentReducesTheThresholdAgain) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.Advance(Duration::Milliseconds(300));
  ASSERT_EQ(t.counters().timeouts, 1u);
  ASSERT_EQ(t.tcb()->congestion.ssthresh, 5 * kMss);
  t.Receives(Ack(At(1)));
  ASSERT_TRUE(t.tcb()->Has(tcp::kTimeoutRecovery));
  t.Advance(Duration::Seconds(3));
  ASSERT_GE(t.counters().timeouts, 2u);
  EXPECT_LT(t.tcb()->congestion.ssthresh, 5 * kMss);
}

// Every ACK was lost for seconds; the answer to the retransmission echoes a timestamp of before.
// That silence is no round-trip time.
TEST(Eifel, EchoInTheAnswerToADuplicateIsNotARoundTrip) {
  Trace t;
  OpenWithTimestamps(t);
  t.Send(Octets(500));
  const uint32_t first = *t.Sent()->tsval;
  t.Advance(Duration::Seconds(3));
  ASSERT_GE(t.counters().timeouts, 3u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 501, .tsval = 3, .tsecr = first, .sack = {{1, 501}}});
  EXPECT_LT(t.tcb()->rtt.srtt_us(), 100'000u);
}

// RFC 3708: all that was repeated comes back as D-SACK.
TEST(Eifel, DsackOfAllRepeatedOctetsUndoesTheReduction) {
  Trace t;
  SendSegments(t, 10);
  t.Receives(Ack(1, {{At(1), At(5)}}));
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0)));
  const uint32_t reduced = t.tcb()->congestion.ssthresh;
  t.Receives(Ack(At(5)));
  t.Receives(Ack(At(5), {{At(0), At(1)}}));
  EXPECT_EQ(t.counters().spurious_recoveries, 1u);
  EXPECT_GT(t.tcb()->congestion.ssthresh, reduced);
}

// A D-SACK of a tail loss probe that went before the reduction says nothing of what was lost.
TEST(Eifel, DsackOfAnEarlierProbeDoesNotUndoTheReduction) {
  Trace t;
  SendSegments(t, 10);
  t.Advance(kRtt * 2);
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(9)));
  ASSERT_EQ(t.counters().loss_probes, 1u);
  t.Receives(Ack(1, {{At(1), At(10)}}));
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0)));
  const uint32_t reduced = t.tcb()->congestion.ssthresh;
  t.Receives(Ack(1, {{At(9), At(10)}, {At(1), At(10)}}));
  EXPECT_EQ(t.counters().dsack_received, 1u);
  EXPECT_EQ(t.counters().spurious_recoveries, 0u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, reduced);
  EXPECT_TRUE(t.tcb()->Has(tcp::kFastRecovery));
}

// LR-03, RFC 3042, a peer without SACK: a new segment for each of the first two duplicate ACKs.
TEST(LimitedTransmit, FirstTwoDuplicateAcksSendNewSegments) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(15 * kMss));
  ASSERT_THAT(t.AllSent(), SizeIs(10));
  t.Receives(Ack(1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(10)));
  t.Receives(Ack(1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(11)));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 10 * kMss) << "cwnd is unchanged";
  t.Receives(Ack(1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0)));
}

// When it was reordering after all, the window grows by what the duplicate ACKs had not told of.
TEST(LimitedTransmit, GrowsByTheHoleAlone) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(15 * kMss));
  t.Receives(Ack(1));
  t.Receives(Ack(1));
  t.ForgetSent();
  t.Receives(Ack(At(3)));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 11 * kMss);
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(12), At(13)));
}

// LR-04, RFC 6582 3.2 step 5: "For the first partial ACK that arrives during fast recovery, also
// reset the retransmit timer", and for no other.
TEST(Recovery, OnlyTheFirstPartialAckRestartsTheTimer) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(10 * kMss));
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.Advance(Duration::Milliseconds(100));
  t.Receives(Ack(At(2)));
  const uint32_t armed = t.tcb()->timers.at[static_cast<int>(tcp::Timer::kRetransmit)];
  t.Advance(Duration::Milliseconds(100));
  t.Receives(Ack(At(4)));
  EXPECT_EQ(t.tcb()->timers.at[static_cast<int>(tcp::Timer::kRetransmit)], armed);
}

}  // namespace
}  // namespace millrace::testing
