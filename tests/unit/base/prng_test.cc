#include "millrace/base/prng.h"

#include <gtest/gtest.h>

#include <array>

namespace millrace {
namespace {

// From an independent implementation of both algorithms that yields their published vectors.
TEST(Prng, GivesThePublishedSequence) {
  Prng zero(0);
  for (const uint64_t expected :
       {0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au, 0x1a5f849d4933e6e0u, 0x6aa594f1262d2d2cu}) {
    EXPECT_EQ(zero.Next(), expected);
  }
  Prng answer(42);
  EXPECT_EQ(answer.Next(), 0x15780b2e0c2ec716u);
  EXPECT_EQ(answer.Next(), 0x6104d9866d113a7eu);
}

TEST(Prng, BelowStaysBelowAndReachesEverything) {
  Prng prng(1);
  std::array<int, 7> seen{};
  for (int i = 0; i < 70'000; ++i) {
    const uint64_t value = prng.Below(7);
    ASSERT_LT(value, 7u);
    ++seen[value];
  }
  for (const int n : seen) EXPECT_NEAR(n, 10'000, 500);  // five standard deviations
}

TEST(Prng, BelowOneIsZero) {
  Prng prng(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(prng.Below(1), 0u);
}

// Just above 2^63, the naive modulo would give small numbers twice as often.
TEST(Prng, BelowIsEvenForHugeRanges) {
  Prng prng(2);
  constexpr uint64_t kRange = (uint64_t{3} << 62);
  int lower_third = 0;
  for (int i = 0; i < 30'000; ++i) lower_third += prng.Below(kRange) < (uint64_t{1} << 62) ? 1 : 0;
  EXPECT_NEAR(lower_third, 10'000, 410);
}

TEST(Prng, UniformIsInTheUnitIntervalWithMeanOneHalf) {
  Prng prng(3);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double value = prng.Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.005);
}

TEST(Prng, ChanceFollowsItsProbabilityAndItsBounds) {
  Prng prng(4);
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) {
    hits += prng.Chance(0.25) ? 1 : 0;
    ASSERT_FALSE(prng.Chance(0));
    ASSERT_FALSE(prng.Chance(-1));
    ASSERT_TRUE(prng.Chance(1));
  }
  EXPECT_NEAR(hits, 25'000, 700);
}

TEST(Prng, SeedsGiveDifferentSequences) {
  EXPECT_NE(Prng(1).Next(), Prng(2).Next());
  EXPECT_EQ(Prng(9).Next(), Prng(9).Next());
}

}  // namespace
}  // namespace millrace
