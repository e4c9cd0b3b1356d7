#include "millrace/base/token_bucket.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

Instant At(int64_t ns) { return Instant::FromNanoseconds(ns); }

int TakeAll(TokenBucket& bucket, Instant now, int most = 1'000'000) {
  int taken = 0;
  while (taken < most && bucket.Take(now)) ++taken;
  return taken;
}

TEST(TokenBucket, StartsFullAndEndsAtTheBurst) {
  TokenBucket bucket(1000, 5);
  EXPECT_EQ(TakeAll(bucket, At(0)), 5);
  EXPECT_FALSE(bucket.Take(At(0)));
}

TEST(TokenBucket, EarnsATokenExactlyWhenItsTimeHasPassed) {
  TokenBucket bucket(1000, 5);
  TakeAll(bucket, At(0));
  EXPECT_FALSE(bucket.Take(At(999'999)));
  EXPECT_TRUE(bucket.Take(At(1'000'000)));
  EXPECT_FALSE(bucket.Take(At(1'000'000)));
}

TEST(TokenBucket, LosesNoFractionHoweverOftenItIsAsked) {
  TokenBucket bucket(3'000'000, 2);  // a token every 333.3 ns
  TakeAll(bucket, At(0));
  int taken = 0;
  for (int64_t ns = 1; ns <= 1'000'000; ++ns) taken += bucket.Take(At(ns)) ? 1 : 0;
  EXPECT_EQ(taken, 3000);
}

TEST(TokenBucket, SilenceEarnsNoMoreThanTheBurst) {
  TokenBucket bucket(1'000'000, 10);
  TakeAll(bucket, At(0));
  EXPECT_EQ(TakeAll(bucket, At(int64_t{1} << 60)), 10);
}

TEST(TokenBucket, FillsFromAnyEpoch) {
  TokenBucket bucket(1000, 2);
  EXPECT_EQ(TakeAll(bucket, At(-5'000'000'000)), 2);
  EXPECT_EQ(TakeAll(bucket, At(-5'000'000'000 + 1'000'000)), 1);
}

TEST(TokenBucket, EarnsNothingWhenTimeGoesBack) {
  TokenBucket bucket(1000, 2);
  TakeAll(bucket, At(10'000'000));
  EXPECT_FALSE(bucket.Take(At(5'000'000)));
}

TEST(TokenBucket, RateZeroGivesTheBurstAndNothingMore) {
  TokenBucket bucket(0, 3);
  EXPECT_EQ(TakeAll(bucket, At(0)), 3);
  EXPECT_FALSE(bucket.Take(At(int64_t{1} << 62)));
}

TEST(TokenBucket, BurstZeroLetsNothingThrough) {
  TokenBucket bucket(1'000'000, 0);
  EXPECT_FALSE(bucket.Take(At(0)));
  EXPECT_FALSE(bucket.Take(At(1'000'000'000)));
}

TEST(TokenBucket, LargestRateAndBurstDoNotOverflow) {
  TokenBucket bucket(TokenBucket::kRateMax, TokenBucket::kBurstMax);
  EXPECT_EQ(TakeAll(bucket, At(0), 1000), 1000);
  TokenBucket fast(TokenBucket::kRateMax, 10'000);
  TakeAll(fast, At(0));
  EXPECT_EQ(TakeAll(fast, At(1)), 1000);  // 10^12 a second is 1000 a nanosecond
}

}  // namespace
}  // namespace millrace
