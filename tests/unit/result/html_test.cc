#include "apps/result/html.h"

#include <gmock/gmock.h>

#include <string>

#include "apps/result/plot.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> LabelsOf(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) labels.push_back(tick.label);
  return labels;
}

TEST(HtmlPage, WhatAResultContainsStaysText) {
  Result r = SampleOfEveryField();
  const std::string evil = "<script>alert('&\")</script>";
  r.run.id = r.run.name = r.run.labels[0].second = r.load.target = r.machine.host = evil;
  r.failures[0].first = r.latency[0].first = r.objectives[0].objective = evil;
  r.search->goals[0].goal = r.ranks[0].host = evil;
  r.configuration = {{evil, evil}};
  r.run.command_line = r.verdict.reasons = r.notes = {evil};
  const std::string page = HtmlPage(r);
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;&amp;&quot;)&lt;/script&gt;"));
}

TEST(HtmlPage, OfAnEmptyResultHasNoPlots) {
  const std::string page = HtmlPage(Result());
  EXPECT_THAT(page, Not(HasSubstr("<svg")));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, HasSubstr("VALID"));
}

TEST(HtmlPage, OfOneConnectionIsDrawn) {
  Result r = SampleResult();
  Latency one;
  one.intended.Record(1);
  r.latency = {{"connect", one}};
  r.series.resize(1);
  EXPECT_THAT(HtmlPage(r), HasSubstr("<svg"));
  EXPECT_THAT(HtmlPage(r), Not(HasSubstr("nan")));
}

// A wide histogram does not make a page that no mail takes.
TEST(HtmlPage, StaysSmall) {
  Result r = SampleResult();
  for (uint64_t i = 0; i < 200'000; ++i) {
    r.latency[0].second.intended.Record(1000 + i * i % 500'000'000);
  }
  EXPECT_LT(HtmlPage(r).size(), 300'000u);
}

TEST(Axis, LinearTicksAreRound) {
  const auto plain = [](double v) { return std::to_string(static_cast<int>(v)); };
  EXPECT_THAT(LabelsOf(LinearAxis(10, "", plain)),
              ::testing::ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(LabelsOf(LinearAxis(2300, "", plain)),
              ::testing::ElementsAre("0", "500", "1000", "1500", "2000", "2500"));
  EXPECT_EQ(LinearAxis(0, "", plain).high, 1.0);
  EXPECT_EQ(LinearAxis(10, "", plain).Place(5), 0.5);
  EXPECT_EQ(LinearAxis(10, "", plain).Place(11), 1.0);
}

TEST(Axis, LogarithmicOneHoldsWholeDecades) {
  const auto plain = [](double v) { return std::to_string(static_cast<int>(v)); };
  const Axis axis = LogAxis(20, 3000, "", plain);
  EXPECT_THAT(LabelsOf(axis), ::testing::ElementsAre("10", "100", "1000", "10000"));
  EXPECT_NEAR(axis.Place(1000), 2.0 / 3, 1e-12);
  EXPECT_EQ(axis.Place(0), 0.0);
}

}  // namespace
}  // namespace millrace::apps
