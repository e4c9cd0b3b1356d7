// CUBIC, HyStart++, DCTCP, PRR and idle restart by their arithmetic (CC-05 to CC-10, LR-20).

#include "millrace/tcp/congestion_control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "millrace/tcp/prr.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t kMss = 1000;
const Config kConfig;

// One round trip of ACKs, a segment each.
uint32_t RoundTrip(Cubic& cubic, uint32_t cwnd, uint32_t* now_us, uint32_t rtt_us) {
  const uint32_t acks = cwnd / kMss;
  for (uint32_t i = 0; i < acks; ++i) {
    *now_us += rtt_us / acks;
    cwnd = cubic.OnAck(cwnd, kMss, kMss, *now_us, rtt_us, true);
  }
  return cwnd;
}

// CC-05, RFC 9438 4.2: W(t) = 0.4 (t - K)^3 + W_max, K = cbrt(0.3 W_max / 0.4), within 1 %.
TEST(Cubic, FollowsTheCurve) {
  for (const uint32_t w_max : {1000u, 5000u}) {
    constexpr uint32_t kRttUs = 100'000;
    Cubic cubic;
    cubic.OnCongestion(w_max * kMss);
    uint32_t cwnd = w_max * kMss / 10 * 7;
    uint32_t now_us = 0xFFFF'0000;  // the clock wraps on the way
    const uint32_t start_us = now_us + kRttUs / (cwnd / kMss);
    const double k = std::cbrt(0.3 * w_max / 0.4);
    for (int round = 0; round < 200; ++round) {
      cwnd = RoundTrip(cubic, cwnd, &now_us, kRttUs);
      // The window follows the point one round trip ahead, and lags by that round trip.
      const double t = (now_us - start_us) * 1e-6;
      const double expected = (0.4 * std::pow(t - k, 3) + w_max) * kMss;
      if (round <= 3) continue;
      EXPECT_NEAR(cwnd, expected, 0.01 * expected) << w_max << " at " << t;
    }
  }
}

// CC-06, RFC 9438 4.3: on a short round trip CUBIC is not slower than Reno: 9/17 of a segment per
// round trip until the old window is reached, then one.
TEST(Cubic, RenoFriendlyRegion) {
  Cubic cubic;
  cubic.OnCongestion(20 * kMss);
  uint32_t cwnd = 14 * kMss;
  uint32_t now_us = 0;
  for (int round = 0; round < 10; ++round) cwnd = RoundTrip(cubic, cwnd, &now_us, 1000);
  EXPECT_NEAR(cwnd, (14 + 10 * 9.0 / 17) * kMss, kMss / 2);
  for (int round = 0; round < 20; ++round) cwnd = RoundTrip(cubic, cwnd, &now_us, 1000);
  EXPECT_GT(cwnd, 30 * kMss) << "one per round trip above 20";
}

// CC-07, RFC 9438 4.7: a second loss below the old maximum gives room to others.
TEST(Cubic, FastConvergence) {
  Cubic cubic;
  cubic.OnCongestion(100 * kMss);
  EXPECT_EQ(cubic.w_max(), 100 * kMss);
  cubic.OnCongestion(80 * kMss);
  EXPECT_EQ(cubic.w_max(), 68 * kMss);  // 80 * (1 + 0.7) / 2
}

// CC-08, RFC 9438 5.8: time in which the window was not used does not count.
TEST(Cubic, IdleTimeDoesNotCount) {
  Cubic used, idle;
  used.OnCongestion(100 * kMss);
  idle.OnCongestion(100 * kMss);
  uint32_t used_cwnd = 70 * kMss, idle_cwnd = 70 * kMss;
  uint32_t used_us = 0, idle_us = 0;
  for (int i = 0; i < 5; ++i) {
    used_cwnd = RoundTrip(used, used_cwnd, &used_us, 100'000);
    idle_cwnd = RoundTrip(idle, idle_cwnd, &idle_us, 100'000);
  }
  idle_us += 60'000'000;
  idle_cwnd = idle.OnAck(idle_cwnd, kMss, kMss, idle_us, 100'000, false);
  EXPECT_EQ(idle_cwnd, used_cwnd);
  for (int i = 0; i < 5; ++i) {
    used_cwnd = RoundTrip(used, used_cwnd, &used_us, 100'000);
    idle_cwnd = RoundTrip(idle, idle_cwnd, &idle_us, 100'000);
  }
  EXPECT_NEAR(idle_cwnd, used_cwnd, used_cwnd / 50);
}

// RFC 9438 4.6: ssthresh is 0.7 of the flight, never below two segments.
TEST(CongestionControl, CubicReducesToSevenTenths) {
  CongestionState state;
  Congestion c;
  c.Open(Congestion::InitialWindow(kMss, kConfig), kConfig);
  ReduceForLoss(c, state, 10 * kMss, kMss, kConfig);
  EXPECT_EQ(c.ssthresh, 7 * kMss);
  ReduceForLoss(c, state, kMss, kMss, kConfig);
  EXPECT_EQ(c.ssthresh, 2 * kMss);
}

// CC-10, RFC 9406 4.2: round trips that grow by an eighth (4 to 16 ms) begin conservative slow
// start; one that falls below the baseline ends it; five rounds of it end slow start.
TEST(HyStart, EntersAndLeavesConservativeSlowStart) {
  HyStart h;
  uint32_t edge = 0;
  const auto round = [&](uint32_t rtt_us) {
    bool done = false;
    for (int i = 0; i < 10; ++i) {
      edge += kMss;
      done |= h.OnAck(SeqNum(edge), SeqNum(edge + 10 * kMss), rtt_us);
    }
    return done;
  };
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(round(40'000));
  EXPECT_FALSE(h.InConservativeSlowStart());
  EXPECT_EQ(h.Growth(20 * kMss, kMss, false), 8 * kMss) << "L = 8";
  EXPECT_EQ(h.Growth(20 * kMss, kMss, true), 20 * kMss) << "no limit when paced";
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(round(46'000));
  EXPECT_TRUE(h.InConservativeSlowStart());
  EXPECT_EQ(h.Growth(4 * kMss, kMss, false), kMss) << "a quarter";
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(round(40'000));
  EXPECT_FALSE(h.InConservativeSlowStart()) << "it was jitter";
  int rounds = 0;
  while (!round(60'000)) ASSERT_LT(++rounds, 12);
  EXPECT_GE(rounds, 4);
}

// CC-09, RFC 5681 4.1.
TEST(CongestionControl, IdleConnectionRestartsAtTheInitialWindow) {
  CongestionState state;
  Congestion c;
  c.Open(Congestion::InitialWindow(kMss, kConfig), kConfig);
  c.cwnd = 100 * kMss;
  RestartAfterIdle(c, state, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 10 * kMss);
  c.cwnd = 3 * kMss;
  RestartAfterIdle(c, state, kMss, kConfig);
  EXPECT_EQ(c.cwnd, 3 * kMss) << "RW = min(IW, cwnd)";
}

// RFC 8257 3.3: alpha follows the share of marked octets, and the cut follows alpha.
TEST(Dctcp, WindowIsCutByTheShareOfMarks) {
  Config config;
  config.congestion = CongestionKind::kDctcp;
  CongestionState state;
  uint32_t edge = 0;
  const auto window = [&](bool marked) {
    for (int i = 0; i < 10; ++i) {
      edge += kMss;
      CountMarks(state,
                 {.acked_bytes = kMss, .snd_una = SeqNum(edge), .snd_nxt = SeqNum(edge + 10'000)},
                 marked);
    }
  };
  for (int i = 0; i < 100; ++i) window(false);
  EXPECT_LT(state.dctcp.alpha, DctcpState::kOne / 100);
  Congestion c;
  c.Open(Congestion::InitialWindow(kMss, config), config);
  c.cwnd = 100 * kMss;
  ReduceForEcho(c, state, kMss, 0, config);
  EXPECT_GT(c.cwnd, 99 * kMss);
  for (int i = 0; i < 100; ++i) window(true);
  EXPECT_GT(state.dctcp.alpha, DctcpState::kOne * 98 / 100);
  ReduceForEcho(c, state, kMss, 0, config);
  EXPECT_NEAR(c.cwnd, 50 * kMss, 2 * kMss);
}

TEST(CongestionControl, NoneKeepsItsWindow) {
  Config config;
  config.congestion = CongestionKind::kNone;
  config.fixed_window_bytes = 50 * kMss;
  CongestionState state;
  Congestion c;
  c.Open(Congestion::InitialWindow(kMss, config), config);
  EXPECT_EQ(c.cwnd, 50 * kMss);
  ReduceForTimeout(c, state, 50 * kMss, kMss, true, config);
  ReduceForEcho(c, state, kMss, 0, config);
  ReduceForLoss(c, state, 50 * kMss, kMss, config);
  EXPECT_EQ(c.cwnd, 50 * kMss);
  EXPECT_EQ(c.ssthresh, 50 * kMss);
}

// LR-20, RFC 9937: over a round trip ssthresh/RecoverFS of what was delivered goes out.
TEST(Prr, SendsTheShareOfWhatWasDelivered) {
  Prr prr;
  prr.Start(100 * kMss, 0);
  uint32_t pipe = 99 * kMss;
  uint32_t sent = 0;
  for (int i = 0; i < 99; ++i) {
    pipe -= kMss;
    const uint32_t cwnd = prr.OnAck(kMss, pipe, 70 * kMss, kMss, false);
    while (cwnd >= pipe + kMss) {
      pipe += kMss;
      sent += kMss;
      prr.OnSentNew(kMss);
    }
  }
  EXPECT_NEAR(sent, 69.3 * kMss, kMss);
  EXPECT_NEAR(pipe, 70 * kMss, kMss);
}

// RFC 9937: after heavy loss the flight grows again, without leaving ssthresh behind it.
TEST(Prr, CatchesUpAfterHeavyLoss) {
  Prr prr;
  prr.Start(100 * kMss, 0);
  uint32_t pipe = 20 * kMss;
  for (int i = 0; i < 60; ++i) {
    pipe -= std::min(pipe, kMss);
    const uint32_t cwnd = prr.OnAck(kMss, pipe, 50 * kMss, kMss, true);
    EXPECT_LE(cwnd, 51 * kMss);
    const uint32_t room = cwnd - pipe;
    pipe += room;
    prr.OnSentNew(room);
  }
  EXPECT_EQ(pipe, 50 * kMss);
}

}  // namespace
}  // namespace millrace::tcp
