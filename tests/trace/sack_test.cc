// The scoreboard at work: SACK in and out, what is lost and what is sent again (RFC 2018, 2883,
// 6675; group LR).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "testing/loss.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TraceOptions WithoutRack() {
  TraceOptions options = NewReno();
  options.config.tcp.rack = false;
  return options;
}

// One segment in flight needs no record; the second takes one, and the last ACK gives it back.
TEST(Sack, RecordIsTakenWithTheSecondSegmentAndGivenBack) {
  Trace t;
  OpenWithSack(t);
  t.Send("x");
  EXPECT_FALSE(t.tcb()->Has(tcp::kRecord));
  t.Receives(Ack(2));
  t.Send(Octets(2 * kMss));
  EXPECT_TRUE(t.tcb()->Has(tcp::kRecord));
  EXPECT_EQ(BoardOf(t).runs(), 1) << "a burst is one run";
  t.Receives(Ack(2 + 2 * kMss));
  EXPECT_FALSE(t.tcb()->Has(tcp::kRecord));
  EXPECT_EQ(t.engine().env().recovery_pool.runs.used(), 0u);
}

// LR-06, RFC 2018 section 4 and RFC 2883: newest first, at most three, the D-SACK before them.
TEST(Sack, BlocksAreNewestFirstAndDsackBeforeThem) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss, .sack_permitted = true});
  const auto piece = [](uint32_t seq) {
    return Seg{.flags = kAck, .seq = seq, .ack = 1, .data = Octets(10)};
  };
  t.Receives(piece(101));
  EXPECT_THAT(t.Sent()->sack, ElementsAre(SackRange{101, 111}));
  t.Receives(piece(201));
  EXPECT_THAT(t.Sent()->sack, ElementsAre(SackRange{201, 211}, SackRange{101, 111}));
  // "repeating the most recently reported SACK blocks": each is told of three times.
  for (const uint32_t seq : {301u, 401u, 501u, 601u}) {
    t.ForgetSent();
    t.Receives(piece(seq));
    EXPECT_THAT(t.AllSent().back().sack,
                ElementsAre(SackRange{seq, seq + 10}, SackRange{seq - 100, seq - 90},
                            SackRange{seq - 200, seq - 190}));
  }
  // Again, one of the oldest: the D-SACK, then the block that it is part of (RFC 2883 4.2).
  t.ForgetSent();
  t.Receives(piece(201));
  EXPECT_THAT(t.AllSent().back().sack,
              ElementsAre(SackRange{201, 211}, SackRange{201, 211}, SackRange{601, 611}));
}

// LR-06: several holes in one burst, which three duplicate ACKs answer: each is about another
// segment, in their order.
TEST(Sack, DuplicateAcksOfABurstTellOfAllItsHoles) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss, .sack_permitted = true});
  const auto piece = [](uint32_t seq) {
    return Seg{.flags = kAck, .seq = seq, .ack = 1, .data = Octets(10)};
  };
  t.ReceivesBurst({piece(101), piece(201), piece(301), piece(401), piece(501)});
  const SackRange b1{101, 111}, b2{201, 211}, b3{301, 311}, b4{401, 411}, b5{501, 511};
  const std::vector<Seg> acks = t.AllSent();
  ASSERT_THAT(acks, SizeIs(3));
  EXPECT_THAT(acks[0].sack, ElementsAre(b3, b2, b1));
  EXPECT_THAT(acks[1].sack, ElementsAre(b4, b3, b2));
  EXPECT_THAT(acks[2].sack, ElementsAre(b5, b4, b3));
  // All behind one hole: the same block, as long as it is by then.
  t.ReceivesBurst({piece(601), piece(611), piece(621)});
  for (const Seg& ack : t.AllSent()) EXPECT_EQ(ack.sack.at(0), (SackRange{601, 631}));
}

// RFC 2883 4: a duplicate below RCV.NXT, once.
TEST(Sack, OldDataIsReportedOnceByDsack) {
  Trace t;
  t.AcceptFromPeer({.mss = kMss, .sack_permitted = true});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(500)});
  t.Advance(Duration::Milliseconds(50));
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(500)});
  EXPECT_THAT(t.Sent()->sack, ElementsAre(SackRange{1, 501}));
  t.Receives({.flags = kAck, .seq = 501, .ack = 1, .data = Octets(500)});
  t.Advance(Duration::Milliseconds(50));
  EXPECT_THAT(t.AllSent().back().sack, IsEmpty());
}

// LR-07: without RACK, three discontiguous ranges or more than two segments above mark it lost.
TEST(Sack, IsLostByBothRulesOfRfc6675) {
  // Three ranges of little text.
  Trace ranges(WithoutRack());
  OpenWithSack(ranges);
  ranges.app().socket.SetNoDelay(true);
  for (uint32_t n = 0; n < 10; ++n) ranges.Send(Octets(10, n * 10));
  ranges.Advance(kRtt);
  ranges.ForgetSent();
  ranges.Receives(Ack(1, {{21, 31}}));
  ranges.Receives(Ack(1, {{41, 51}, {21, 31}}));
  EXPECT_TRUE(ranges.SentNothing());
  ranges.Receives(Ack(1, {{61, 71}, {41, 51}, {21, 31}}));
  EXPECT_EQ(ranges.AllSent().front().seq, 1u);

  // More than two segments' octets in one.
  Trace octets(WithoutRack());
  SendSegments(octets, 10);
  octets.Receives(Ack(1, {{At(1), At(3)}}));
  EXPECT_TRUE(octets.SentNothing());
  octets.Receives(Ack(1, {{At(1), At(4)}}));
  EXPECT_EQ(octets.AllSent().front().seq, 1u);
}

// LR-08, RFC 6675 section 4, SetPipe: neither SACKed nor lost, and what was sent again.
TEST(Sack, PipeCountsWhatIsInTheNetwork) {
  Trace t(WithoutRack());
  SendSegments(t, 10);
  EXPECT_EQ(BoardOf(t).Pipe(t.tcb()->flight()), 10 * kMss);
  t.Receives(Ack(1, {{At(1), At(4)}}));
  // Three SACKed, the first lost and sent again.
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(1u));
  EXPECT_EQ(BoardOf(t).Pipe(t.tcb()->flight()), 7 * kMss);
}

// LR-09, RFC 6675 section 4, NextSeg: lost first (1), then new data (2), then holes (3), and once
// the last segment (4).
TEST(Sack, NextSegFollowsItsFourRules) {
  Trace t(WithoutRack());
  SendSegments(t, 10);
  t.Send(Octets(kMss, 10 * kMss));
  ASSERT_TRUE(t.SentNothing());
  t.Receives(Ack(1, {{At(1), At(4)}}));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0))) << "(1)";
  t.Receives(Ack(1, {{At(1), At(6)}}));
  t.Receives(Ack(1, {{At(8), At(9)}, {At(1), At(6)}}));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(10))) << "(2)";
  t.Receives(Ack(1, {{At(8), At(10)}, {At(1), At(6)}}));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(6))) << "(3): not lost, below a SACK";
  t.Receives(Ack(At(6), {{At(8), At(10)}}));
  for (uint32_t at = At(7); at < At(7) + 5; ++at) t.Receives(Ack(at, {{At(8), At(10)}}));
  const std::vector<uint32_t> rest = SeqsOf(t.AllSent());
  EXPECT_THAT(rest, ::testing::Contains(At(7))) << "(3)";
  EXPECT_EQ(std::count(rest.begin(), rest.end(), At(10)), 1) << "(4), the rescue, once";
}

// LR-01 with SACK: what is SACKed is not sent again.
TEST(Sack, OnlyTheHolesAreRetransmitted) {
  Trace t;
  SendSegments(t, 10);
  t.Receives(Ack(1, {{At(4), At(10)}, {At(1), At(3)}}));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0), At(3)));
  t.Advance(kRtt);
  t.Receives(Ack(At(10)));
  EXPECT_EQ(t.counters().retrans_segs, 2u);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// LR-10: RACK finds that the retransmission was lost too, by later data that has arrived.
TEST(Sack, LostRetransmissionIsRepairedWithoutATimeout) {
  Trace t;
  SendSegments(t, 10);
  t.Send(Octets(20 * kMss, 10 * kMss));
  t.Receives(Ack(1, {{At(1), At(8)}}));
  std::vector<Seg> sent = t.AllSent();
  ASSERT_GE(sent.size(), 2u);
  EXPECT_EQ(sent[0].seq, At(0));
  ASSERT_EQ(sent[1].seq, At(10)) << "new data, sent after the retransmission";
  t.Advance(kRtt);
  t.Receives(Ack(1, {{At(1), At(11)}}));
  t.Advance(Duration::Milliseconds(15));
  sent = t.AllSent();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].seq, At(0));
  EXPECT_EQ(t.counters().lost_retransmit, 1u);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// LR-16, RFC 2018 section 8: the receiver has dropped what it SACKed; the time-out finds out.
TEST(Sack, RenegingReceiverIsServedAfterATimeout) {
  Trace t;
  SendSegments(t, 4);
  t.Receives(Ack(1, {{At(1), At(4)}}));
  t.ForgetSent();
  t.Receives(Ack(At(1)));  // and nothing behind it
  EXPECT_EQ(BoardOf(t).sacked_bytes(), 3 * kMss);
  t.Advance(Duration::Seconds(1));
  EXPECT_EQ(t.counters().sack_reneging, 1u);
  EXPECT_EQ(t.AllSent().front().seq, At(1));
  t.Receives(Ack(At(2)));
  EXPECT_THAT(SeqsOf(t.AllSent()), ::testing::IsSupersetOf({At(2), At(3)}));
}

// LR-17, LR-18, LR-19: blocks that cannot be true change nothing and are counted.
TEST(Sack, BlocksThatCannotBeTrueAreIgnored) {
  const struct {
    const char* name;
    SackRange block;
  } cases[] = {
      {"never sent", {At(10), At(11)}},   {"partly never sent", {At(9), At(10) + 1}},
      {"inverted", {At(5), At(4)}},       {"empty", {At(5), At(5)}},
      {"across SND.UNA", {At(1), At(3)}}, {"a half circle", {At(5), At(5) + 0x8000'0001u}}};
  for (const auto& [name, block] : cases) {
    SCOPED_TRACE(name);
    Trace t;
    SendSegments(t, 10);
    t.Receives(Ack(At(2)));
    for (int i = 0; i < 5; ++i) t.Receives(Ack(At(2), {block}));
    EXPECT_EQ(BoardOf(t).sacked_bytes(), 0u);
    EXPECT_EQ(BoardOf(t).runs(), 1);
    EXPECT_EQ(t.counters().sack_invalid, 5u);
    EXPECT_EQ(t.counters().fast_retrans, 0u);
    EXPECT_TRUE(t.SentNothing());
  }
}

// LR-17: a peer that SACKs every other octet costs no runs: no segment of it has arrived.
TEST(Sack, PartsOfSegmentsAreNotBelieved) {
  Trace t;
  SendSegments(t, 10);
  for (uint32_t at = 3; at < At(9); at += 2) t.Receives(Ack(1, {{at, at + 1}}));
  EXPECT_EQ(BoardOf(t).runs(), 1);
  EXPECT_EQ(BoardOf(t).sacked_bytes(), 0u);
  EXPECT_GT(t.counters().sack_not_believed, 1000u);
  t.Receives(Ack(At(10)));
  EXPECT_EQ(t.tcb()->flight(), 0u);
}

// LR-17: one that SACKs every other segment costs a bounded number of runs.
TEST(Sack, ScoreboardIsBounded) {
  TraceOptions options;
  options.config.tcp.sent_runs_max = 4;
  Trace t(options);
  SendSegments(t, 10);
  for (uint32_t n = 2; n < 10; n += 2) t.Receives(Ack(1, {{At(n), At(n + 1)}}));
  EXPECT_EQ(BoardOf(t).runs(), 4);
  EXPECT_GT(t.counters().sack_not_believed, 0u);
  t.Receives(Ack(At(10)));
  EXPECT_EQ(t.tcb()->flight(), 0u);
}

}  // namespace
}  // namespace millrace::testing
