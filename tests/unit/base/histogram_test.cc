#include "millrace/base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace {
namespace {

TEST(Histogram, EmptyOneHasOnlyZeros) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0.0);
  EXPECT_EQ(histogram.ValueAtQuantile(0.5), 0u);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t v = 0; v <= 2047; ++v) histogram.Record(v);
  EXPECT_EQ(histogram.ValueAtQuantile(0), 0u);
  EXPECT_EQ(histogram.ValueAtQuantile(0.5), 1023u);
  EXPECT_EQ(histogram.ValueAtQuantile(1), 2047u);
  EXPECT_EQ(histogram.mean(), 1023.5);
}

// Three digits: 2048 counters up to 2047, then 1024 for each power of two (HdrHistogram's own
// numbers).
TEST(Histogram, CountersHaveHdrHistogramsWidths) {
  Histogram histogram;
  for (const uint64_t v : {2047u, 2048u, 2049u, 2050u, 4095u, 4096u, 4099u, 4100u}) {
    histogram.Record(v);
  }
  std::vector<std::pair<uint64_t, uint64_t>> seen;
  histogram.ForEach([&](uint64_t highest, uint64_t n) { seen.emplace_back(highest, n); });
  const std::vector<std::pair<uint64_t, uint64_t>> expected = {{2047, 1}, {2049, 2}, {2051, 1},
                                                               {4095, 1}, {4099, 2}, {4103, 1}};
  EXPECT_EQ(seen, expected);
}

TEST(Histogram, EveryCounterStartsWhereTheOneBeforeEnds) {
  for (uint64_t v = 1; v < Histogram::kHighestNs; v = v * 9 / 8 + 1) {
    Histogram histogram;
    histogram.Record(v);
    histogram.Record(Histogram::kHighestNs);  // so that max() does not cut the counter's end off
    const uint64_t end = histogram.ValueAtQuantile(0.5);
    ASSERT_GE(end, v);
    ASSERT_LE(end - v, v / 1000) << v;
    histogram.Clear();
    histogram.Record(end);
    histogram.Record(Histogram::kHighestNs);
    ASSERT_EQ(histogram.ValueAtQuantile(0.5), end);
    histogram.Clear();
    histogram.Record(end + 1);
    histogram.Record(Histogram::kHighestNs);
    ASSERT_GT(histogram.ValueAtQuantile(0.5), end);
  }
}

TEST(Histogram, ValuesAboveTheHighestCountAsTheHighest) {
  Histogram histogram;
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), Histogram::kHighestNs);
  EXPECT_EQ(histogram.ValueAtQuantile(1), Histogram::kHighestNs);
}

TEST(Histogram, QuantilesOfOneHundredFallOnTheirRank) {
  Histogram histogram;
  for (uint64_t v = 1; v <= 100; ++v) histogram.Record(v);
  for (uint64_t percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(histogram.ValueAtQuantile(static_cast<double>(percent) / 100), percent);
  }
  EXPECT_EQ(histogram.ValueAtQuantile(-1), 1u);
  EXPECT_EQ(histogram.ValueAtQuantile(2), 100u);
}

class HistogramDigits : public testing::TestWithParam<int> {};

TEST_P(HistogramDigits, AgreesWithASortedVector) {
  Prng prng(static_cast<uint64_t>(GetParam()));
  Histogram histogram(GetParam());
  std::vector<uint64_t> values;
  double sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t value = prng.Next() >> (23 + prng.Below(41));  // all magnitudes below 2^41
    values.push_back(value);
    sum += static_cast<double>(value);
    histogram.Record(value);
  }
  std::sort(values.begin(), values.end());
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_NEAR(histogram.mean(), sum / 20'000, sum * 1e-12);
  for (const double q : {0.0001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(q * 20'000 - 1e-9));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto estimate = static_cast<double>(histogram.ValueAtQuantile(q));
    EXPECT_GE(estimate, exact) << q;
    EXPECT_LE(estimate - exact, exact * std::pow(10, -GetParam())) << q;
  }
}

INSTANTIATE_TEST_SUITE_P(All, HistogramDigits, testing::Values(1, 2, 3, 4, 5));

TEST(Histogram, AddEqualsRecordingEverythingInOne) {
  Prng prng(1);
  Histogram a, b, both;
  for (int i = 0; i < 5000; ++i) {
    const uint64_t value = prng.Below(1'000'000'000);
    (i % 3 == 0 ? a : b).Record(value);
    both.Record(value);
  }
  a.Add(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.mean(), both.mean());
  for (double q = 0; q <= 1; q += 0.001) {
    ASSERT_EQ(a.ValueAtQuantile(q), both.ValueAtQuantile(q)) << q;
  }
}

TEST(Histogram, AddOfAnEmptyOneChangesNothing) {
  Histogram a;
  a.Record(5);
  a.Add(Histogram());
  EXPECT_EQ(a.min(), 5u);
  EXPECT_EQ(a.max(), 5u);
  EXPECT_EQ(a.count(), 1u);
}

TEST(HistogramDeathTest, AddRefusesAnotherPrecision) {
  Histogram a(3);
  const Histogram b(2);
  EXPECT_DEATH(a.Add(b), "check failed");
}

TEST(Histogram, ClearForgetsEverything) {
  Histogram histogram;
  histogram.Record(77);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  histogram.Record(5);
  EXPECT_EQ(histogram.min(), 5u);
  EXPECT_EQ(histogram.ValueAtQuantile(1), 5u);
}

TEST(Histogram, IsMadeAgainFromItsCountersAndTotals) {
  Histogram histogram(2, 1'000'000);
  Prng random(7);
  for (int i = 0; i < 1000; ++i) histogram.Record(random.Below(1'500'000));
  Histogram again(2, 1'000'000);
  histogram.ForEach(
      [&](uint64_t highest, uint64_t n) { EXPECT_TRUE(again.RestoreCounter(highest, n)); });
  EXPECT_FALSE(again == histogram);
  EXPECT_TRUE(again.RestoreTotals(histogram.sum(), histogram.min(), histogram.max()));
  EXPECT_TRUE(again == histogram);
}

TEST(Histogram, RestoringRefusesWhatCannotHaveBeen) {
  Histogram histogram(3, 10'000);
  EXPECT_FALSE(histogram.RestoreCounter(1'000'000, 1));
  EXPECT_FALSE(histogram.RestoreTotals(0, 0, 1));
  EXPECT_TRUE(histogram.RestoreTotals(0, 0, 0));
  EXPECT_TRUE(histogram.RestoreCounter(5, 1));
  EXPECT_FALSE(histogram.RestoreCounter(6, UINT64_MAX));
  EXPECT_TRUE(histogram.RestoreCounter(9'000, 1));
  EXPECT_FALSE(histogram.RestoreTotals(9'005, 4, 9'000));
  EXPECT_FALSE(histogram.RestoreTotals(9'005, 5, 8'000));
  EXPECT_FALSE(histogram.RestoreTotals(9'005, 5, 20'000));
  EXPECT_FALSE(histogram.RestoreTotals(9'005, 9'000, 5));
  EXPECT_TRUE(histogram.RestoreTotals(9'005, 5, 9'000));
}

}  // namespace
}  // namespace millrace
