// When a run of the load generator ends, and what is counted then, in virtual time.

#include <gtest/gtest.h>

#include <cmath>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::CloseMode;
using apps::LoadFailure;

// Three thousand million starts that nobody made: they are counted, not gone through.
TEST(LoadRun, EndsAtOnceHoweverManyHaveNotStarted) {
  for (const auto kind : {apps::ArrivalKind::kPaced, apps::ArrivalKind::kPoisson}) {
    LoadRigOptions options = OpenLoop(300e6, Duration::Seconds(10));
    options.plan.arrival.kind = kind;
    options.plan.open_max = 10;
    options.plan.timeouts.first_byte = Duration::Seconds(20);
    options.serve.disturbance.error_share[static_cast<size_t>(apps::Fate::kSilent)] = 1;
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    const double off = kind == apps::ArrivalKind::kPaced ? 0 : 4 * std::sqrt(3e9);
    EXPECT_NEAR(static_cast<double>(rig.counts().offered), 3e9, off);
    EXPECT_EQ(rig.counts().offered, rig.counts().failures.total());
    EXPECT_EQ(rig.live().started, 10u);
  }
}

TEST(LoadRun, ACountIsOfMeasuredConnections) {
  for (const bool open_loop : {true, false}) {
    LoadRigOptions options = OpenLoop(open_loop ? 1'000 : 0, Duration::Seconds(10));
    options.plan.concurrency = 4;
    options.plan.warmup = Duration::Seconds(1);
    options.plan.count = 500;
    options.impairment.delay = Duration::Microseconds(200);
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    EXPECT_EQ(rig.counts().offered, 500u);
    EXPECT_EQ(rig.counts().ok, 500u);
    EXPECT_GT(rig.result().window, Duration());
    EXPECT_GE(rig.live().started, 1'500u);
  }
}

// A closed loop waits for a port; it does not turn what is missing into failures by the thousand.
TEST(LoadRun, AClosedLoopWithoutSourcePortsWaits) {
  LoadRigOptions options;
  options.plan.concurrency = 20;
  options.plan.close = CloseMode::kFin;
  options.plan.duration = Duration::Seconds(1);
  options.source_ports = 8;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().ok, rig.counts().offered);
  EXPECT_LE(rig.counts().ok, 8u);
  EXPECT_GE(rig.counts().ok, 7u);
  EXPECT_GT(rig.counts().put_off, 0u);
}

// What a second signal does: the worker ends in the middle.
TEST(LoadRun, WhatIsUnderWayWhenTheWorkerEndsIsNamedToo) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Seconds(10));
  options.plan.hold = 5;
  options.plan.open_max = 300;
  options.serve.exchange.close_after = 0;
  options.plan.close = CloseMode::kFin;
  options.impairment.delay = Duration::Milliseconds(100);
  LoadRig rig(options);
  EXPECT_FALSE(rig.Run(Duration::Seconds(2)));
  rig.client().app().Finish();
  const apps::LoadCounts& counts = rig.counts();
  EXPECT_GT(counts.ok, 100u);
  EXPECT_EQ(counts.held_ok, 5u);
  EXPECT_EQ(counts.failures[LoadFailure::kUnfinished], 300u);
  EXPECT_GT(counts.failures[LoadFailure::kOpenMax], 0u);
  EXPECT_EQ(counts.offered, counts.ok + counts.failures.total());
}

}  // namespace
}  // namespace millrace::testing
