#include "apps/load/run_limit.h"

#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

RunPlan PlanOf10s() {
  RunPlan plan;
  plan.duration = Duration::Seconds(10);
  plan.warmup = Duration::Seconds(1);
  plan.timeouts.connect = Duration::Seconds(2);
  plan.drain = Duration::Seconds(3);
  return plan;
}

TEST(RunLimit, HoldingEndsWhenNothingHappensAnyMore) {
  RunLimit limit(PlanOf10s());
  // An hour of handshakes is none too many.
  for (int64_t s = 0; s < 3'600; ++s) {
    EXPECT_FALSE(limit.Over(LoadStage::kHolding, static_cast<uint64_t>(s), s * kSecond));
  }
  EXPECT_FALSE(limit.Over(LoadStage::kHolding, 3'599, (3'599 + 12) * kSecond));
  EXPECT_TRUE(limit.Over(LoadStage::kHolding, 3'599, (3'599 + 12) * kSecond + 1));
}

TEST(RunLimit, WaitingForOthersHasNone) {
  RunLimit limit(PlanOf10s());
  EXPECT_FALSE(limit.Over(LoadStage::kHolding, 1, 0));
  EXPECT_FALSE(limit.Over(LoadStage::kReady, 1, 11 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kReady, 1, 1'000'000 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kLeading, 1, 1'000'010 * kSecond));
}

TEST(RunLimit, TheClockAndTheDrainAreThoseOfThePlan) {
  RunLimit limit(PlanOf10s());
  EXPECT_FALSE(limit.Over(LoadStage::kLeading, 1, 0));
  EXPECT_FALSE(limit.Over(LoadStage::kMeasuring, 2, 1 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kMeasuring, 3, 21 * kSecond));
  EXPECT_TRUE(limit.Over(LoadStage::kMeasuring, 4, 21 * kSecond + 1));
  EXPECT_FALSE(limit.Over(LoadStage::kDraining, 5, 22 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kDraining, 5, 35 * kSecond));
  EXPECT_TRUE(limit.Over(LoadStage::kDraining, 5, 35 * kSecond + 1));
  EXPECT_FALSE(limit.Over(LoadStage::kDone, 5, 1'000 * kSecond));
}

TEST(RunLimit, ARunUntilACountHasNone) {
  RunPlan plan = PlanOf10s();
  plan.duration = Duration();
  plan.timeouts.connect = Duration();
  RunLimit limit(plan);
  EXPECT_FALSE(limit.Over(LoadStage::kHolding, 1, 0));
  EXPECT_FALSE(limit.Over(LoadStage::kHolding, 1, 310 * kSecond));
  EXPECT_TRUE(limit.Over(LoadStage::kHolding, 1, 311 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kMeasuring, 1, 400 * kSecond));
  EXPECT_FALSE(limit.Over(LoadStage::kMeasuring, 1, 400'000 * kSecond));
}

}  // namespace
}  // namespace millrace::apps
