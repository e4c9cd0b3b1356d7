#include "apps/load/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace millrace::apps {
namespace {

std::vector<int64_t> First(Schedule schedule, size_t n) {
  std::vector<int64_t> starts;
  for (; starts.size() < n; schedule.Advance()) starts.push_back(schedule.next().ns());
  return starts;
}

// Those of all ranks together, in order.
std::vector<int64_t> Together(double rate, const Arrival& arrival, Duration ramp, uint32_t ranks,
                              size_t each) {
  std::vector<int64_t> all;
  for (uint32_t i = 0; i < ranks; ++i) {
    const auto part = First(Schedule(rate, arrival, ramp, {i, ranks}, 7), each);
    all.insert(all.end(), part.begin(), part.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST(Schedule, PacedStartsAreWhereTheyBelongAfterBillions) {
  Schedule schedule(3, {}, {}, {}, 1);
  EXPECT_EQ(First(schedule, 4), (std::vector<int64_t>{0, 333'333'333, 666'666'667, 1'000'000'000}));
  // 1.2 M a second: the last start of an hour is off by less than a nanosecond.
  Schedule fast(1'200'000, {}, {}, {}, 1);
  constexpr int64_t kStarts = 10'000'000;
  for (int64_t i = 0; i < kStarts; ++i) fast.Advance();
  EXPECT_EQ(fast.next().ns(), kStarts * 2'500 / 3);
}

TEST(Schedule, RanksDealOutTheSamePacedStarts) {
  for (const Arrival& arrival : {Arrival{}, Arrival{ArrivalKind::kBurst, 5}}) {
    for (const uint32_t ranks : {2u, 3u, 7u}) {
      const Duration ramp = Duration::Milliseconds(3);
      EXPECT_EQ(Together(1e6, arrival, ramp, ranks, 1'050),
                First(Schedule(1e6, arrival, ramp, {}, 7), 1'050 * ranks));
    }
  }
}

// What is left out is what Advance would have gone through, and the schedule goes on behind it.
TEST(Schedule, SkipsToATimeAsIfItHadGoneThere) {
  for (const Arrival& arrival : {Arrival{}, Arrival{ArrivalKind::kBurst, 7}}) {
    for (const int64_t until_ns : {0, 1, 999, 1'000, 5'000'000, 5'000'001, 123'456'789}) {
      Schedule skipped(1e6, arrival, Duration::Milliseconds(10), {1, 3}, 7), walked = skipped;
      uint64_t n = 0;
      for (; walked.next().ns() < until_ns; walked.Advance()) ++n;
      EXPECT_EQ(skipped.SkipTo(Duration::Nanoseconds(until_ns)), n) << until_ns;
      EXPECT_EQ(First(skipped, 20), First(walked, 20)) << until_ns;
    }
  }
}

TEST(Schedule, OfNextToNothingSkipsToTheEndOfAnyRun) {
  for (const ArrivalKind kind : {ArrivalKind::kPaced, ArrivalKind::kPoisson}) {
    Schedule schedule(1e-12, {kind}, {}, {1, 2}, 1);
    EXPECT_EQ(schedule.SkipTo(Duration::Seconds(3600)), 0u);
    schedule.Advance();
    EXPECT_GT(schedule.next(), Duration::Seconds(3600));
  }
}

TEST(Schedule, SkipsRandomStartsByTheirRate) {
  for (const ArrivalKind kind : {ArrivalKind::kPoisson, ArrivalKind::kUniform}) {
    Schedule few(1e6, {kind, 1}, {}, {1, 3}, 7), walked = few;
    uint64_t n = 0;
    for (; walked.next() < Duration::Milliseconds(9); walked.Advance()) ++n;
    EXPECT_EQ(few.SkipTo(Duration::Milliseconds(9)), n);
    EXPECT_EQ(few.next(), walked.next());
    Schedule many(3e8, {kind, 1}, Duration::Seconds(2), {1, 3}, 7);
    EXPECT_NEAR(static_cast<double>(many.SkipTo(Duration::Seconds(11))), 1e9, 1e5);
    EXPECT_GE(many.next(), Duration::Seconds(11));
    EXPECT_LT(many.next(), Duration::Nanoseconds(11'000'000'999));
    many.Advance();
    EXPECT_LT(many.next(), Duration::Nanoseconds(11'000'001'999));
  }
}

TEST(Schedule, BurstsStartTogether) {
  EXPECT_EQ(First(Schedule(1'000, {ArrivalKind::kBurst, 3}, {}, {}, 1), 7),
            (std::vector<int64_t>{0, 0, 0, 3'000'000, 3'000'000, 3'000'000, 6'000'000}));
}

TEST(Schedule, RampReachesTheRateLinearly) {
  const Duration ramp = Duration::Seconds(10);
  Schedule schedule(1'000, {}, ramp, {}, 1);
  const std::vector<int64_t> starts = First(schedule, 6'000);
  // 1000/s after 10 s of ramp: 5000 starts in it, 1250 in its first half.
  const auto before = [&](double seconds) {
    return std::lower_bound(starts.begin(), starts.end(), static_cast<int64_t>(seconds * 1e9)) -
           starts.begin();
  };
  EXPECT_EQ(before(5), 1'250);
  EXPECT_EQ(before(10), 5'000);
  EXPECT_EQ(starts[5'500] - starts[5'000], 500'000'000);
}

struct Gaps {
  double mean_ns, squared_variation;  // variance over mean squared
};

Gaps GapsOf(ArrivalKind kind, uint32_t ranks) {
  constexpr size_t kStarts = 200'000;
  const auto starts = Together(1e5, {kind, 1}, {}, ranks, kStarts / ranks);
  const size_t n = kStarts / 2;  // behind it some ranks may have ended
  const double mean = static_cast<double>(starts[n]) / static_cast<double>(n);
  double squares = 0;
  for (size_t i = 1; i <= n; ++i) {
    const double off = static_cast<double>(starts[i] - starts[i - 1]) - mean;
    squares += off * off;
  }
  return {mean, squares / static_cast<double>(n) / (mean * mean)};
}

TEST(Schedule, PoissonGapsVaryAsMuchAsTheirMeanHoweverManyRanksDrawThem) {
  for (const uint32_t ranks : {1u, 4u}) {
    const Gaps gaps = GapsOf(ArrivalKind::kPoisson, ranks);
    EXPECT_NEAR(gaps.mean_ns, 10'000, 200) << ranks;
    EXPECT_NEAR(gaps.squared_variation, 1, 0.05) << ranks;
  }
}

TEST(Schedule, UniformGapsVaryByAThird) {
  const Gaps gaps = GapsOf(ArrivalKind::kUniform, 1);
  EXPECT_NEAR(gaps.mean_ns, 10'000, 100);
  EXPECT_NEAR(gaps.squared_variation, 1.0 / 3, 0.01);
}

TEST(Schedule, SeedsGiveTheSameStartsAgain) {
  const Arrival poisson{ArrivalKind::kPoisson, 1};
  EXPECT_EQ(First(Schedule(10, poisson, {}, {}, 5), 50),
            First(Schedule(10, poisson, {}, {}, 5), 50));
  EXPECT_NE(First(Schedule(10, poisson, {}, {}, 5), 50),
            First(Schedule(10, poisson, {}, {}, 6), 50));
}

// What an interval of a ramp should have started is what the schedule starts in it.
// --count is of the window, and of all ranks.
TEST(Schedule, WhatIsDueIsCountedFromTheWindow) {
  constexpr int64_t kSecond = 1'000'000'000;
  RunPlan plan;
  plan.rate_per_s = 1'000;
  plan.count = 3'000;
  plan.rank = {0, 2};
  EXPECT_DOUBLE_EQ(StartsDue(plan, false, 0, 4 * kSecond), 2'000);
  EXPECT_DOUBLE_EQ(StartsDue(plan, true, 4 * kSecond, 6 * kSecond), 1'000);
  EXPECT_DOUBLE_EQ(StartsDue(plan, true, 4 * kSecond, 9 * kSecond), 1'500);
  plan.ramp = Duration::Seconds(2);
  EXPECT_DOUBLE_EQ(StartsDue(plan, false, 0, 2 * kSecond), 500);
}

TEST(Schedule, FullRateTimeSaysHowManyStartsAreDue) {
  constexpr double kRate = 1000;
  const Duration ramp = Duration::Seconds(2);
  Schedule schedule(kRate, {}, ramp, {}, 1);
  double started = 0;
  for (int tenth = 1; tenth <= 40; ++tenth) {
    const Duration until = Duration::Milliseconds(100 * tenth);
    for (; schedule.next() < until; schedule.Advance()) ++started;
    EXPECT_NEAR(kRate * 1e-9 * FullRateNs(static_cast<double>(until.ns()), ramp), started, 1.01);
  }
  EXPECT_EQ(started, 3000);
}

}  // namespace
}  // namespace millrace::apps
