#include "apps/load/rate_search.h"

#include <gtest/gtest.h>

#include <functional>

#include "millrace/base/prng.h"

namespace millrace::apps {
namespace {

using Limit = RateSearch::Limit;

struct Done {
  RateSearch search;
  double seconds = 0;  // of all trials
};

// Runs a search against targets that meet goal i up to limits[i], and a generator that makes no
// more than `generator_per_s`.
Done Find(const RateSearchOptions& options, const std::vector<double>& limits,
          double generator_per_s = 1e12) {
  Done done{RateSearch(options, limits.size())};
  while (const auto trial = done.search.Next()) {
    done.seconds += trial->length.seconds();
    std::vector<bool> passed;
    for (const double limit : limits) passed.push_back(trial->rate_per_s <= limit);
    trial->rate_per_s > generator_per_s ? done.search.OnVoid(*trial)
                                        : done.search.OnTrial(*trial, passed);
  }
  return done;
}

TEST(RateSearch, FindsEveryLimitWithinTheWidth) {
  RateSearchOptions options;
  for (double limit = 2; limit < 5e7; limit *= 1.37) {
    const Done done = Find(options, {limit});
    const RateSearch::Bounds bounds = done.search.BoundsOf(0);
    EXPECT_LE(bounds.lower_per_s, limit);
    EXPECT_GT(bounds.upper_per_s, limit);
    EXPECT_LE(bounds.upper_per_s / bounds.lower_per_s, 1 + options.width) << limit;
    EXPECT_EQ(bounds.limit, Limit::kTarget);
    EXPECT_LT(done.search.trials(), 60u) << limit;
  }
}

TEST(RateSearch, OneSearchServesSeveralGoals) {
  RateSearchOptions options;
  const Done both = Find(options, {10'000, 14'000});
  EXPECT_NEAR(both.search.BoundsOf(0).lower_per_s, 10'000, 50);
  EXPECT_NEAR(both.search.BoundsOf(1).lower_per_s, 14'000, 70);
  const size_t apart =
      Find(options, {10'000}).search.trials() + Find(options, {14'000}).search.trials();
  EXPECT_LT(both.search.trials(), apart);
}

TEST(RateSearch, MostTrialsAreShort) {
  const Done done = Find({}, {123'456});
  EXPECT_LT(done.seconds, 0.6 * 10 * static_cast<double>(done.search.trials()));
}

TEST(RateSearch, SaysWhenTheGeneratorIsTheLimit) {
  const Done done = Find({}, {50'000}, 20'000);
  const RateSearch::Bounds bounds = done.search.BoundsOf(0);
  EXPECT_EQ(bounds.limit, Limit::kGenerator);
  EXPECT_NEAR(bounds.lower_per_s, 20'000, 150);
  // Above the target's limit it is the target's after all.
  EXPECT_EQ(Find({}, {50'000}, 60'000).search.BoundsOf(0).limit, Limit::kTarget);
}

TEST(RateSearch, OneDisturbedTrialIsMadeAgain) {
  RateSearch search({}, 1);
  int n = 0;
  while (const auto trial = search.Next()) {
    if (++n % 3 == 0) {
      search.OnVoid(*trial);
      const auto again = search.Next();
      ASSERT_TRUE(again);
      EXPECT_EQ(again->rate_per_s, trial->rate_per_s);
      search.OnTrial(*again, {again->rate_per_s <= 30'000});
    } else {
      search.OnTrial(*trial, {trial->rate_per_s <= 30'000});
    }
  }
  EXPECT_NEAR(search.BoundsOf(0).lower_per_s, 30'000, 150);
  EXPECT_EQ(search.BoundsOf(0).limit, Limit::kTarget);
}

TEST(RateSearch, OneFailureIsTriedAgainAndTwoAreABound) {
  RateSearch search({}, 1);
  int n = 0;
  while (const auto trial = search.Next()) {
    const bool met = trial->rate_per_s <= 30'000;
    if (++n % 4 != 0 || !met) {
      search.OnTrial(*trial, {met});
      continue;
    }
    search.OnTrial(*trial, {false});  // the machine's doing
    const auto again = search.Next();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->rate_per_s, trial->rate_per_s);
    EXPECT_EQ(again->length, trial->length);
    search.OnTrial(*again, {true});
  }
  EXPECT_NEAR(search.BoundsOf(0).lower_per_s, 30'000, 150);
  EXPECT_GT(search.BoundsOf(0).upper_per_s, 30'000);
}

// A trial below the limit fails in one of fifty by the machine's doing; within 0.3 % of the limit
// chance alone decides. Two such failures in a row are a wrong bound, so a search in a hundred may
// end lower; none ends higher.
TEST(RateSearch, NoiseIsNoLimit) {
  constexpr double kLimit = 41'234;
  int off = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Prng dice(seed);
    RateSearch search({}, 1);
    while (const auto trial = search.Next()) {
      const double part = trial->rate_per_s / kLimit;
      const bool near = part > 0.997 && part < 1.003;
      search.OnTrial(*trial, {near ? dice.Chance(0.5) : part < 1 && !dice.Chance(0.02)});
    }
    const RateSearch::Bounds bounds = search.BoundsOf(0);
    EXPECT_LT(bounds.lower_per_s, kLimit * 1.01) << seed;
    EXPECT_EQ(bounds.limit, Limit::kTarget) << seed;
    off += bounds.lower_per_s < kLimit * 0.99 ? 1 : 0;
  }
  EXPECT_LE(off, 10);
}

TEST(RateSearch, TrialsHaveEnoughStarts) {
  const RateSearchOptions options{.first_per_s = 5, .starts_min = 800};
  RateSearch search(options, 1);
  while (const auto trial = search.Next()) {
    const double starts = trial->rate_per_s * trial->length.seconds();
    EXPECT_TRUE(starts > 799 || trial->length == options.final_length) << trial->rate_per_s;
    search.OnTrial(*trial, {trial->rate_per_s <= 3'000});
  }
  EXPECT_NEAR(search.BoundsOf(0).lower_per_s, 3'000, 15);
}

TEST(RateSearch, EndsAtTheHighestRateAndAtNothing) {
  RateSearchOptions options;
  options.highest_per_s = 5'000;
  EXPECT_EQ(Find(options, {1e9}).search.BoundsOf(0).lower_per_s, 5'000);
  EXPECT_EQ(Find(options, {1e9}).search.BoundsOf(0).limit, Limit::kRange);
  const Done none = Find(options, {0});
  EXPECT_EQ(none.search.BoundsOf(0).lower_per_s, 0);
  EXPECT_LT(none.search.trials(), 20u);
}

TEST(RateSearch, LongTrialThatFailsMovesTheLowerBoundDown) {
  // Short trials pass up to 10 000, long ones up to 8 000: buffers fill.
  RateSearch search({}, 1);
  while (const auto trial = search.Next()) {
    const double limit = trial->length < Duration::Seconds(10) ? 10'000 : 8'000;
    search.OnTrial(*trial, {trial->rate_per_s <= limit});
  }
  EXPECT_LE(search.BoundsOf(0).lower_per_s, 8'000);
  EXPECT_GE(search.BoundsOf(0).lower_per_s, 8'000 * 0.99);
}

TEST(RateSearch, EndsWhateverTheTargetDoes) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Prng dice(seed);
    RateSearch search({}, 3);
    while (const auto trial = search.Next()) {
      ASSERT_GE(trial->rate_per_s, 1);
      ASSERT_LE(trial->rate_per_s, RateSearchOptions().highest_per_s);
      if (dice.Chance(0.1)) {
        search.OnVoid(*trial);
      } else {
        search.OnTrial(*trial, {dice.Chance(0.7), dice.Chance(0.5), dice.Chance(0.9)});
      }
    }
    for (size_t goal = 0; goal < 3; ++goal) {
      const RateSearch::Bounds bounds = search.BoundsOf(goal);
      if (bounds.upper_per_s == 0) continue;
      EXPECT_LT(bounds.lower_per_s, bounds.upper_per_s) << seed;
    }
  }
}

}  // namespace
}  // namespace millrace::apps
