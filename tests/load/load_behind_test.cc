// A schedule that is behind, in virtual time: what is due waits in it, and all is achieved after.

#include <gtest/gtest.h>

#include <algorithm>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::LoadFailure;

LoadRigOptions Paced(double rate_per_s, Duration duration, Duration delay) {
  LoadRigOptions options = OpenLoop(rate_per_s, duration);
  options.impairment.delay = delay;
  return options;
}

// Lets the clock start 20 ms ago, as if the generator had paused for as long. The most connections
// that were under way at a time.
uint32_t MostUnderWayAfterAPause(LoadRig& rig) {
  rig.live().start_at_ns = apps::LiveRun::kNotYet;
  EXPECT_FALSE(rig.Run(Duration::Milliseconds(100)));
  rig.live().start_at_ns = (rig.world().now() - Duration::Milliseconds(20)).ns();
  rig.client().Wake();
  uint32_t most = 0;
  const auto done = [&] {
    most = std::max(most, rig.client().app().open());
    return rig.live().done();
  };
  EXPECT_EQ(rig.world().RunUntil(done, rig.world().now() + Duration::Seconds(10)),
            sim::RunResult::kDone);
  return most;
}

TEST(LoadBehind, WorksOffAPauseWithAFewUnderWay) {
  LoadRig rig(Paced(200'000, Duration::Milliseconds(200), Duration::Microseconds(50)));
  // Handshake, exchange and close take as long as each other.
  EXPECT_LE(MostUnderWayAfterAPause(rig), 6 * apps::StartGate::kLeast);
  EXPECT_EQ(rig.counts().offered, 40'000u);
  EXPECT_EQ(rig.counts().ok, 40'000u);
  // The pause is the generator's, and so is what it took to work it off.
  EXPECT_GE(rig.result().own_lag_ns.max(), 20'000'000u);
  EXPECT_EQ(rig.result().own_lag_ns.max(), rig.result().lag_ns.max());
  EXPECT_EQ(rig.counts().port_waited, 0u);
}

// As many as are under way anyway when answers take 20 ms: no bound that would keep it behind.
TEST(LoadBehind, CatchesUpWithATargetFarAway) {
  LoadRig rig(Paced(50'000, Duration::Seconds(2), Duration::Milliseconds(10)));
  EXPECT_GT(MostUnderWayAfterAPause(rig), 2'000u);
  EXPECT_EQ(rig.counts().ok, 100'000u);
}

sim::SimPortFaults Full() { return {.transmit_packets_max = 0}; }

TEST(LoadBehind, APortThatTakesNothingKeepsStartsBackAndIsNamed) {
  LoadRig rig(Paced(100'000, Duration::Milliseconds(200), Duration::Microseconds(10)));
  uint32_t most = 0;
  rig.world().After(Duration::Milliseconds(50), [&] { rig.client().port().SetFaults(Full()); });
  rig.world().After(Duration::Milliseconds(70), [&] {
    most = rig.client().app().open();
    rig.client().port().SetFaults({});
  });
  ASSERT_TRUE(rig.Run());
  EXPECT_LT(most, 20u);
  EXPECT_EQ(rig.counts().offered, 20'000u);
  EXPECT_EQ(rig.counts().ok, 20'000u);
  EXPECT_GE(rig.counts().port_waited, 2'000u);
  EXPECT_EQ(rig.counts().waited, 0u);
  // Told from the intended start, and not laid to the generator.
  EXPECT_GE(rig.Intended()[apps::LatencyState::kConnect].max(), 19'900'000u);
  EXPECT_GE(rig.result().lag_ns.max(), 19'900'000u);
  EXPECT_LT(rig.result().own_lag_ns.max(), 100'000u);
}

TEST(LoadBehind, WhatFoundNoRoomUntilTheEndIsNamed) {
  LoadRig rig(Paced(10'000, Duration::Milliseconds(100), Duration::Microseconds(10)));
  rig.world().After(Duration::Milliseconds(50), [&] { rig.client().port().SetFaults(Full()); });
  ASSERT_TRUE(rig.Run());
  const apps::LoadCounts& counts = rig.counts();
  EXPECT_EQ(counts.offered, 1'000u);
  EXPECT_NEAR(static_cast<double>(counts.failures[LoadFailure::kPortFull]), 500, 20);
  EXPECT_EQ(counts.failures[LoadFailure::kNotStarted], 0u);
  EXPECT_EQ(counts.ok + counts.failures.total(), 1'000u);
}

}  // namespace
}  // namespace millrace::testing
