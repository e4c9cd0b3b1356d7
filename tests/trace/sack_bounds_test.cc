// SACK Slowness (CVE-2019-11478, FreeBSD's CVE-2019-5599): what a receiver can make of our
// scoreboard, and what an ACK of his costs us, in runs that are walked through.

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "millrace/base/prng.h"
#include "testing/loss.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kSegments = 4195;  // 4 MB
constexpr uint32_t kFlight = kSegments * kMss;

// 4 MB are in flight at once.
void Load(Trace& t) {
  t.AcceptFromPeer(
      {.window = 65535, .mss = kMss, .window_scale = uint8_t{14}, .sack_permitted = true});
  t.Send(Octets(kFlight));
  ASSERT_EQ(t.AllSent().size(), kSegments);
}

TraceOptions Large() {
  TraceOptions options;
  options.config.tcp.congestion = tcp::CongestionKind::kNone;
  options.config.tcp.fixed_window_bytes = 2 * kFlight;
  options.config.tcp.send_buffer_bytes = 2 * kFlight;
  options.config.limits.send_extents = 8192;
  options.config.limits.send_chunks = 8192;
  return options;
}

// Each of three blocks is looked for from the front, then RACK and the next repair pass through
// all runs once.
constexpr uint32_t kWalksPerAck = 3 + 2;

// Every other segment of 4 MB is SACKed, from the left, from the right and in random order: the
// runs, and with them the steps of each ACK, stay within the bound of the configuration, and what
// is not believed is sent again, no more.
TEST(SackBounds, EveryOtherSegmentOfFourMegabytesCostsABoundedNumberOfSteps) {
  enum class Order { kRising, kFalling, kShuffled };
  for (const Order order : {Order::kRising, Order::kFalling, Order::kShuffled}) {
    SCOPED_TRACE(static_cast<int>(order));
    Trace t(Large());
    ASSERT_NO_FATAL_FAILURE(Load(t));
    const uint32_t runs_max = t.options().config.tcp.sent_runs_max;
    std::vector<uint32_t> segments;
    for (uint32_t n = 1; n < kSegments; n += 2) segments.push_back(n);
    if (order == Order::kFalling) std::reverse(segments.begin(), segments.end());
    Prng dice(1);
    for (size_t i = segments.size(); order == Order::kShuffled && i > 1; --i) {
      std::swap(segments[i - 1], segments[dice.Below(i)]);
    }
    uint64_t steps = 0;
    for (size_t i = 2; i < segments.size(); ++i) {
      steps += kWalksPerAck * BoardOf(t).runs();
      std::vector<SackRange> blocks;
      for (const uint32_t n : {segments[i], segments[i - 1], segments[i - 2]}) {
        blocks.push_back({At(n), At(n + 1)});
      }
      t.Receives(Ack(1, blocks));
      ASSERT_LE(BoardOf(t).runs(), runs_max);
      ASSERT_LE(t.engine().env().recovery_pool.runs.used(), runs_max);
    }
    EXPECT_LE(steps, uint64_t{kWalksPerAck} * runs_max * segments.size());
    EXPECT_EQ(BoardOf(t).runs(), runs_max) << "the bound was met";
    EXPECT_GT(t.counters().sack_not_believed, 0u);
    EXPECT_LE(t.AllSent().size(), kSegments) << "none goes again twice";
    t.Receives(Ack(1 + kFlight));
    EXPECT_EQ(t.tcb()->flight(), 0u);
    EXPECT_EQ(t.engine().env().recovery_pool.runs.used(), 0u);
  }
}

// What a core's pool has is shared: when it is empty, SACKs are not believed, and nothing else
// suffers.
TEST(SackBounds, EmptyPoolOfRunsStopsNoTransfer) {
  TraceOptions options = Large();
  options.config.limits.sent_runs = 16;
  Trace t(options);
  ASSERT_NO_FATAL_FAILURE(Load(t));
  for (uint32_t n = 1; n < 200; n += 2) t.Receives(Ack(1, {{At(n), At(n + 1)}}));
  EXPECT_EQ(t.engine().env().recovery_pool.runs.used(), 16u);
  EXPECT_GT(t.counters().sack_not_believed, 0u);
  t.Receives(Ack(1 + kFlight));
  EXPECT_EQ(t.tcb()->flight(), 0u);
}

}  // namespace
}  // namespace millrace::testing
