#include "apps/result/diff.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "testing/golden.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A run whose rate and connect latency are so many parts of the usual.
Result RunOf(double rate, double latency) {
  Result r = SampleResult();
  r.verdict = {};
  r.load.ok_per_s *= rate;
  r.latency = {{"connect", SampleLatency(static_cast<uint64_t>(48'000 * latency))}};
  return r;
}

// Five repeats that vary by a percent or so.
std::vector<Result> Repeats(double rate, double latency) {
  std::vector<Result> runs;
  for (const double wobble : {0.99, 1.0, 1.01, 1.005, 0.995}) {
    runs.push_back(RunOf(rate * wobble, latency * wobble));
  }
  return runs;
}

const MetricChange& MetricOf(const ResultDiff& diff, const std::string& name) {
  for (const MetricChange& m : diff.metrics) {
    if (m.metric == name) return m;
  }
  ADD_FAILURE() << "no metric " << name;
  return diff.metrics.front();
}

ResultDiff DiffOf(const std::vector<Result>& base, const std::vector<Result>& now,
                  double max_regress = 0) {
  const auto diff = DiffResults(base, now, {.max_regress = max_regress});
  EXPECT_TRUE(diff.ok()) << diff.status();
  return diff.ok() ? *diff : ResultDiff();
}

TEST(Diff, EqualRepeatsShowNoEvidence) {
  const ResultDiff diff = DiffOf(Repeats(1, 1), Repeats(1, 1));
  for (const MetricChange& m : diff.metrics) {
    EXPECT_EQ(m.verdict, Change::kNoEvidence) << m.metric;
    EXPECT_NEAR(m.change, 0, 1e-9) << m.metric;
    EXPECT_LT(m.low, 0) << m.metric;
    EXPECT_GT(m.high, 0) << m.metric;
  }
  EXPECT_FALSE(diff.regression());
  EXPECT_THAT(diff.different, IsEmpty());
}

TEST(Diff, ChangesBeyondTheNoiseAreJudgedByTheirDirection) {
  const ResultDiff diff = DiffOf(Repeats(1, 1), Repeats(1.05, 1.2));
  const MetricChange& rate = MetricOf(diff, "ok conn/s");
  EXPECT_EQ(rate.verdict, Change::kBetter);
  EXPECT_NEAR(rate.change, 0.05, 1e-6);
  EXPECT_LT(rate.low, 0.05);
  EXPECT_GT(rate.high, 0.05);
  EXPECT_EQ(MetricOf(diff, "connect p99").verdict, Change::kWorse);
  EXPECT_NEAR(MetricOf(diff, "connect p99").change, 0.2, 2e-3);
  EXPECT_TRUE(diff.regression());
  EXPECT_FALSE(DiffOf(Repeats(1, 1), Repeats(1.05, 0.8)).regression());
  EXPECT_TRUE(DiffOf(Repeats(1, 1), Repeats(0.95, 0.8)).regression());
}

TEST(Diff, RegressionUpToWhatIsAllowedIsNone) {
  EXPECT_TRUE(DiffOf(Repeats(1, 1), Repeats(0.95, 1.05)).regression());
  EXPECT_FALSE(DiffOf(Repeats(1, 1), Repeats(0.95, 1.05), 0.08).regression());
  EXPECT_TRUE(DiffOf(Repeats(1, 1), Repeats(0.85, 1), 0.08).regression());
}

TEST(Diff, NoiseHidesASmallChange) {
  std::vector<Result> base, now;
  for (const double wobble : {0.8, 0.9, 1.0, 1.1, 1.2}) {
    base.push_back(RunOf(wobble, 1));
    now.push_back(RunOf(0.97 * wobble, 1));
  }
  const ResultDiff diff = DiffOf(base, now);
  EXPECT_EQ(MetricOf(diff, "ok conn/s").verdict, Change::kNoEvidence);
}

TEST(Diff, OneRunOfASideJudgesNothing) {
  const ResultDiff diff = DiffOf({RunOf(1, 1)}, {RunOf(0.5, 3)});
  for (const MetricChange& m : diff.metrics) {
    EXPECT_EQ(m.verdict, Change::kUnknown) << m.metric;
    EXPECT_FALSE(m.has_interval) << m.metric;
  }
  EXPECT_FALSE(diff.regression());
  EXPECT_THAT(DiffText(diff), HasSubstr("fewer than 3 runs of each side"));
}

// Of two runs that are alike nobody knows how far apart the next two are.
TEST(Diff, TwoRunsOfASideHaveAnIntervalAndNoVerdict) {
  const std::vector<Result> base(2, RunOf(1, 1)), now(2, RunOf(0.5, 3));
  const ResultDiff diff = DiffOf(base, now);
  for (const MetricChange& m : diff.metrics) {
    EXPECT_EQ(m.verdict, Change::kUnknown) << m.metric;
    EXPECT_TRUE(m.has_interval) << m.metric;
    EXPECT_LT(m.low, m.high) << m.metric;
  }
  EXPECT_FALSE(diff.regression());
  EXPECT_THAT(DiffText(diff), HasSubstr("unknown (too few runs)"));
  const std::vector<Result> three(3, RunOf(0.5, 3));
  EXPECT_FALSE(DiffOf(base, three).regression());
  EXPECT_TRUE(DiffOf(std::vector<Result>(3, RunOf(1, 1)), three).regression());
}

// Three searches of each side that ended at the same two rates, half a percent apart: the maxima
// may lie anywhere between them.
TEST(Diff, RepeatsThatAreAlikeAreAsUncertainAsTheirSearch) {
  const auto searched = [](double rate, double above) {
    Result r = RunOf(1, 1);
    r.search =
        Search{.goals = {{.goal = "ndr", .rate_per_s = rate, .above_per_s = above}}, .trials = {}};
    return std::vector<Result>(3, r);
  };
  const std::vector<Result> base = searched(1'000'000, 1'005'000);
  const ResultDiff step = DiffOf(base, searched(995'012, 1'000'000));
  EXPECT_EQ(step.metrics[0].verdict, Change::kNoEvidence);
  EXPECT_TRUE(step.metrics[0].by_ruler);
  EXPECT_LT(step.metrics[0].low, -0.005);
  EXPECT_GT(step.metrics[0].high, 0);
  EXPECT_FALSE(step.regression());
  EXPECT_THAT(DiffText(step), HasSubstr("]*"));
  EXPECT_EQ(DiffJson(step)["metrics"][0]["spread_from"], "resolution");
  EXPECT_EQ(DiffOf(base, searched(900'000, 904'500)).metrics[0].verdict, Change::kWorse);
}

// A latency that is the same to the last counter, and the next counter.
TEST(Diff, RepeatsThatAreAlikeAreAsUncertainAsACounterOfTheirHistogram) {
  const auto of = [](uint64_t ns) {
    Result r = RunOf(1, 1);
    Latency latency;
    for (int i = 0; i < 100; ++i) latency.intended.Record(ns);
    r.latency = {{"connect", latency}};
    return std::vector<Result>(3, r);
  };
  const MetricChange next = MetricOf(DiffOf(of(1'000'000), of(1'000'600)), "connect p99");
  EXPECT_EQ(next.verdict, Change::kNoEvidence);
  EXPECT_TRUE(next.by_ruler);
  EXPECT_EQ(MetricOf(DiffOf(of(1'000'000), of(1'020'000)), "connect p99").verdict, Change::kWorse);
}

// One failure in each of three runs where there was none before is chance.
TEST(Diff, OneFailureMoreIsNoEvidence) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  for (Result& r : base) r.counts.failed = 0;
  for (Result& r : now) r.counts.failed = 1;
  EXPECT_EQ(MetricOf(DiffOf(base, now), "failed share").verdict, Change::kNoEvidence);
}

// Nothing to take a part of: the difference itself, in percentage points.
TEST(Diff, ShareThatWasNothingIsComparedByDifference) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  for (Result& r : base) r.counts.failed = 0;
  const ResultDiff diff = DiffOf(base, now);
  const MetricChange& m = MetricOf(diff, "failed share");
  EXPECT_FALSE(m.relative);
  EXPECT_NEAR(m.change, 0.005, 1e-12);
  EXPECT_EQ(m.verdict, Change::kWorse);
}

// The same of a rate and of a time, which have units of their own.
TEST(Diff, RateThatBecameNothingIsTold) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  for (Result& r : base) r.load.ok_per_s = 50'019;
  for (Result& r : now) r.load.ok_per_s = 0;
  const ResultDiff diff = DiffOf(base, now);
  EXPECT_FALSE(MetricOf(diff, "ok conn/s").relative);
  const std::string text = DiffText(diff);
  EXPECT_THAT(text, HasSubstr(" -50.0 k/s "));
  EXPECT_THAT(text, ::testing::Not(HasSubstr(" pp")));
}

TEST(Diff, GoalsOfASearchAreComparedFirst) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  double rate = 1'200'000;
  for (std::vector<Result>* side : {&base, &now}) {
    for (Result& r : *side) {
      r.search = Search{.goals = {{.goal = "ndr", .rate_per_s = rate += 1000}}, .trials = {}};
    }
    rate += 100'000;
  }
  const ResultDiff diff = DiffOf(base, now);
  EXPECT_EQ(diff.metrics[0].metric, "max conn/s (ndr)");
  EXPECT_EQ(diff.metrics[0].verdict, Change::kBetter);
}

TEST(Diff, WhatDiffersIsListedAndWhatVariesIsNoted) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  for (Result& r : now) {
    r.machine.dpdk = "DPDK 23.11";
    r.configuration["think"] = "1s";
    r.machine.core_list = {0, 1, 2};
  }
  base[0].machine.host = now[0].machine.host = "other";
  const ResultDiff diff = DiffOf(base, now);
  EXPECT_THAT(diff.different,
              ElementsAre("machine.dpdk: DPDK 22.11.11 -> DPDK 23.11",
                          "machine.core_list.2: (none) -> 2", "configuration.think: (none) -> 1s"));
  EXPECT_THAT(diff.notes, ElementsAre("machine.host varies on both sides: bench-1 or other"));
}

TEST(Diff, RunsThatAreNotValidAreLeftOut) {
  std::vector<Result> base = Repeats(1, 1), now = Repeats(1, 1);
  now[0].verdict.outcome = Outcome::kInvalidGenerator;
  now[0].load.ok_per_s = 1;
  const ResultDiff diff = DiffOf(base, now);
  EXPECT_EQ(diff.new_runs, 4u);
  EXPECT_THAT(diff.notes, ElementsAre(HasSubstr("is left out: INVALID (generator)")));
  for (Result& r : now) r.verdict.interrupted = true;
  const auto none = DiffResults(base, now, {});
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("no valid run of the new side"));
}

TEST(Diff, TextIsTheGoldenFileAndJsonSaysTheSame) {
  std::vector<Result> now = Repeats(1.05, 1.2);
  for (Result& r : now) r.machine.dpdk = "DPDK 23.11";
  const ResultDiff diff = DiffOf(Repeats(1, 1), now);
  millrace::testing::ExpectGolden(DiffText(diff), "tests/golden/diff.txt");
  const nlohmann::ordered_json json = DiffJson(diff);
  EXPECT_EQ(json["regression"], true);
  EXPECT_EQ(json["metrics"][0]["verdict"], "better");
  EXPECT_EQ(json["metrics"][2]["verdict"], "worse");
  EXPECT_TRUE(json["metrics"][0].contains("high_95"));
}

}  // namespace
}  // namespace millrace::apps
