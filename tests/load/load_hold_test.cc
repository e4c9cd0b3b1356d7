// Connections that are held, and the requests on them: each is counted once, whatever becomes of
// it.

#include <gtest/gtest.h>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::LoadFailure;

// `hold` connections and nothing else but requests on them.
LoadRigOptions Held(uint32_t hold, double requests_per_s) {
  LoadRigOptions options;
  options.plan.concurrency = 0;
  options.plan.hold = hold;
  options.plan.held_requests_per_s = requests_per_s;
  options.plan.duration = Duration::Seconds(1);
  options.plan.close = apps::CloseMode::kFin;
  return options;
}

void ExpectAllCounted(LoadRig& rig, uint32_t hold) {
  EXPECT_EQ(rig.counts().held_due, hold);
  EXPECT_EQ(rig.counts().offered, hold);
  EXPECT_EQ(rig.counts().ok + rig.counts().failures.total(), hold);
  EXPECT_EQ(rig.counts().ok, rig.counts().held_ok);
}

TEST(LoadHold, OnesThatLastAreOk) {
  LoadRig rig(Held(100, 1'000));
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 100);
  EXPECT_EQ(rig.counts().ok, 100u);
  EXPECT_EQ(rig.counts().requests_sent, 1'000u);
  EXPECT_EQ(rig.counts().requests_ok, 1'000u);
  EXPECT_EQ(rig.result().lag_ns.count(), 1'000u);
}

TEST(LoadHold, OneWhoseSynIsLostIsAFailureAndTheRunGoesOn) {
  LoadRigOptions options = Held(2'000, 1'000);
  options.impairment.loss = 0.02;
  options.plan.timeouts.connect = Duration::Seconds(1);  // before the SYN comes again
  options.plan.drain = Duration::Seconds(5);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 2'000);
  EXPECT_GT(rig.counts().failures[LoadFailure::kSynTimeout], 20u);
  EXPECT_GT(rig.counts().held, 1'800u);
  EXPECT_GE(rig.counts().held, rig.counts().ok);
  EXPECT_GT(rig.counts().requests_ok, 950u);
}

TEST(LoadHold, OnesThatAreRefusedAreFailures) {
  LoadRigOptions options = Held(50, 1'000);
  options.listens = false;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 50);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kRstInSynSent], 50u);
  EXPECT_EQ(rig.counts().held, 0u);
  // There was none to send them on.
  EXPECT_EQ(rig.counts().requests_sent, 0u);
  EXPECT_EQ(rig.counts().requests_unsent, 1'000u);
}

TEST(LoadHold, ARequestThatIsNotAnsweredFailsItsConnection) {
  LoadRigOptions options = Held(100, 105);
  options.serve.disturbance.error_share[static_cast<size_t>(apps::Fate::kSilent)] = 1;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 100);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kUnfinished], 100u);
  EXPECT_EQ(rig.counts().requests_sent, 100u);
  EXPECT_EQ(rig.counts().requests_unsent, 5u);
  EXPECT_EQ(rig.counts().requests_ok, 0u);
}

// Late, but not by the generator's fault: one connection makes ten exchanges a second.
TEST(LoadHold, RequestsThatWaitForAnIdleConnectionAreLateAndNamed) {
  LoadRigOptions options = Held(1, 1'000);
  options.serve.disturbance.delay = *apps::Quantiles::Parse("100ms");
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 1);
  EXPECT_EQ(rig.counts().ok, 1u);
  EXPECT_EQ(rig.counts().requests_sent + rig.counts().requests_unsent, 1'000u);
  EXPECT_EQ(rig.counts().requests_sent, 10u);
  EXPECT_EQ(rig.counts().requests_waited, 9u);
  EXPECT_EQ(rig.counts().requests_missed, 0u);
  EXPECT_GT(rig.result().lag_ns.max(), 800'000'000u);
  EXPECT_LT(rig.result().own_lag_ns.max(), 10'000u);
}

TEST(LoadHold, OnesThatAreClosedByTheServerAreFailures) {
  LoadRigOptions options = Held(10, 5);
  options.serve.disturbance.error_share[static_cast<size_t>(apps::Fate::kEarly)] = 1;
  options.serve.exchange.response_bytes = 100;
  options.plan.mix = {{.request_bytes = 1, .response_bytes = 100}};
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 10);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kClosedEarly], 5u);
  EXPECT_EQ(rig.counts().ok, 5u);
  EXPECT_EQ(rig.counts().held, 5u);
}

// More than the server looks at in one poll.
TEST(LoadHold, HttpServerEndsWhatIsIdle) {
  LoadRigOptions options = Held(700, 0);
  options.service = apps::Service::kHttp;
  options.plan.duration = Duration::Seconds(10);
  options.serve.http.idle_timeout = Duration::Seconds(3);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  ExpectAllCounted(rig, 700);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kRstAfterEstablished], 700u);
  EXPECT_EQ(rig.server().app().http().counters().idle_aborted, 700u);
}

TEST(LoadHold, HttpServerKeepsWhatIsNotIdle) {
  LoadRigOptions options = Held(700, 700);
  options.service = apps::Service::kHttp;
  options.plan.duration = Duration::Seconds(10);
  options.serve.http.idle_timeout = Duration::Seconds(3);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().ok, 700u);
  EXPECT_EQ(rig.server().app().http().counters().idle_aborted, 0u);
}

TEST(LoadHold, HttpServerKeepsWhatIsIdleWhenAsked) {
  LoadRigOptions options = Held(10, 0);
  options.service = apps::Service::kHttp;
  options.plan.duration = Duration::Seconds(600);
  options.serve.http.idle_timeout = Duration();
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run(Duration::Seconds(1'000)));
  EXPECT_EQ(rig.counts().ok, 10u);
}

}  // namespace
}  // namespace millrace::testing
