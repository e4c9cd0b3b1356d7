// Fast retransmit, NewReno and the congestion window (RFC 5681, 6582, 6928, 3465; groups LR and
// CC) towards a peer without SACK.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kMss = 1000;

Seg Ack(uint32_t ack) { return {.flags = kAck, .seq = 1, .ack = ack}; }

// An established connection with `segments` full segments sent and not acknowledged.
void SendSegments(Trace& t, uint32_t segments) {
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(segments * kMss));
  ASSERT_EQ(t.AllSent().size(), segments);
}

std::vector<uint32_t> SeqsOf(const std::vector<Seg>& segs) {
  std::vector<uint32_t> seqs;
  for (const Seg& seg : segs) seqs.push_back(seg.seq);
  return seqs;
}

// LR-01, RFC 5681 3.2.
TEST(Recovery, ThirdDuplicateAckRetransmitsTheFirstSegment) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.Receives(Ack(1));
  t.Receives(Ack(1));
  EXPECT_TRUE(t.SentNothing());
  t.Receives(Ack(1));
  EXPECT_THAT(t.AllSent(),
              ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(kMss)})));
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 5 * kMss);
  EXPECT_EQ(t.tcb()->congestion.cwnd, 8 * kMss);
  EXPECT_EQ(t.counters().fast_retrans, 1u);
  t.Receives(Ack(1));
  EXPECT_TRUE(t.SentNothing()) << "once";
  t.Receives(Ack(10 * kMss + 1));
  EXPECT_LE(t.tcb()->congestion.cwnd, 5 * kMss);
}

// LR-01: three at once, as a burst brings them.
TEST(Recovery, DuplicateAcksOfOneBurstCountEach) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(1u));
}

// LR-01: each further duplicate ACK lets a new segment out once cwnd allows (RFC 5681 3.2 step 5).
TEST(Recovery, FurtherDuplicateAcksInflateTheWindow) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.ForgetSent();
  t.Send(Octets(5 * kMss, 10 * kMss));
  EXPECT_TRUE(t.SentNothing());  // cwnd 8, flight 10
  t.Receives(Ack(1));
  t.Receives(Ack(1));
  EXPECT_TRUE(t.SentNothing());  // cwnd 10
  t.Receives(Ack(1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(10 * kMss + 1));
  t.Receives(Ack(1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(11 * kMss + 1));
}

// LR-02, RFC 5681 section 2: (a) data outstanding, (b) no data, (c) no SYN or FIN, (d) the greatest
// ACK, (e) the same window.
TEST(Recovery, OnlyDuplicateAcksByDefinitionCount) {
  struct Case {
    const char* name;
    std::vector<Seg> acks;
  };
  const Seg old{.flags = kAck, .seq = 1, .ack = 1};
  const Case cases[] = {
      {"with data",
       {{.flags = kAck, .seq = 1, .ack = 1001, .data = "a"},
        {.flags = kAck, .seq = 2, .ack = 1001, .data = "b"},
        {.flags = kAck, .seq = 3, .ack = 1001, .data = "c"},
        {.flags = kAck, .seq = 4, .ack = 1001, .data = "d"}}},
      {"window changes",
       {{.flags = kAck, .seq = 1, .ack = 1001, .window = 60'000},
        {.flags = kAck, .seq = 1, .ack = 1001, .window = 60'001},
        {.flags = kAck, .seq = 1, .ack = 1001, .window = 60'002},
        {.flags = kAck, .seq = 1, .ack = 1001, .window = 60'003}}},
      {"older than the greatest ACK", {old, old, old, old}},
      {"SYN",
       {{.flags = kSyn | kAck, .seq = 1, .ack = 1001},
        {.flags = kSyn | kAck, .seq = 1, .ack = 1001},
        {.flags = kSyn | kAck, .seq = 1, .ack = 1001},
        {.flags = kSyn | kAck, .seq = 1, .ack = 1001}}},
      {"only two", {Ack(1001), Ack(1001)}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Trace t(NewReno());
    SendSegments(t, 8);
    t.Receives(Ack(1001));
    t.ForgetSent();
    for (const Seg& ack : c.acks) t.Receives(ack);
    for (const Seg& seg : t.AllSent()) EXPECT_EQ(seg.data, "") << seg;
    EXPECT_EQ(t.counters().fast_retrans, 0u);
  }
}

// LR-02 (a)
TEST(Recovery, DuplicateAcksWithNothingOutstandingMeanNothing) {
  Trace t(NewReno());
  SendSegments(t, 4);
  t.Receives(Ack(4 * kMss + 1));
  for (int i = 0; i < 5; ++i) t.Receives(Ack(4 * kMss + 1));
  t.Send(Octets(kMss));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(4 * kMss + 1));
  EXPECT_EQ(t.counters().fast_retrans, 0u);
  // And they do not count towards the three of what is sent now.
  t.ReceivesBurst({Ack(4 * kMss + 1), Ack(4 * kMss + 1)});
  EXPECT_TRUE(t.SentNothing());
}

// As Prr.BurstOfAcksReducesAsOneAckAtATime, without SACK.
TEST(Recovery, BurstOfAcksReducesAsOneAckAtATime) {
  for (const bool burst : {false, true}) {
    SCOPED_TRACE(burst);
    Trace t(NewReno());
    SendSegments(t, 10);
    t.Send(Octets(40 * kMss, 10 * kMss));
    ASSERT_TRUE(t.SentNothing());
    const Seg ack = Ack(8 * kMss + 1);
    if (burst) {
      t.ReceivesBurst({ack, ack, ack, ack});
    } else {
      for (int i = 0; i < 4; ++i) t.Receives(ack);
    }
    EXPECT_EQ(t.counters().fast_retrans, 1u);
    EXPECT_EQ(t.tcb()->congestion.ssthresh, 6 * kMss) << "half of the window of twelve";
  }
}

// LR-02: new data acknowledged starts the count anew.
TEST(Recovery, NewAckResetsTheCount) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1)});
  t.Receives(Ack(kMss + 1));
  t.ReceivesBurst({Ack(kMss + 1), Ack(kMss + 1)});
  EXPECT_EQ(t.counters().fast_retrans, 0u);
  t.Receives(Ack(kMss + 1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(kMss + 1));
}

// LR-04, RFC 6582 3.2: segments 1 and 4 of ten were lost.
TEST(Recovery, PartialAckRetransmitsTheNextHole) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(1u));
  t.Receives(Ack(3 * kMss + 1));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(3 * kMss + 1));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 6 * kMss);  // 8 - 3 acknowledged + 1
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 5 * kMss);
  // The full ACK ends it: min(ssthresh, max(FlightSize, SMSS) + SMSS).
  t.Receives(Ack(10 * kMss + 1));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 2 * kMss);
  EXPECT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_THAT(t.AllSent(), IsEmpty());
}

// LR-05, RFC 6582 3.2 step 1: `recover` guards against a second reduction for the same window.
TEST(Recovery, DuplicateAcksUpToRecoverDoNotStartASecondRecovery) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.Send(Octets(5 * kMss, 10 * kMss));
  t.Receives(Ack(10 * kMss + 1));  // exactly recover
  const uint32_t ssthresh = t.tcb()->congestion.ssthresh;
  t.ForgetSent();
  t.ReceivesBurst({Ack(10 * kMss + 1), Ack(10 * kMss + 1), Ack(10 * kMss + 1)});
  EXPECT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, ssthresh);
}

// LR-05: after a time-out the ACKs that its retransmissions provoke are no new loss.
TEST(Recovery, DuplicateAcksAfterATimeoutDoNotStartFastRetransmit) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.Advance(Duration::Milliseconds(210));
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(1u));
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1), Ack(1)});
  EXPECT_EQ(t.counters().fast_retrans, 0u);
  EXPECT_EQ(t.tcb()->congestion.cwnd, kMss);
}

// LR-05: a loss beyond recover is a new one.
TEST(Recovery, LossBeyondRecoverStartsANewRecovery) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.Receives(Ack(10 * kMss + 1));
  t.Send(Octets(2 * kMss, 10 * kMss));
  t.Receives(Ack(12 * kMss + 1));
  t.Send(Octets(kMss, 12 * kMss));
  t.ForgetSent();
  const uint32_t ack = 12 * kMss + 1;
  t.ReceivesBurst({Ack(ack), Ack(ack), Ack(ack)});
  EXPECT_EQ(t.counters().fast_retrans, 2u);
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(ack));
}

// LR-05: recover is 32 bits: two gigabytes after a loss it must not look like the future.
TEST(Recovery, RecoverOfLongAgoIsForgotten) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.Receives(Ack(10 * kMss + 1));
  t.Send(Octets(kMss, 10 * kMss));
  t.Receives(Ack(11 * kMss + 1));
  // As if 2^31 octets had been sent and acknowledged since.
  t.tcb()->recover = t.tcb()->snd_una + 1000;
  t.Send(Octets(kMss, 11 * kMss));
  const uint32_t ack = 11 * kMss + 1;
  t.ReceivesBurst({Ack(ack), Ack(ack), Ack(ack)});
  EXPECT_EQ(t.counters().fast_retrans, 2u);
}

// CC-01, RFC 6928: min(10*MSS, max(2*MSS, 14600)).
TEST(CongestionWindow, InitialWindowIsTenSegmentsAtMost) {
  for (uint16_t mss : {uint16_t{1460}, uint16_t{1000}, uint16_t{536}}) {
    SCOPED_TRACE(mss);
    Trace t(NewReno());
    t.AcceptFromPeer({.mss = mss});
    t.Send(Octets(30'000));
    const std::vector<Seg> sent = t.AllSent();
    size_t octets = 0;
    for (const Seg& seg : sent) octets += seg.data.size();
    EXPECT_EQ(sent.size(), 10u);
    EXPECT_EQ(octets, 10u * mss);
  }
}

// CC-01, RFC 5681 3.1: "the initial window used by a sender after a correctly transmitted SYN MUST
// be one segment" when SYN or SYN-ACK was lost.
TEST(CongestionWindow, InitialWindowIsOneSegmentAfterALostSyn) {
  Trace t(NewReno());
  t.Listen();
  t.Receives({.flags = kSyn, .mss = kMss});
  t.Advance(Duration::Milliseconds(1010));
  t.Receives(Ack(1));
  ASSERT_EQ(t.state(), State::kEstablished);
  t.ForgetSent();
  t.Send(Octets(5 * kMss));
  EXPECT_EQ(t.AllSent().size(), 1u);
}

// CC-02, RFC 3465: by octets acknowledged, at most two segments per ACK.
TEST(CongestionWindow, SlowStartGrowsByOctetsAcknowledgedUpToTwoSegments) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.Receives(Ack(kMss + 1));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 11 * kMss);
  t.Receives(Ack(3 * kMss + 1));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 13 * kMss);
  t.Receives(Ack(10 * kMss + 1));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 15 * kMss);
}

// CC-03 (RFC 3465): ACK division.
TEST(CongestionWindow, OneOctetAcksGainNothing) {
  Trace t(NewReno());
  SendSegments(t, 10);
  for (uint32_t ack = 2; ack <= kMss + 1; ++ack) t.Receives(Ack(ack));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 11 * kMss);
}

// CC-04, RFC 5681 3.1: one segment per window acknowledged.
TEST(CongestionWindow, CongestionAvoidanceGrowsByASegmentPerWindow) {
  Trace t(NewReno());
  SendSegments(t, 10);
  t.ReceivesBurst({Ack(1), Ack(1), Ack(1)});
  t.Receives(Ack(10 * kMss + 1));
  t.ForgetSent();
  uint32_t acked = 10 * kMss + 1;
  t.Send(Octets(200 * kMss, 10 * kMss));
  // In slow start up to ssthresh (5 segments), then by one segment per round trip.
  std::vector<uint32_t> windows;
  for (int round = 0; round < 8; ++round) {
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_FALSE(sent.empty());
    for (const Seg& seg : sent) {
      acked += static_cast<uint32_t>(seg.data.size());
      t.Receives(Ack(acked));
    }
    windows.push_back(t.tcb()->congestion.cwnd / kMss);
  }
  EXPECT_GE(windows[2], 5u);
  for (size_t i = 3; i < windows.size(); ++i) {
    EXPECT_EQ(windows[i], windows[i - 1] + 1) << "round " << i;
  }
}

// CC-08 (RFC 7661): a window that is not used does not grow.
TEST(CongestionWindow, ApplicationLimitedSenderDoesNotGrowTheWindow) {
  Trace t(NewReno());
  t.AcceptFromPeer({.mss = kMss});
  for (uint32_t i = 1; i <= 200; ++i) {
    t.Send("x");
    t.Receives(Ack(i + 1));
  }
  EXPECT_EQ(t.tcb()->congestion.cwnd, 10 * kMss);
}

// CC-11: the flight never exceeds the window of the peer or cwnd.
TEST(CongestionWindow, FlightStaysWithinBothWindows) {
  Trace t(NewReno());
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(250 * kMss));
  uint32_t sent_to = 1;
  uint32_t acked = 1;
  uint16_t window = 65535;
  for (int round = 0; round < 60; ++round) {
    for (const Seg& seg : t.AllSent()) {
      sent_to = std::max(sent_to, seg.seq + static_cast<uint32_t>(seg.data.size()));
    }
    EXPECT_LE(sent_to - acked, t.tcb()->congestion.cwnd);
    EXPECT_LE(sent_to - acked, window);
    acked = sent_to;
    window = static_cast<uint16_t>(3000 + round * 997);
    t.Receives({.flags = kAck, .seq = 1, .ack = acked, .window = window});
  }
  EXPECT_EQ(acked, 250 * kMss + 1);
}

}  // namespace
}  // namespace millrace::testing
