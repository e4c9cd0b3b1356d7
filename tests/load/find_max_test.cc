// The search for the highest rate, against a server with a limit of its own, in virtual time.

#include <gtest/gtest.h>

#include "apps/load/rate_search.h"
#include "load/load_rig.h"

namespace millrace::testing {
namespace {

TEST(FindMax, FindsTheRateCapOfAServerWithinOnePercent) {
  constexpr double kCap = 1'000;
  apps::RateSearch search({.first_per_s = 100,
                           .first_length = Duration::Seconds(1),
                           .final_length = Duration::Seconds(4)},
                          1);
  while (const auto trial = search.Next()) {
    LoadRigOptions options;
    options.plan.rate_per_s = trial->rate_per_s;
    options.plan.duration = trial->length;
    options.serve.exchange.close_after = 1;
    options.plan.close = apps::CloseMode::kServer;
    options.serve.rate_cap_per_s = static_cast<uint64_t>(kCap);
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    // What is over the cap is reset, and counted under that name alone.
    EXPECT_EQ(rig.counts().failures.total(),
              rig.counts().failures[apps::LoadFailure::kRstAfterEstablished]);
    search.OnTrial(*trial, {rig.counts().failures.total() == 0});
  }
  const apps::RateSearch::Bounds bounds = search.BoundsOf(0);
  EXPECT_NEAR(bounds.lower_per_s, kCap, kCap / 100);
  EXPECT_NEAR(bounds.upper_per_s, kCap, kCap / 100);
  EXPECT_EQ(bounds.limit, apps::RateSearch::Limit::kTarget);
}

}  // namespace
}  // namespace millrace::testing
