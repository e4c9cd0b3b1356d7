#include "apps/result/statistics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;

struct Row {
  double freedom, p, t;
};

// Printed tables of Student's distribution.
TEST(Student, QuantilesAreThoseOfTheTables) {
  const Row rows[] = {{1, 0.975, 12.706},   {2, 0.975, 4.3027},    {4, 0.975, 2.7764},
                      {8, 0.975, 2.3060},   {10, 0.95, 1.8125},    {30, 0.995, 2.7500},
                      {120, 0.975, 1.9799}, {1e6, 0.975, 1.95997}, {5, 0.9, 1.4759}};
  for (const Row& row : rows) {
    EXPECT_NEAR(StudentQuantile(row.p, row.freedom), row.t, row.t * 1e-4) << row.freedom;
    EXPECT_NEAR(StudentQuantile(1 - row.p, row.freedom), -row.t, row.t * 1e-4) << row.freedom;
    EXPECT_NEAR(StudentBelow(row.t, row.freedom), row.p, 1e-5) << row.freedom;
  }
}

// One degree of freedom is Cauchy's distribution, two have a closed form.
TEST(Student, AgreesWithTheClosedForms) {
  for (const double t : {-30.0, -2.0, -0.1, 0.0, 0.5, 1.0, 7.0, 1000.0}) {
    EXPECT_NEAR(StudentBelow(t, 1), 0.5 + std::atan(t) / std::acos(-1.0), 1e-12) << t;
    EXPECT_NEAR(StudentBelow(t, 2), 0.5 + t / (2 * std::sqrt(2 + t * t)), 1e-12) << t;
  }
}

// By hand, from the definition.
TEST(Compare, IsWelchsTest) {
  const std::vector<double> a = {10, 11, 9, 10, 12}, b = {12, 11, 13, 12, 11};
  const MeanDifference d = Compare(a, b);
  EXPECT_NEAR(d.difference, 1.4, 1e-12);
  // Variances 1.3 and 0.7: error = sqrt(1.3/5 + 0.7/5), freedom = (2/5)^2 / ((.26^2 + .14^2)/4).
  EXPECT_NEAR(d.error, std::sqrt(0.4), 1e-12);
  EXPECT_NEAR(d.freedom, 0.16 / ((0.26 * 0.26 + 0.14 * 0.14) / 4), 1e-12);
  EXPECT_NEAR(d.HalfWidth(0.95), StudentQuantile(0.975, d.freedom) * d.error, 1e-9);
  EXPECT_NEAR(d.ChanceAbove(0) + d.ChanceBelow(0), 1, 1e-12);
}

TEST(Compare, OneValueGivesNoInterval) {
  const std::vector<double> one = {10}, two = {11, 12};
  EXPECT_FALSE(Compare(one, two).has_interval());
  EXPECT_FALSE(Compare(two, one).has_interval());
  EXPECT_EQ(Compare(one, two).difference, 1.5);
}

TEST(Compare, ValuesThatAreAllAlikeAreCertain) {
  const std::vector<double> a = {5, 5, 5}, b = {6, 6};
  const MeanDifference d = Compare(a, b);
  EXPECT_TRUE(d.has_interval());
  EXPECT_EQ(d.HalfWidth(0.95), 0.0);
  EXPECT_EQ(d.ChanceAbove(0), 0.0);
  EXPECT_EQ(d.ChanceBelow(0), 1.0);
  EXPECT_EQ(Compare(a, a).ChanceAbove(0), 1.0);
}

// The ruler is the same for all of a side, so more values make it no finer.
TEST(Compare, ValuesThatAreAlikeAreAsUncertainAsTheirRuler) {
  const std::vector<double> a = {5, 5, 5}, b = {6, 6, 6};
  const MeanDifference d = Compare(a, b, 0.3, 0.4);
  EXPECT_TRUE(d.by_ruler);
  EXPECT_NEAR(d.error, 0.5, 1e-12);
  EXPECT_NEAR(d.freedom, 0.0625 / ((0.0081 + 0.0256) / 2), 1e-9);
  const std::vector<double> apart = {5, 9, 1}, more = {2, 16, 6};
  EXPECT_FALSE(Compare(apart, more, 0.3, 0.4).by_ruler);
  EXPECT_EQ(Compare(apart, more, 0.3, 0.4).error, Compare(apart, more).error);
}

// What a 95 % interval promises: of 2,000 pairs of five values with one true mean and different
// spreads, it holds 0 in 95 %. Six standard errors of room.
TEST(Compare, IntervalHoldsTheTruthAsOftenAsItSays) {
  Prng random(11);
  const auto normal = [&random] {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.Below(1'000'000)) * 1e-6;
    return sum;
  };
  int held = 0;
  constexpr int kPairs = 2000;
  for (int i = 0; i < kPairs; ++i) {
    std::vector<double> a, b;
    for (int j = 0; j < 5; ++j) a.push_back(normal());
    for (int j = 0; j < 5; ++j) b.push_back(2 * normal());
    const MeanDifference d = Compare(a, b);
    held += std::abs(d.difference) <= d.HalfWidth(0.95) ? 1 : 0;
  }
  EXPECT_NEAR(held, kPairs * 0.95, 6 * std::sqrt(kPairs * 0.95 * 0.05));
}

TEST(Holm, StopsAtTheFirstThatIsNotClear) {
  const std::vector<double> chances = {0.01, 0.04, 0.03, 0.005};
  // 0.005 <= 0.05/4, 0.01 <= 0.05/3, 0.03 > 0.05/2.
  EXPECT_THAT(Holm(chances, 0.05), ElementsAre(true, false, false, true));
  EXPECT_THAT(Holm({}, 0.05), ElementsAre());
}

}  // namespace
}  // namespace millrace::apps
