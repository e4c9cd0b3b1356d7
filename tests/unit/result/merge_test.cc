#include "apps/result/merge.h"

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <vector>

#include "apps/result/result_json.h"
#include "apps/result/slo.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

// Rank `index` of `count`, which began `late_ms` after the first.
Result RankOf(uint32_t index, uint32_t count, int64_t late_ms = 0) {
  Result r = SampleResult();
  r.rank = {index, count};
  r.run.id = "run-" + std::to_string(index);
  r.machine.host = "host-" + std::to_string(index);
  r.window.start_unix_ns += late_ms * 1'000'000;
  r.window.end_unix_ns += late_ms * 1'000'000;
  return r;
}

std::string Refusal(const std::vector<Result>& results) {
  const auto merged = MergeResults(results);
  return merged.ok() ? "" : std::string(merged.status().message());
}

// These objectives in place of what the result had, and the verdict that they make.
void CheckAgain(const char* objectives, Result& r) {
  r.verdict = {};
  r.objectives.clear();
  std::vector<Slo> slos;
  ASSERT_EQ(ParseSlos(objectives, &slos), "");
  CheckObjectives(slos, &r);
}

TEST(Merge, CountsHistogramsAndCountersAreAdded) {
  const std::vector<Result> ranks = {RankOf(1, 2), RankOf(0, 2)};
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->counts.ok, 3980u);
  EXPECT_EQ(merged->counts.failed, 20u);
  EXPECT_EQ(merged->failures[0].second, 12u);
  EXPECT_EQ(merged->counters[0].second, 4000u);
  Histogram both = SampleLatency(48'000).intended;
  both.Add(SampleLatency(48'000).intended);
  EXPECT_EQ(merged->latency[0].second.intended, both);
  EXPECT_EQ(merged->rank.count, 1u);
  // What was merged is a result like any other.
  EXPECT_TRUE(ResultFromJson(ToJson(*merged)).ok());
}

TEST(Merge, RowsAreInTheOrderOfRanksAndKeepWhatDiffers) {
  const std::vector<Result> ranks = {RankOf(2, 3), RankOf(0, 3), RankOf(1, 3)};
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ(merged->ranks.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(merged->ranks[i].rank, i);
    EXPECT_EQ(merged->ranks[i].host, "host-" + std::to_string(i));
    EXPECT_EQ(merged->ranks[i].achieved_per_s, 200.0);
  }
  EXPECT_EQ(merged->generator.cores.size(), 6u);
  EXPECT_EQ(merged->generator.cores[2].role, "rank 1 client");
}

// Two ranks whose rate doubles after 5 s, the second 2 s later: only the 8 s in which both
// measured count, 3 s of 200 and 5 s of 400 of the first, 5 s of 200 and 3 s of 400 of the second.
TEST(Merge, RatesAreThoseOfTheCommonWindow) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2, 2000)};
  for (Result& r : ranks) {
    for (Interval& i : r.series) {
      i.opened = i.due = i.ok = i.start_s < 5 ? 200 : 400;
      i.failed = 0;
    }
  }
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->window.seconds(), 8.0);
  EXPECT_EQ(merged->window.start_unix_ns, ranks[1].window.start_unix_ns);
  EXPECT_DOUBLE_EQ(merged->load.achieved_per_s,
                   (3 * 200 + 5 * 400) / 8.0 + (5 * 200 + 3 * 400) / 8.0);
  ASSERT_EQ(merged->series.size(), 8u);
  EXPECT_EQ(merged->series[0].opened, 400u);
  EXPECT_EQ(merged->series[3].opened, 600u);
  EXPECT_EQ(merged->series[7].opened, 800u);
}

// The first row of a rank may be cut short by the start of its window, as the last by its end.
TEST(Merge, AShortRowSaysNothingOfTheLengthOfOthers) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) r.series.front().length_s = 0.001;
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ(merged->series.size(), 10u);
  for (const Interval& i : merged->series) EXPECT_EQ(i.opened, 400u) << i.start_s;
}

// A row that was written late is longer; the others are not.
TEST(Merge, ALongRowSaysNothingOfTheLengthOfOthers) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) r.series[3].length_s *= 1.6;
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ(merged->series.size(), 10u);
  for (const Interval& i : merged->series) EXPECT_EQ(i.opened, 400u) << i.start_s;
}

TEST(Merge, SeriesSeveralMillisecondsOutOfStepStayTogether) {
  const std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2, 60)};
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ(merged->series.size(), 10u);
  for (const Interval& i : merged->series) EXPECT_EQ(i.opened, 400u) << i.start_s;
  EXPECT_EQ(merged->series[4].failed, 20u);
  EXPECT_EQ(merged->series[4].connect_p99_ns, 900'000u);
}

TEST(Merge, RatesOfRanksWithoutSeriesAreTheirAverages) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) r.series.clear();
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->load.ok_per_s, 398.0);
  EXPECT_TRUE(merged->series.empty());
}

TEST(Merge, TheWorstRankDecidesTheVerdict) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  ranks[1].verdict = {.outcome = Outcome::kInvalidGenerator, .reasons = {"lag"}};
  ranks[1].generator.worst_lag_ns = 9'000'000;
  ranks[1].generator.packet_pool_low_share = 0.01;
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->verdict.outcome, Outcome::kInvalidGenerator);
  EXPECT_THAT(merged->verdict.reasons, Contains("rank 1: lag"));
  EXPECT_EQ(merged->generator.worst_lag_ns, 9'000'000u);
  EXPECT_EQ(merged->generator.packet_pool_low_share, 0.01);
}

TEST(Merge, WhatOneRankDoesNotKnowNobodyKnowsOfTheWhole) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  const auto known = MergeResults(ranks);
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_TRUE(known->load.rx_bits_per_s.has_value());
  ranks[1].load.rx_bits_per_s = std::nullopt;
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->load.rx_bits_per_s, std::nullopt);
  EXPECT_TRUE(merged->load.tx_bits_per_s.has_value());
}

// Rank 1 has a hundredth of the connections; all of them are slow, and a tenth failed.
TEST(Merge, ObjectivesAreThoseOfTheWhole) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) {
    const uint64_t ok = r.rank.index == 0 ? 9'900 : 90;
    r.counts = {.due = r.rank.index == 0 ? 9'900u : 100u, .ok = ok};
    r.counts.failed = r.counts.due - ok;
    Latency latency;
    for (uint64_t i = 0; i < r.counts.due; ++i) {
      latency.intended.Record(r.rank.index == 0 ? 100'000 : 10'000'000);
    }
    r.latency = {{"connect", latency}};
    CheckAgain("connect.p99<1ms; errors<1%; connect.max<1s; connect.mean>1s", r);
  }
  EXPECT_FALSE(ranks[1].objectives[0].passed);
  EXPECT_FALSE(ranks[1].objectives[1].passed);
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ(merged->objectives.size(), 4u);
  EXPECT_NEAR(merged->objectives[0].measured, 100'000, 100);
  EXPECT_TRUE(merged->objectives[0].passed);
  EXPECT_DOUBLE_EQ(merged->objectives[1].measured, 0.001);
  EXPECT_TRUE(merged->objectives[1].passed);
  EXPECT_EQ(merged->objectives[2].measured, 10'000'000);
  EXPECT_EQ(merged->verdict.outcome, Outcome::kFailObjective);
  EXPECT_THAT(merged->verdict.reasons, ElementsAre("connect.mean>1s was not met"));
  for (Result& r : ranks) CheckAgain("connect.p99<1ms; errors<1%", r);
  EXPECT_EQ(ranks[1].verdict.outcome, Outcome::kFailObjective);
  EXPECT_EQ(MergeResults(ranks)->verdict.outcome, Outcome::kValid);
}

// What a rank's failure has besides stays one of the whole.
TEST(Merge, FailureThatIsNoObjectiveStays) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) {
    r.objectives.clear();
    r.verdict = {};
  }
  ranks[1].verdict = {.outcome = Outcome::kFailObjective, .reasons = {"no connection succeeded"}};
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->verdict.outcome, Outcome::kFailObjective);
  EXPECT_THAT(merged->verdict.reasons, ElementsAre("rank 1: no connection succeeded"));
}

TEST(Merge, ObjectivesThatNobodyKnowsAreRefused) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) r.objectives[0].objective = "conect.p99<1ms";
  EXPECT_THAT(Refusal(ranks), HasSubstr("did you mean \"connect.p99\"?"));
}

TEST(Merge, ResultsOfNoRanksStandForARankEach) {
  const std::vector<Result> runs = {RankOf(0, 1), RankOf(0, 1, 1), RankOf(0, 1, 2)};
  const auto merged = MergeResults(runs);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->ranks[2].rank, 2u);
}

TEST(Merge, RefusesOneResultTwice) {
  EXPECT_EQ(Refusal({RankOf(0, 1), RankOf(0, 1, 1), RankOf(0, 1)}),
            "run-0 (rank 0) is there twice");
}

// The last row of a series may have no counterpart in the length of the window; a window that all
// measured together needs no series to tell its rates.
TEST(Merge, RatesOfAWholeWindowAreThoseThatWereMeasured) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  for (Result& r : ranks) {
    r.series.back().length_s = 1.9;
    r.series.back().due = 380;
  }
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->load.offered_per_s, 400.0);
  EXPECT_EQ(merged->load.achieved_per_s, 400.0);
  EXPECT_EQ(merged->load.ok_per_s, 398.0);
  EXPECT_EQ(merged->load.requests_per_s, 398.0);
}

TEST(Merge, OneMergedTwiceRefused) {
  const std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  const auto merged = MergeResults(ranks);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_THAT(Refusal({*merged, RankOf(0, 1)}), HasSubstr("was merged already"));
}

// Ranks that searched alone tried other rates, whose trials say nothing about the sum.
TEST(Merge, RefusesResultsOfASearch) {
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  ranks[1].search.emplace();
  EXPECT_THAT(Refusal(ranks),
              AllOf(HasSubstr("(rank 1) is of find-max or sweep"), HasSubstr("--coordinator")));
}

TEST(Merge, RefusesRanksThatAreMissingOrThereTwice) {
  EXPECT_EQ(Refusal({}), "there is no result to merge");
  EXPECT_EQ(Refusal({RankOf(0, 3), RankOf(2, 3)}), "rank 1 of 3 is missing");
  EXPECT_EQ(Refusal({RankOf(0, 3), RankOf(1, 3)}), "rank 2 of 3 is missing");
  EXPECT_EQ(Refusal({RankOf(1, 2)}), "rank 0 of 2 is missing");
  EXPECT_EQ(Refusal({RankOf(0, 2), RankOf(0, 2)}), "rank 0 is there twice");
  EXPECT_EQ(Refusal({RankOf(0, 2), RankOf(1, 3)}),
            "run-1 (rank 1) is of 3 ranks, run-0 (rank 0) of 2");
}

TEST(Merge, RefusesWindowsThatHaveLittleInCommon) {
  EXPECT_EQ(Refusal({RankOf(0, 2), RankOf(1, 2, 5000)}), "");
  EXPECT_THAT(Refusal({RankOf(0, 2), RankOf(1, 2, 5001)}),
              HasSubstr("the windows have less than half of the longest in common:\n"
                        "  run-0 (rank 0)  2026-11-21 10:12:05 UTC to 2026-11-21 10:12:15 UTC"));
  EXPECT_THAT(Refusal({RankOf(0, 2), RankOf(1, 2, 60'000)}), HasSubstr("in common"));
}

struct Altered {
  const char* what;
  std::function<void(Result&)> alter;
};

TEST(Merge, RefusesLoadsThatDiffer) {
  const Altered cases[] = {
      {"targets", [](Result& r) { r.load.target = "tcp://10.0.0.9:1"; }},
      {"kinds of load", [](Result& r) { r.load.arrival = "paced"; }},
      {"ways to close", [](Result& r) { r.load.close = "rst"; }},
      {"values of \"rate\"", [](Result& r) { r.configuration["rate"] = "300"; }},
      {"values of \"think\"", [](Result& r) { r.configuration["think"] = "1s"; }},
      {"states", [](Result& r) { r.latency.pop_back(); }},
      {"states", [](Result& r) { r.latency[0].first = "open"; }},
      {"layouts of histograms", [](Result& r) { r.latency[0].second.actual = Histogram(2); }},
      {"objectives", [](Result& r) { r.objectives.pop_back(); }},
  };
  for (const Altered& c : cases) {
    std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
    c.alter(ranks[1]);
    EXPECT_EQ(Refusal(ranks),
              std::string("run-0 (rank 0) and run-1 (rank 1) have different ") + c.what);
  }
  // What only says where a rank runs may differ.
  std::vector<Result> ranks = {RankOf(0, 2), RankOf(1, 2)};
  ranks[1].configuration["ip"] = "10.1.0.9/20";
  ranks[1].configuration["ranks"] = "1/2";
  ranks[1].configuration["percentiles"] = "50,99";
  EXPECT_EQ(Refusal(ranks), "");
}

TEST(Merge, WindowsOfNoLengthAreRefused) {
  std::vector<Result> ranks = {RankOf(0, 1)};
  ranks[0].window.end_unix_ns = ranks[0].window.start_unix_ns;
  EXPECT_THAT(Refusal(ranks), HasSubstr("in common"));
  ranks[0].window.end_unix_ns += kSecond;
  EXPECT_EQ(Refusal(ranks), "");
}

}  // namespace
}  // namespace millrace::apps
