// How much a fast recovery sends for each ACK (RFC 9937) when much comes at once: an ACK of many
// segments, a burst of ACKs, a window that closes meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "testing/loss.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;

TraceOptions WindowOf20() {
  TraceOptions options;
  options.config.tcp.initial_window_segments = 20;
  return options;
}

// 20 segments are in flight, which is the window, and 60 more wait.
void FillWindow(Trace& t) {
  SendSegments(t, 20);
  t.Send(Octets(60 * kMss, 20 * kMss));
  ASSERT_TRUE(t.SentNothing());
}

uint32_t PipeOf(Trace& t) { return BoardOf(t).Pipe(t.tcb()->flight()); }

// What an ACK acknowledges beside telling of a loss is delivered data, for which PRR sends a
// share, and no more: it is not let go a second time as if an earlier ACK had done so.
TEST(Prr, AckThatAlsoAcknowledgesLetsGoItsShareAlone) {
  Trace t(WindowOf20());
  FillWindow(t);
  t.Receives(Ack(At(10), {{At(11), At(14)}}));
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  const uint32_t ssthresh = t.tcb()->congestion.ssthresh;
  EXPECT_EQ(ssthresh, 14 * kMss);
  EXPECT_LE(PipeOf(t), ssthresh) << "six were left: RFC 9937, MIN(ssthresh - inflight, ...)";
  EXPECT_EQ(t.AllSent().size(), 8u);
}

// What earlier ACKs of a burst let go are new octets. Repairs do not go in their place and the
// octets then too.
TEST(Prr, RepairsDoNotUseWhatABurstLetGo) {
  Trace t(WindowOf20());
  FillWindow(t);
  t.ReceivesBurst({Ack(At(8)), Ack(At(8), {{At(17), At(20)}})});
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  const std::vector<uint32_t> first = SeqsOf(t.AllSent());
  const auto repairs =
      std::count_if(first.begin(), first.end(), [](uint32_t seq) { return seq < At(20); });
  EXPECT_EQ(repairs, 3) << "as many as were delivered";
  const uint32_t let_go = static_cast<uint32_t>(first.size()) - 3;
  EXPECT_EQ(let_go, 16u) << "eight were acknowledged, in slow start";
  uint32_t sent = 3;
  for (uint32_t n = 1; n <= 5; ++n) {
    t.Receives(Ack(At(8 + n), {{At(17), At(20)}}));
    sent += static_cast<uint32_t>(t.AllSent().size());
    EXPECT_LE(sent, 3 + 2 * n) << "DeliveredData, and SMSS where SND.UNA moves";
    EXPECT_LE(PipeOf(t), t.tcb()->congestion.ssthresh);
  }
}

// A window that closes holds back what a burst let go, and not the repairs.
TEST(Prr, RepairsGoOnWhenTheWindowHoldsBackWhatABurstLetGo) {
  Trace t(WindowOf20());
  FillWindow(t);
  const auto narrow = [](uint32_t una) {
    Seg ack = Ack(At(una), {{At(17), At(20)}});
    ack.window = static_cast<uint16_t>((20 - una) * kMss);
    return ack;
  };
  t.ReceivesBurst({Ack(At(13)), narrow(13)});
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  uint32_t repaired = static_cast<uint32_t>(t.AllSent().size());
  EXPECT_GE(repaired, 1u);
  for (uint32_t n = 14; n < 17; ++n) {
    t.Receives(narrow(n));
    repaired += static_cast<uint32_t>(t.AllSent().size());
    EXPECT_GE(repaired, n - 12) << "one was delivered";
  }
  EXPECT_EQ(repaired, 4u);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// What pacing holds back has not been let go: RFC 5681 (4) is of what was outstanding.
TEST(Prr, WhatPacingHoldsBackIsNoPartOfTheReduction) {
  TraceOptions options;
  options.config.tcp.pacing = true;
  Trace t(options);
  OpenWithSack(t);
  t.Send(Octets(50 * kMss));
  t.Advance(kRtt);
  ASSERT_EQ(t.tcb()->flight(), 10 * kMss);
  t.Receives(Ack(At(5)));
  ASSERT_LE(t.tcb()->flight(), 10 * kMss);
  ASSERT_GT(t.tcb()->congestion.cwnd, 10 * kMss);
  t.Receives(Ack(At(5), {{At(6), At(9)}}));
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 7 * kMss);
}

// An ACK may find a loss though it reports nothing itself: the reordering window is over, and its
// timer not due yet. PRR is in force from then on.
TEST(Prr, AckWithoutNewsThatFindsALossSendsOneRepair) {
  Trace t;
  SendSegments(t, 10);
  t.Receives(Ack(1, {{At(9), At(10)}}));
  ASSERT_EQ(t.counters().fast_retrans, 0u);
  t.ForgetSent();
  t.Advance(kRtt / 4);
  if (t.counters().fast_retrans == 0) t.Receives(Ack(1));
  ASSERT_EQ(t.counters().fast_retrans, 1u);
  EXPECT_THAT(SeqsOf(t.AllSent()), ElementsAre(At(0))) << "RFC 9937: the forced retransmission";
}

}  // namespace
}  // namespace millrace::testing
