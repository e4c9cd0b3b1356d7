// The estimator of RFC 6298 against a floating-point reference (RTO-01, RTO-02).

#include "millrace/tcp/rtt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

// RFC 6298 section 2 in its own words.
struct Reference {
  double srtt = 0, rttvar = 0;
  bool any = false;
  void OnSample(double r) {
    if (!any) {
      srtt = r;
      rttvar = r / 2;
      any = true;
      return;
    }
    rttvar = 0.75 * rttvar + 0.25 * std::abs(srtt - r);
    srtt = 0.875 * srtt + 0.125 * r;
  }
  double rto_us() const { return srtt + 4 * rttvar; }
};

Config Unclamped() {
  Config config;
  config.rto_min = Duration::Nanoseconds(0);
  config.rto_max = Duration::Seconds(10'000);
  return config;
}

TEST(RttEstimator, GranularityKeepsTheTimeoutAboveASteadyRoundTrip) {
  Config config;
  RttEstimator rtt;
  for (int i = 0; i < 100; ++i) rtt.OnSample(100'000);
  EXPECT_EQ(rtt.Rto(config), config.rto_min);
  config.rto_granularity = Duration::Milliseconds(200);
  EXPECT_EQ(rtt.Rto(config), Duration::Microseconds(rtt.srtt_us() + 200'000));
}

TEST(RttEstimator, StartsWithTheInitialTimeout) {
  const RttEstimator rtt;
  EXPECT_FALSE(rtt.has_sample());
  EXPECT_EQ(rtt.Rto(Config()), Duration::Seconds(1));
}

TEST(RttEstimator, FirstSampleSetsVarianceToHalf) {
  RttEstimator rtt;
  rtt.OnSample(100'000);
  EXPECT_EQ(rtt.srtt_us(), 100'000u);
  EXPECT_EQ(rtt.rttvar_us(), 50'000u);
  EXPECT_EQ(rtt.Rto(Config()), Duration::Milliseconds(300));
}

TEST(RttEstimator, VarianceUsesTheOldMean) {
  RttEstimator rtt;
  rtt.OnSample(100'000);
  rtt.OnSample(200'000);
  EXPECT_EQ(rtt.rttvar_us(), 62'500u);
  EXPECT_EQ(rtt.srtt_us(), 112'500u);
}

TEST(RttEstimator, FollowsTheReferenceOverRandomSamples) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Prng prng(seed);
    RttEstimator rtt;
    Reference reference;
    const uint64_t base = 1 + prng.Below(2'000'000);
    for (int i = 0; i < 500; ++i) {
      const auto sample = static_cast<uint32_t>(base + prng.Below(base));
      rtt.OnSample(sample);
      reference.OnSample(sample);
      ASSERT_NEAR(rtt.srtt_us(), reference.srtt, 16) << "seed " << seed;
      ASSERT_NEAR(rtt.rttvar_us(), reference.rttvar, 32) << "seed " << seed;
      const double rto_us = static_cast<double>(rtt.Rto(Unclamped()).us());
      ASSERT_NEAR(rto_us, reference.rto_us(), 144) << "seed " << seed;
    }
  }
}

TEST(RttEstimator, StaysWithinTheBounds) {
  const Config config;
  RttEstimator small;
  small.OnSample(0);
  EXPECT_TRUE(small.has_sample());
  EXPECT_EQ(small.Rto(config), config.rto_min);
  RttEstimator large;
  for (int i = 0; i < 1000; ++i) large.OnSample(0xFFFF'FFFF);
  EXPECT_EQ(large.Rto(config), config.rto_max);
  EXPECT_LE(large.srtt_us(), 120'000'000u);
}

TEST(RttEstimator, ConstantSamplesConverge) {
  RttEstimator rtt;
  for (int i = 0; i < 200; ++i) rtt.OnSample(5000);
  EXPECT_NEAR(rtt.srtt_us(), 5000, 1);
  EXPECT_LE(rtt.rttvar_us(), 3u);
}

}  // namespace
}  // namespace millrace::tcp
