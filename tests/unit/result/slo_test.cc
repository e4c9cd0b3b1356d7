#include "apps/result/slo.h"

#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

Result Measured() {
  Result result;
  result.counts = {.due = 1'000, .opened = 999, .ok = 990, .failed = 10};
  result.load.ok_per_s = 5'000;
  Latency latency;
  for (uint64_t i = 1; i <= 1'000; ++i) {
    latency.intended.Record(i * 1'000);
    latency.actual.Record(i * 100);
  }
  result.latency.emplace_back("connect", latency);
  return result;
}

bool Passes(const char* text) {
  std::vector<Slo> slos;
  EXPECT_EQ(ParseSlos(text, &slos), "") << text;
  EXPECT_EQ(slos.size(), 1u) << text;
  return Check(slos.at(0), Measured()).passed;
}

TEST(Slo, ComparesWithWhatWasMeasured) {
  EXPECT_TRUE(Passes("connect.p99<991us"));
  EXPECT_FALSE(Passes("connect.p99<990us"));
  EXPECT_TRUE(Passes("connect.actual.p99 < 100us"));
  EXPECT_TRUE(Passes("connect.p999<1ms"));
  EXPECT_FALSE(Passes("connect.p99.9<900us"));
  EXPECT_TRUE(Passes("connect.mean<501us"));
  EXPECT_FALSE(Passes("connect.max<1ms"));
  EXPECT_TRUE(Passes("errors<1.1%"));
  EXPECT_FALSE(Passes("errors<1e-2"));
  EXPECT_TRUE(Passes("rate>4.9k"));
  EXPECT_FALSE(Passes("rate>5k"));
  EXPECT_TRUE(Passes("achieved>99.8%"));
}

TEST(Slo, AListHasSemicolons) {
  std::vector<Slo> slos;
  EXPECT_EQ(ParseSlos("connect.p99<1ms; first_byte.p99.9<5ms;errors<1e-5;", &slos), "");
  ASSERT_EQ(slos.size(), 3u);
  EXPECT_EQ(slos[1].state, "first_byte");
  EXPECT_DOUBLE_EQ(slos[1].quantile, 0.999);
  EXPECT_DOUBLE_EQ(slos[2].limit, 1e-5);
}

TEST(Slo, WhatNobodyMeasuredIsNotMet) {
  std::vector<Slo> slos;
  ASSERT_EQ(ParseSlos("connect.p99<1s;errors<1%;lag<1s;rate<1k", &slos), "");
  for (const Slo& slo : slos) {
    EXPECT_FALSE(Check(slo, Result()).passed) << slo.text;
    EXPECT_FALSE(IsMeasured(slo, Result())) << slo.text;
    EXPECT_TRUE(IsMeasured(slo, Measured())) << slo.text;
  }
  // Connections were measured, but not how they close: a reset has no such time.
  slos.clear();
  ASSERT_EQ(ParseSlos("close.p99<1s", &slos), "");
  Result result = Measured();
  EXPECT_FALSE(Check(slos[0], result).passed);
  result.latency.emplace_back("close", Latency());
  EXPECT_FALSE(Check(slos[0], result).passed);
}

// Requests on held connections have latencies though no connection came and went.
TEST(Slo, LatenciesCountWhereNoConnectionEnded) {
  Result result = Measured();
  result.counts = {.due = 10, .opened = 10, .failed = 10};
  std::vector<Slo> slos;
  ASSERT_EQ(ParseSlos("connect.p99<1s", &slos), "");
  EXPECT_TRUE(Check(slos[0], result).passed);
}

TEST(Slo, ARankHasToReachItsPartOfARate) {
  std::vector<Slo> slos;
  ASSERT_EQ(ParseSlos("rate>9k", &slos), "");
  Result result = Measured();
  EXPECT_FALSE(Check(slos[0], result).passed);
  result.rank = {1, 2};
  EXPECT_TRUE(Check(slos[0], result).passed);
  EXPECT_EQ(Check(slos[0], result).limit, 4'500);
}

TEST(Slo, SaysWhatIsWrong) {
  std::vector<Slo> slos;
  EXPECT_EQ(ParseSlos("conect.p99<1ms", &slos),
            "unknown metric \"conect.p99\" (did you mean \"connect.p99\"?)");
  for (const char* text :
       {"connect.p99", "connect<1ms", "connect.p101<1ms", "connect.p<1ms", "errors<x", "errors<5",
        "errors<-1", "errors<nan", "achieved>101%", "rate>1q", "<1ms", "connect.p99<"}) {
    slos.clear();
    EXPECT_NE(ParseSlos(text, &slos), "") << text;
  }
}

}  // namespace
}  // namespace millrace::apps
