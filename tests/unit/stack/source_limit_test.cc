#include "millrace/stack/source_limit.h"

#include <gtest/gtest.h>

namespace millrace::stack {
namespace {

constexpr SipKey kKey{1, 2};

Instant At(double seconds) {
  return Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9) + 1'000'000'000);
}

IpAddress Source(uint32_t i) { return IpAddress::V4(0x0B00'0000 + i); }

// How many of `count` SYNs, evenly over [from, to) seconds, get through.
uint32_t Passed(SourceLimit& limit, const IpAddress& source, uint32_t count, double from,
                double to) {
  uint32_t passed = 0;
  for (uint32_t i = 0; i < count; ++i) {
    passed += limit.Take(source, At(from + (to - from) * i / count)) ? 1 : 0;
  }
  return passed;
}

TEST(SourceLimit, WithoutARateThereIsNone) { EXPECT_FALSE(SourceLimit(0, 64, kKey).enabled()); }

TEST(SourceLimit, BurstAtOnceAndTheRateAfterwards) {
  SourceLimit limit(100, 10, kKey);
  EXPECT_EQ(Passed(limit, Source(1), 1000, 0, 0), 10u);
  EXPECT_NEAR(Passed(limit, Source(1), 10'000, 0, 5), 500, 2);
  // Silence earns the burst again, and no more.
  EXPECT_EQ(Passed(limit, Source(1), 1000, 100, 100), 10u);
}

TEST(SourceLimit, BurstOfOneIsAnEvenRate) {
  SourceLimit limit(10, 1, kKey);
  EXPECT_EQ(Passed(limit, Source(1), 100, 0, 0), 1u);
  EXPECT_FALSE(limit.Take(Source(1), At(0.099)));
  EXPECT_TRUE(limit.Take(Source(1), At(0.1)));
}

// A slow sender's clock wraps every 71 minutes: silence of any length is silence.
TEST(SourceLimit, LongSilenceIsNoDebt) {
  SourceLimit limit(1, 5, kKey);
  for (const double hours : {0.0, 0.3, 0.6, 0.9, 1.2, 5.0, 100.0}) {
    EXPECT_EQ(Passed(limit, Source(1), 20, hours * 3600, hours * 3600), 5u) << hours;
  }
}

TEST(SourceLimit, SourcesDoNotShareALimit) {
  SourceLimit limit(1, 3, kKey);
  for (uint32_t i = 0; i < 2000; ++i) {
    EXPECT_EQ(Passed(limit, Source(i), 5, i * 1e-6, i * 1e-6), 3u) << i;
  }
}

TEST(SourceLimit, NetworkOfAnIpv6CustomerIsOneSource) {
  SourceLimit limit(1, 3, kKey);
  EXPECT_EQ(Passed(limit, IpAddress::V6(7, 1), 5, 0, 0), 3u);
  EXPECT_EQ(Passed(limit, IpAddress::V6(7, 2), 5, 0, 0), 0u);
  EXPECT_EQ(Passed(limit, IpAddress::V6(8, 1), 5, 0, 0), 3u);
}

// Many times the sources that are remembered: none is kept out, and who is at its limit stays known
// while those that sent one SYN make room.
TEST(SourceLimit, ManySourcesAreNotKeptOutAndTheLoudOneIsNotForgotten) {
  SourceLimit limit(10, 5, kKey);
  uint32_t loud = 0;
  for (uint32_t i = 0; i < 100'000; ++i) {
    const double now = i * 1e-5;
    EXPECT_TRUE(limit.Take(Source(1000 + i), At(now)));
    loud += limit.Take(Source(1), At(now)) ? 1 : 0;
  }
  EXPECT_LE(loud, 5u + 10 + 1);
}

}  // namespace
}  // namespace millrace::stack
