// Slow start, congestion avoidance, NewReno's arithmetic (CC-01 to CC-04, CC-08, LR-04, RTO-07).

#include "millrace/tcp/congestion.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "millrace/base/prng.h"
#include "millrace/tcp/env.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t kMss = 1000;
const Config kConfig;

Congestion Opened(uint32_t cwnd, uint32_t ssthresh) {
  Congestion c;
  c.Open(10 * kMss, kConfig);
  c.cwnd = cwnd;
  c.ssthresh = ssthresh;
  return c;
}

// CC-01, RFC 6928: min(10*MSS, max(2*MSS, 14600)).
TEST(Congestion, InitialWindowFollowsRfc6928) {
  const struct {
    uint32_t mss, cwnd;
  } cases[] = {{536, 5360}, {1000, 10'000}, {1460, 14'600}, {4000, 14'600}, {8960, 17'920}};
  for (const auto& [mss, cwnd] : cases) {
    Congestion c;
    c.Open(Congestion::InitialWindow(mss, kConfig), kConfig);
    EXPECT_EQ(c.cwnd, cwnd) << mss;
    EXPECT_TRUE(c.InSlowStart());
  }
}

TEST(Congestion, InitialWindowOfTheLastMssIsRemembered) {
  Env env(kConfig, 1, 1, 1);
  for (const uint16_t mss : std::initializer_list<uint16_t>{1448, 1448, 536, 1448}) {
    EXPECT_EQ(env.InitialWindow(mss), Congestion::InitialWindow(mss, kConfig)) << mss;
  }
  Config fewer = kConfig;
  fewer.initial_window_segments = 2;
  env.SetConfig(fewer);
  EXPECT_EQ(env.InitialWindow(1448), 2u * 1448);
}

// CC-02, RFC 3465 2.2 with L = 2.
TEST(Congestion, SlowStartGrowsByOctetsButTwoSegmentsAtMost) {
  Congestion c = Opened(10'000, 1 << 30);
  c.OnAck(300, 10'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 10'300u);
  c.OnAck(9000, 10'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 12'300u);
}

// CC-03: the same octets acknowledged in one ACK or in many give the same growth at most.
TEST(Congestion, AckDivisionGainsNothing) {
  for (uint32_t ssthresh : {5000u, 1u << 30}) {
    Congestion whole = Opened(10'000, ssthresh);
    Congestion divided = whole;
    for (int segment = 0; segment < 10; ++segment) {
      whole.OnAck(kMss, 10'000, kMss, kConfig);
      for (uint32_t i = 0; i < kMss; ++i) divided.OnAck(1, 10'000, kMss, kConfig);
    }
    EXPECT_EQ(divided.cwnd, whole.cwnd) << ssthresh;
  }
}

// CC-04
TEST(Congestion, AvoidanceAddsOneSegmentPerWindow) {
  Congestion c = Opened(10'000, 10'000);
  for (int i = 0; i < 9; ++i) c.OnAck(kMss, 10'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 10'000u);
  c.OnAck(kMss, 10'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 11'000u);
  for (int i = 0; i < 10; ++i) c.OnAck(kMss, 11'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 11'000u);
  c.OnAck(kMss, 11'000, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 12'000u);
}

// CC-08
TEST(Congestion, UnusedWindowDoesNotGrow) {
  Congestion slow_start = Opened(10'000, 1 << 30);
  slow_start.OnAck(kMss, 4000, kMss, kConfig);
  EXPECT_EQ(slow_start.cwnd, 10'000u);
  Congestion avoidance = Opened(10'000, 5000);
  for (int i = 0; i < 100; ++i) avoidance.OnAck(kMss, 4000, kMss, kConfig);
  EXPECT_EQ(avoidance.cwnd, 10'000u);
}

// LR-01, RFC 5681 equation (4) and 3.2.
TEST(Congestion, FastRetransmitHalvesTheFlightWithTwoSegmentsAtLeast) {
  Congestion c = Opened(20'000, 1 << 30);
  c.OnFastRetransmit(16'000, kMss);
  EXPECT_EQ(c.ssthresh, 8000u);
  EXPECT_EQ(c.cwnd, 11'000u);
  c.OnDuplicateAckInRecovery(kMss, 16'000, kConfig);
  EXPECT_EQ(c.cwnd, 12'000u);
  // As many as there were segments in flight.
  for (int i = 0; i < 1000; ++i) c.OnDuplicateAckInRecovery(kMss, 16'000, kConfig);
  EXPECT_EQ(c.cwnd, 24'000u);
  c.OnFastRetransmit(1000, kMss);
  EXPECT_EQ(c.ssthresh, 2000u);
}

// LR-04, RFC 6582 3.2 step 3.
TEST(Congestion, PartialAckDeflatesAndAddsASegmentBack) {
  Congestion c = Opened(8000, 5000);
  c.OnPartialAck(3000, kMss);
  EXPECT_EQ(c.cwnd, 6000u);
  c.OnPartialAck(500, kMss);  // less than a segment: nothing is added back
  EXPECT_EQ(c.cwnd, 5500u);
  c.OnPartialAck(1'000'000, kMss);
  EXPECT_EQ(c.cwnd, kMss);
}

TEST(Congestion, RecoveryEndsWithoutABurst) {
  Congestion c = Opened(20'000, 8000);
  c.OnRecoveryEnd(0, kMss);
  EXPECT_EQ(c.cwnd, 2000u);
  c.OnRecoveryEnd(100'000, kMss);
  EXPECT_EQ(c.cwnd, 8000u);
}

// RTO-07
TEST(Congestion, TimeoutLeavesOneSegmentAndHoldsTheThresholdWhenRepeated) {
  Congestion c = Opened(20'000, 1 << 30);
  c.OnTimeout(12'000, kMss, true);
  EXPECT_EQ(c.cwnd, kMss);
  EXPECT_EQ(c.ssthresh, 6000u);
  c.OnTimeout(1000, kMss, false);
  EXPECT_EQ(c.ssthresh, 6000u);
}

// CC-11
TEST(Congestion, WindowStaysBetweenASegmentAndTheCap) {
  Prng prng(7);
  Congestion c = Opened(10'000, 1 << 30);
  for (int i = 0; i < 200'000; ++i) {
    const auto flight = static_cast<uint32_t>(prng.Below(c.cwnd + 1));
    const auto acked = static_cast<uint32_t>(1 + prng.Below(flight + 1));
    switch (prng.Below(40)) {
      case 0:
        c.OnFastRetransmit(flight, kMss);
        break;
      case 1:
        c.OnPartialAck(acked, kMss);
        break;
      case 2:
        c.OnRecoveryEnd(flight, kMss);
        break;
      case 3:
        c.OnTimeout(flight, kMss, prng.Chance(0.5));
        break;
      case 4:
        c.OnDuplicateAckInRecovery(kMss, flight, kConfig);
        break;
      default:
        c.OnAck(acked, flight, kMss, kConfig);
    }
    ASSERT_GE(c.cwnd, kMss);
    ASSERT_LE(c.cwnd, kConfig.congestion_window_max_bytes);
    ASSERT_GE(c.ssthresh, 2 * kMss);
  }
}

}  // namespace
}  // namespace millrace::tcp
