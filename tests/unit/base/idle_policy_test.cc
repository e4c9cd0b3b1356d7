#include "millrace/base/idle_policy.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using Kind = IdlePolicy::Kind;

// The steps of `count` empty polls, of which only the last one is looked at.
IdlePolicy::Step After(IdlePolicy& policy, uint32_t count) {
  IdlePolicy::Step step{};
  for (uint32_t i = 0; i < count; ++i) step = policy.OnEmptyPoll();
  return step;
}

TEST(IdlePolicy, PollNeverGivesUpTheCpu) {
  IdlePolicy policy(IdleMode::kPoll);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(policy.OnEmptyPoll().kind, Kind::kPause);
}

TEST(IdlePolicy, YieldsAfterSomeEmptyPollsAndNotBefore) {
  IdlePolicy policy(IdleMode::kYield);
  EXPECT_EQ(After(policy, IdlePolicy::kYieldAfterPolls - 1).kind, Kind::kPause);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(policy.OnEmptyPoll().kind, Kind::kYield);
  policy.OnWork();
  EXPECT_EQ(policy.OnEmptyPoll().kind, Kind::kPause);
}

TEST(IdlePolicy, SleepsTwiceAsLongEachTimeUpToTheMost) {
  IdlePolicy policy(IdleMode::kSleep);
  EXPECT_EQ(After(policy, IdlePolicy::kSleepAfterPolls - 1).kind, Kind::kYield);
  for (const uint32_t ns : {10'000u, 20'000u, 40'000u, 50'000u, 50'000u}) {
    const IdlePolicy::Step step = policy.OnEmptyPoll();
    EXPECT_EQ(step.kind, Kind::kSleep);
    EXPECT_EQ(step.ns, ns);
  }
  policy.OnWork();
  EXPECT_EQ(After(policy, IdlePolicy::kSleepAfterPolls).ns, 10'000u);
}

TEST(IdlePolicy, AYieldThatTookLongMeansAStrangerAndSleepsInstead) {
  for (const IdleMode mode : {IdleMode::kYield, IdleMode::kSleep}) {
    IdlePolicy policy(mode);
    EXPECT_EQ(After(policy, IdlePolicy::kYieldAfterPolls).kind, Kind::kYield);
    policy.OnYielded(IdlePolicy::kStrangerNs);  // another worker's burst may take as long
    EXPECT_EQ(policy.OnEmptyPoll().kind, Kind::kYield);
    policy.OnYielded(IdlePolicy::kStrangerNs + 1);
    for (uint32_t i = 0; i < IdlePolicy::kYieldAgainAfter; ++i) {
      if (i % 100 == 0) {
        policy.OnWork();  // forgets how long it was idle, not who else is there
        EXPECT_EQ(After(policy, IdlePolicy::kYieldAfterPolls - 1).kind, Kind::kPause);
      }
      const IdlePolicy::Step step = policy.OnEmptyPoll();
      ASSERT_EQ(step.kind, Kind::kSleep);
    }
    policy.OnWork();
    EXPECT_EQ(After(policy, IdlePolicy::kYieldAfterPolls).kind, Kind::kYield);  // tries again
  }
}

}  // namespace
}  // namespace millrace
