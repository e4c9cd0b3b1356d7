// RACK, the tail loss probe and PRR (RFC 8985, 9937; group LR).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "testing/loss.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;

// LR-11, RFC 8985 7: the tail is probed once, two round trips after it was sent.
TEST(TailProbe, RepairsTheTailWithOneProbe) {
  Trace t;
  OpenWithSack(t);
  t.Send(Octets(3 * kMss));
  t.ForgetSent();
  t.Advance(kRtt);
  t.Receives(Ack(At(2)));  // the third was lost
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(190));
  EXPECT_TRUE(t.SentNothing()) << "one segment is left: the peer may delay its ACK";
  t.Advance(Duration::Milliseconds(15));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(2)));
  EXPECT_EQ(t.counters().loss_probes, 1u);
  EXPECT_EQ(t.counters().timeouts, 0u) << "the probe comes in the place of the time-out";
}

TEST(TailProbe, OfSeveralSegmentsComesAfterTwoRoundTrips) {
  Trace t;
  OpenWithSack(t);
  t.Send(Octets(4 * kMss));
  t.ForgetSent();
  t.Advance(kRtt * 2 - Duration::Milliseconds(1));
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(3));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(3))) << "the highest segment";
  EXPECT_EQ(t.counters().loss_probes, 1u);
  t.Advance(kRtt);
  // Its SACK tells of what is missing before it: recovery without a time-out.
  t.Receives(Ack(At(1), {{At(3), At(4)}}));
  t.Advance(kRtt);
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(1), At(2)));
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// RFC 8985 7.2: an ACK that acknowledges nothing new does not put the probe off, whether it says
// nothing or names a part of a segment (RFC 2018 section 5).
TEST(TailProbe, RepeatedAcksDoNotPutItOff) {
  for (const bool sacks : {false, true}) {
    SCOPED_TRACE(sacks);
    Trace t;
    OpenWithSack(t);
    t.Send(Octets(4 * kMss));
    t.ForgetSent();
    const uint32_t last = At(4) - 1;
    for (int i = 0; i < 3; ++i) {
      t.Advance(kRtt / 2);
      t.Receives(
          Ack(1, sacks ? std::vector<SackRange>{{last, last + 1}} : std::vector<SackRange>{}));
      EXPECT_TRUE(t.SentNothing());
    }
    t.Advance(kRtt / 2 + Duration::Milliseconds(2));
    EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(3)));
    EXPECT_EQ(t.counters().loss_probes, 1u);
  }
}

// RFC 8985 7.3: new data is the better probe.
TEST(TailProbe, SendsNewDataWhenThereIsSome) {
  TraceOptions options;
  options.config.tcp.initial_window_segments = 3;
  Trace t(options);
  OpenWithSack(t);
  t.Send(Octets(5 * kMss));
  const size_t first = t.AllSent().size();
  t.Advance(kRtt * 2 + Duration::Milliseconds(2));
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(static_cast<uint32_t>(first))));
  EXPECT_EQ(t.counters().retrans_segs, 0u);
}

// RFC 8985 7.3: "If an unsent segment exists", also one that Nagle or a cork holds back: it shows
// more than a copy of what is in flight.
TEST(TailProbe, SendsWhatNagleOrACorkHeldBack) {
  for (const bool corked : {false, true}) {
    SCOPED_TRACE(corked);
    Trace t;
    OpenWithSack(t);
    t.app().socket.SetCork(corked);
    t.Send(Octets(2 * kMss + 100));
    EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0), At(1)));
    t.Advance(kRtt * 2 + Duration::Milliseconds(2));
    EXPECT_EQ(t.counters().loss_probes, 1u);
    EXPECT_EQ(t.counters().retrans_segs, 0u);
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_EQ(SeqsOf(sent), std::vector<uint32_t>{At(2)});
    EXPECT_EQ(sent[0].data, Octets(100, 2 * kMss));
    // Both were lost: its SACK tells, and no time-out has to.
    t.Advance(kRtt);
    t.Receives(Ack(1, {{At(2), At(2) + 100}}));
    t.Advance(kRtt);
    EXPECT_EQ(t.Sent()->seq, At(0));
    t.Receives(Ack(At(1), {{At(2), At(2) + 100}}));
    EXPECT_EQ(t.Sent()->seq, At(1));
    EXPECT_EQ(t.counters().timeouts, 0u);
    // The application's wish stands.
    t.Receives(Ack(At(2) + 100));
    t.ForgetSent();
    t.Send(Octets(kMss + 10));
    EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(2) + 100));
  }
}

// LR-12, RFC 8985 7.4: the probe has repaired a loss, which nothing else told: cwnd is cut.
TEST(TailProbe, LossThatTheProbeRepairedCutsTheWindow) {
  Trace t;
  OpenWithSack(t);
  t.Send(Octets(4 * kMss));
  t.Advance(kRtt * 2 + Duration::Milliseconds(2));
  ASSERT_EQ(t.counters().loss_probes, 1u);
  t.Receives(Ack(At(4)));
  const uint32_t before = t.tcb()->congestion.cwnd;
  t.Send(Octets(kMss, 4 * kMss));
  t.Receives(Ack(At(5)));
  EXPECT_EQ(t.counters().loss_probe_recovery, 1u);
  EXPECT_LT(t.tcb()->congestion.cwnd, before);
}

// LR-12: both copies arrived, so nothing was lost.
TEST(TailProbe, DsackOfTheProbeLeavesTheWindow) {
  Trace t;
  OpenWithSack(t);
  t.Send(Octets(4 * kMss));
  t.Advance(kRtt * 2 + Duration::Milliseconds(2));
  ASSERT_EQ(t.counters().loss_probes, 1u);
  t.Receives(Ack(At(4)));
  t.Receives(Ack(At(4), {{At(3), At(4)}}));
  t.Send(Octets(kMss, 4 * kMss));
  t.Receives(Ack(At(5)));
  EXPECT_EQ(t.counters().dsack_received, 1u);
  EXPECT_EQ(t.counters().loss_probe_recovery, 0u);
  EXPECT_TRUE(t.tcb()->congestion.InSlowStart());
}

// LR-13, RFC 8985 6.2: late by less than the reordering window (a quarter of the round trip).
TEST(Rack, ReorderingInsideTheWindowRetransmitsNothing) {
  Trace t;
  SendSegments(t, 10);
  t.Receives(Ack(1, {{At(1), At(3)}}));
  t.Advance(Duration::Milliseconds(8));
  EXPECT_TRUE(t.SentNothing());
  t.Receives(Ack(At(10)));
  EXPECT_EQ(t.counters().retrans_segs, 0u);
  // And beyond it: repaired when the reordering timer says so.
  Trace late;
  SendSegments(late, 10);
  late.Receives(Ack(1, {{At(1), At(3)}}));
  late.Advance(Duration::Milliseconds(12));
  EXPECT_THAT(SeqsOf(late.AllSent()), ElementsAre(At(0)));
}

// LR-14: D-SACK widens the reordering window; sixteen recoveries without one bring it back.
TEST(Rack, DsackWidensTheReorderingWindow) {
  Trace t;
  SendSegments(t, 10);
  t.Receives(Ack(1, {{At(1), At(3)}}));
  t.Advance(Duration::Milliseconds(12));
  ASSERT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0)));
  t.Receives(Ack(At(3)));
  t.Receives(Ack(At(3), {{At(0), At(1)}}));
  EXPECT_EQ(RecordOf(t).rack.reo_wnd_mult(), 2u);
}

// LR-15: one slot, three meanings, never two at once.
TEST(Rack, ExactlyOneOfThreeTimersIsArmed) {
  Trace t;
  SendSegments(t, 10);
  EXPECT_EQ(RecordOf(t).timer, tcp::LossTimer::kProbe);
  t.Receives(Ack(1, {{At(1), At(3)}}));
  EXPECT_EQ(RecordOf(t).timer, tcp::LossTimer::kReorder);
  t.Advance(Duration::Milliseconds(12));
  EXPECT_EQ(RecordOf(t).timer, tcp::LossTimer::kRetransmission);
  EXPECT_TRUE(t.tcb()->timers.IsArmed(tcp::Timer::kRetransmit));
}

// LR-20, RFC 9937: one loss of ten under CUBIC: the flight goes to 0.7 of it, spread over the round
// trip.
TEST(Prr, SendsSevenTenthsDuringTheRoundTrip) {
  Trace t;
  SendSegments(t, 10);
  t.Send(Octets(20 * kMss, 10 * kMss));
  ASSERT_TRUE(t.SentNothing());
  size_t sent = 0;
  for (uint32_t n = 2; n <= 10; ++n) {
    t.Receives(Ack(1, {{At(1), At(n)}}));
    sent += t.AllSent().size();
  }
  // Nine were delivered: 6.3 and the forced first; the two before detection let new data out.
  EXPECT_GE(sent, 6u);
  EXPECT_LE(sent, 8u);
  t.Advance(kRtt);
  t.Receives(Ack(At(10)));
  EXPECT_LE(t.tcb()->congestion.cwnd, 10 * kMss * 7 / 10)
      << "of the twelve in flight at detection, limited transmit sent two (RFC 5681 3.2 step 2)";
}

// RFC 5681 3.2 step 2: what went out while the reordering window was waited for is no part of
// FlightSize, however much it is.
TEST(Rack, WaitForReorderingDoesNotRaiseTheThreshold) {
  TraceOptions options = NewReno();
  Trace t(options);
  SendSegments(t, 10);
  t.Send(Octets(40 * kMss, 10 * kMss));
  ASSERT_TRUE(t.SentNothing());
  // The third comes before the second: from here on RACK waits a quarter of a round trip.
  t.Receives(Ack(1, {{At(2), At(3)}}));
  t.Receives(Ack(1, {{At(1), At(3)}}));
  for (uint32_t n = 4; n <= 9; ++n) t.Receives(Ack(1, {{At(1), At(n)}}));
  ASSERT_EQ(t.counters().fast_retrans, 0u);
  const uint32_t outstanding = t.tcb()->flight();
  ASSERT_GT(outstanding, 15 * kMss);
  t.Advance(kRtt / 2);
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 5 * kMss);
}

// A burst of ACKs is taken as a whole before anything is sent. What the first of them let go counts
// as in flight when a later one tells of a loss, so that the window does not depend on how the ACKs
// came, and it goes out all the same.
TEST(Prr, BurstOfAcksReducesAsOneAckAtATime) {
  const std::vector<Seg> acks = {Ack(At(5)), Ack(At(5), {{At(6), At(7)}}),
                                 Ack(At(5), {{At(6), At(8)}}), Ack(At(5), {{At(6), At(9)}})};
  const auto open = [](Trace& t) {
    SendSegments(t, 10);
    t.Send(Octets(40 * kMss, 10 * kMss));
    ASSERT_TRUE(t.SentNothing());
  };
  Trace one_by_one, burst;
  open(one_by_one);
  open(burst);
  for (const Seg& ack : acks) one_by_one.Receives(ack);
  burst.ReceivesBurst(acks);
  EXPECT_EQ(burst.counters().fast_retrans, 1u);
  EXPECT_EQ(burst.tcb()->congestion.ssthresh, one_by_one.tcb()->congestion.ssthresh);
  EXPECT_GE(burst.tcb()->congestion.ssthresh, 7 * kMss) << "not of the five that were outstanding";
  // Three were SACKed and limited transmit sent two of them; the burst's are to follow.
  EXPECT_EQ(one_by_one.tcb()->snd_nxt - burst.tcb()->snd_nxt, static_cast<int32_t>(2 * kMss));
  EXPECT_EQ(SeqsOf(burst.AllSent()).front(), At(5));
  // All of it was in flight before the reduction: one more loss there is no second reason.
  const uint32_t ssthresh = burst.tcb()->congestion.ssthresh;
  burst.Advance(kRtt);
  burst.ReceivesBurst({Ack(At(10)), Ack(At(10), {{At(11), At(14)}})});
  EXPECT_EQ(burst.counters().fast_retrans, 1u);
  EXPECT_EQ(burst.tcb()->congestion.ssthresh, ssthresh);
  EXPECT_THAT(SeqsOf(burst.AllSent()), ::testing::Contains(At(10)));
}

// The peer has not read yet what it acknowledges, so its window is all but closed in the moment in
// which it tells of a loss: the reduction is of what the path had carried (RFC 7661 4.4.1).
TEST(Prr, WindowClosedForAMomentIsNoPartOfTheReduction) {
  Trace t;
  SendSegments(t, 10);
  t.Send(Octets(40 * kMss, 10 * kMss));
  ASSERT_TRUE(t.SentNothing());
  const auto narrow = [](Seg ack) {
    ack.window = static_cast<uint16_t>(3 * kMss);
    return ack;
  };
  t.ReceivesBurst({narrow(Ack(At(7), {{At(8), At(9)}})), narrow(Ack(At(7), {{At(8), At(10)}}))});
  t.Advance(kRtt / 2);
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 7 * kMss) << "of ten, not of the three outstanding";
}

// RFC 2018 section 4: the first block is of the latest segment. Three that came in order are three
// losses' worth of SACK; where the latest is the lowest, it was overtaken (RFC 8985 6.2 step 3).
TEST(Rack, BlocksOfOneAckTellInWhichOrderTheyCame) {
  Trace in_order;
  SendSegments(in_order, 10);
  in_order.Receives(Ack(1, {{At(8), At(9)}, {At(6), At(7)}, {At(4), At(5)}}));
  EXPECT_EQ(in_order.counters().fast_retrans, 1u);
  EXPECT_EQ(RecordOf(in_order).rack.reordering_bytes(), 0u);
  Trace overtaken;
  SendSegments(overtaken, 10);
  overtaken.Receives(Ack(1, {{At(4), At(5)}, {At(6), At(7)}, {At(8), At(9)}}));
  EXPECT_EQ(overtaken.counters().fast_retrans, 0u);
  EXPECT_EQ(RecordOf(overtaken).rack.reordering_bytes(), At(9) - At(4));
}

}  // namespace
}  // namespace millrace::testing
