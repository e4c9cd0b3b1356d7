// Loss recovery and congestion control between two shipped stacks over a bad network: what the
// requirements ask of whole transfers (LR-11, LR-13, CC-16).
//
//   MILLRACE_NIGHTLY=1 sim-recovery     1 GB through the bad network instead of 20 MB

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "millrace/wire/tcp_header.h"
#include "testing/transfer.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kSegment = 1448;  // octets of text beside timestamps

// Octets of text in a TCP frame over IPv4.
uint32_t TextOf(const sim::Frame& frame) {
  if (frame.length() < 54) return 0;
  const std::byte* ip = frame.data() + 14;
  if (LoadU8(ip + 9) != 6) return 0;
  const uint32_t tcp_bytes = (LoadU8(ip + 20 + wire::kTcpDataOffsetAt) >> 4) * 4u;
  return LoadBe16(ip + 2) - 20u - tcp_bytes;
}
uint32_t SeqOf(const sim::Frame& frame) { return LoadBe32(frame.data() + 34 + wire::kTcpSeqAt); }

// Drops the `n`th segment with text (from 1), once; only first transmissions count.
sim::Link::Filter LoseSegment(uint32_t n) {
  return [n, seen = uint32_t{0}, highest = uint32_t{0}](Instant, const sim::Frame& frame) mutable {
    if (TextOf(frame) == 0) return false;
    if (seen > 0 && static_cast<int32_t>(SeqOf(frame) - highest) <= 0) return false;
    highest = SeqOf(frame);
    return ++seen == n;
  };
}

sim::Impairment Path(int delay_ms) {
  sim::Impairment path;
  path.delay = Duration::Milliseconds(delay_ms);
  return path;
}

// A single loss in a flight of ten and of a thousand segments is repaired without a time-out.
TEST(RecoverySim, SingleLossIsRepairedWithoutATimeout) {
  for (const uint32_t window : {10u, 1000u}) {
    for (const bool rack : {true, false}) {
      SCOPED_TRACE(window);
      SCOPED_TRACE(rack);
      Transfer::Options options;
      options.there = options.back = Path(50);
      options.tcp.congestion = tcp::CongestionKind::kNone;
      options.tcp.fixed_window_bytes = window * kSegment;
      options.tcp.rack = rack;
      options.octets = uint64_t{20} * window * kSegment;
      Transfer t(options);
      t.cable().forward.SetFilter(LoseSegment(10 * window));
      t.Open();
      const double seconds = t.Run();
      ASSERT_GT(seconds, 0);
      EXPECT_EQ(t.counters().timeouts, 0u);
      EXPECT_EQ(t.counters().retrans_segs, 1u);
      EXPECT_EQ(t.receiver().wrong, 0u);
      EXPECT_LT(seconds, 0.1 * 24) << "20 windows, the handshake and one round trip more";
    }
  }
}

// LR-11: the last segment is lost: one probe repairs it, before a time-out would.
TEST(RecoverySim, TailLossIsRepairedByOneProbe) {
  Transfer::Options options;
  options.there = options.back = Path(20);
  options.octets = 10 * kSegment - 100;  // room for the FIN beside the last octets
  Transfer t(options);
  t.cable().forward.SetFilter(LoseSegment(10));
  t.Open();
  ASSERT_GT(t.Run(), 0);
  EXPECT_EQ(t.counters().loss_probes, 1u);
  EXPECT_EQ(t.counters().retrans_segs, 1u);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// LR-13: frames late by less than a quarter of the round trip are waited for.
TEST(RecoverySim, ReorderingInsideTheRackWindowRetransmitsNothing) {
  Transfer::Options options;
  options.there = options.back = Path(20);
  options.there.reorder = 0.02;
  options.there.reorder_delay = Duration::Milliseconds(8);
  options.tcp.congestion = tcp::CongestionKind::kNone;
  options.tcp.fixed_window_bytes = 200 * kSegment;
  options.tcp.delayed_ack = Duration::Milliseconds(1);
  Transfer t(options);
  t.Open();
  // The first late frame finds three SACKed segments and no reordering seen: RFC 8985 6.2.4 allows
  // no window then. After that there is one, and nothing goes again.
  t.world().RunFor(Duration::Milliseconds(300));
  const uint64_t reordered = t.cable().forward.impairment_counters().reordered;
  const uint64_t retransmitted = t.counters().retrans_segs;
  EXPECT_GT(reordered, 0u);
  EXPECT_LE(retransmitted, 3u);
  ASSERT_GT(t.Run(), 0);
  EXPECT_GT(t.cable().forward.impairment_counters().reordered, reordered + 50);
  EXPECT_EQ(t.counters().retrans_segs, retransmitted);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// CC-16: two flows share a bottleneck for 60 s, and each has half of it, give or take a fifth.
TEST(RecoverySim, TwoFlowsShareABottleneck) {
  for (const auto kind : {tcp::CongestionKind::kCubic, tcp::CongestionKind::kNewReno}) {
    SCOPED_TRACE(static_cast<int>(kind));
    Transfer::Options options;
    options.there = options.back = Path(10);
    options.there.rate_bps = 20'000'000;
    options.there.queue_packets_max = 50;
    options.tcp.congestion = kind;
    options.octets = 1'000'000'000;
    Transfer t(options);
    t.Open();
    t.Open();
    (void)t.world().RunFor(Duration::Seconds(60));
    ASSERT_EQ(t.receiver().received.size(), 2u);
    const double first = static_cast<double>(t.receiver().received[0]);
    const double second = static_cast<double>(t.receiver().received[1]);
    EXPECT_GT(first + second, 0.8 * 20e6 / 8 * 60) << "the bottleneck is used";
    EXPECT_NEAR(first / (first + second), 0.5, 0.1);
  }
}

// Every fault at once. No wrong octet, and it ends.
TEST(RecoverySim, EveryOctetArrivesThroughEveryFault) {
  Transfer::Options options;
  const bool nightly = std::getenv("MILLRACE_NIGHTLY") != nullptr;
  options.octets = nightly ? 1'000'000'000 : 20'000'000;
  for (sim::Impairment* path : {&options.there, &options.back}) {
    *path = Path(1);
    path->loss = 0.05;
    path->reorder = 0.05;
    path->duplicate = 0.01;
    path->corrupt = 0.01;
  }
  options.there.seed = 7;
  Transfer t(options);
  t.Open();
  ASSERT_GT(t.Run(1, Duration::Seconds(1'000'000)), 0);
  EXPECT_EQ(t.receiver().received.at(0), options.octets);
  EXPECT_EQ(t.receiver().wrong, 0u);
}

// RFC 9438 section 4.3: CUBIC does not fall behind the AIMD flow of the same beta, whose average
// window is window sqrt(alpha (1+b) / (2 (1-b) p)) segments.
TEST(RecoverySim, CubicReachesTheResponseFunctionAtOnePercentLoss) {
  Transfer::Options options;
  options.there = options.back = Path(20);
  options.there.loss = 0.01;
  options.octets = 40'000'000;
  options.tcp.delayed_ack = Duration::Milliseconds(1);
  Transfer t(options);
  t.Open();
  const double seconds = t.Run();
  ASSERT_GT(seconds, 0);
  const double goodput = static_cast<double>(options.octets) * 8 / seconds;
  const double window = std::sqrt(9.0 / 17 * 1.7 / (2 * 0.3 * 0.01));
  EXPECT_GT(goodput, 0.8 * window * kSegment * 8 / 0.04);
  EXPECT_LE(t.counters().timeouts, 3u);
}

// Pacing spreads the window and loses no speed by it.
TEST(RecoverySim, PacingReachesTheBottleneck) {
  for (const bool pacing : {false, true}) {
    SCOPED_TRACE(pacing);
    Transfer::Options options;
    options.there = options.back = Path(20);
    options.there.rate_bps = 50'000'000;
    options.there.queue_packets_max = 200;
    options.tcp.pacing = pacing;
    options.octets = 50'000'000;
    Transfer t(options);
    t.Open();
    const double seconds = t.Run();
    ASSERT_GT(seconds, 0);
    EXPECT_GT(static_cast<double>(options.octets) * 8 / seconds, 0.8 * 50e6);
    EXPECT_EQ(t.counters().paced > 0, pacing);
  }
}

}  // namespace
}  // namespace millrace::testing
