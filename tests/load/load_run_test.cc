// The load generator against a server of ours, in virtual time: what is offered is achieved, every
// way to close works, every failure has its name.

#include <gtest/gtest.h>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::CloseMode;
using apps::LoadFailure;

TEST(LoadRun, AchievesWhatIsOffered) {
  LoadRigOptions options = OpenLoop(10'000, Duration::Seconds(1));
  options.plan.warmup = Duration::Milliseconds(200);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().offered, 10'000u);
  EXPECT_EQ(rig.counts().ok, 10'000u);
  EXPECT_EQ(rig.counts().failures.total(), 0u);
  EXPECT_EQ(rig.counts().requests_ok, 10'000u);
  EXPECT_EQ(rig.result().window, Duration::Seconds(1));
  EXPECT_EQ(rig.result().actual[apps::LatencyState::kConnect].count(), 10'000u);
  // Warm-up and the probe are there, but not measured.
  EXPECT_EQ(rig.client().engine().tcp_counters().active_opens, 12'001u);
}

// Several generators of a run begin at one instant, when the last of them is ready.
TEST(LoadRun, WaitsForItsStart) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Seconds(1));
  LoadRig rig(options);
  const Instant start = rig.world().now() + Duration::Milliseconds(700);
  rig.live().start_at_ns = start.ns();
  (void)rig.world().RunUntil([] { return false; }, start - Duration::Nanoseconds(1));
  EXPECT_EQ(rig.live().stage, apps::LoadStage::kReady);
  EXPECT_EQ(rig.client().engine().tcp_counters().active_opens, 1u);  // the probe
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().ok, 1'000u);
  EXPECT_GE(rig.world().now(), start + Duration::Milliseconds(999));
  EXPECT_LE(rig.result().lag_ns.max(), 1'000u);
}

TEST(LoadRun, EndsWhenItIsStoppedBeforeItsStart) {
  LoadRig rig(OpenLoop(1'000, Duration::Seconds(1)));
  rig.live().start_at_ns = apps::LiveRun::kNotYet;
  EXPECT_FALSE(rig.Run(Duration::Seconds(2)));
  rig.live().stop = true;
  rig.client().Wake();
  EXPECT_TRUE(rig.Run(Duration::Seconds(2)));
  EXPECT_EQ(rig.counts().offered, 0u);
}

TEST(LoadRun, EveryWayToCloseEndsWell) {
  for (const CloseMode mode :
       {CloseMode::kFin, CloseMode::kReset, CloseMode::kServer, CloseMode::kHalf}) {
    LoadRigOptions options = OpenLoop(2'000, Duration::Milliseconds(500));
    options.plan.close = mode;
    options.serve.exchange.close_after = mode == CloseMode::kServer ? 1 : 0;
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    EXPECT_EQ(rig.counts().ok, 1'000u) << ToString(mode);
    EXPECT_EQ(rig.counts().failures.total(), 0u) << ToString(mode);
    const bool ours = mode == CloseMode::kFin || mode == CloseMode::kHalf;
    EXPECT_EQ(rig.client().engine().tcp_counters().time_waits, ours ? 1'000u : 0u)
        << ToString(mode);
  }
}

TEST(LoadRun, ClosedLoopKeepsItsConnectionsUnderWay) {
  LoadRigOptions options;
  options.plan.concurrency = 10;
  options.plan.count = 1'000;
  options.serve.exchange.close_after = 1;
  options.impairment.delay = Duration::Milliseconds(1);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().ok, 1'000u);
  // Handshake, exchange and close take a round trip each: 6 ms for each ten.
  EXPECT_NEAR(rig.result().window.seconds(), 0.6, 0.02);
}

TEST(LoadRun, SeveralRequestsWithTimeToThink) {
  LoadRigOptions options = OpenLoop(100, Duration::Seconds(10));
  options.plan.count = 100;
  options.plan.requests = 3;
  options.plan.think = Duration::Milliseconds(10);
  options.plan.close = CloseMode::kFin;
  options.plan.check_payload = true;
  options.plan.mix = {{.request_bytes = 1, .response_bytes = 5'000}};
  options.serve.exchange = {.request_bytes = 1, .response_bytes = 5'000};
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().ok, 100u);
  EXPECT_EQ(rig.counts().requests_ok, 300u);
  EXPECT_EQ(rig.counts().body_bytes, 300u * 5'000u);
  EXPECT_GE(rig.result().actual[apps::LatencyState::kTotal].min(), 20'000'000u);
}

// Connections that began in the warm-up and go on behind the window: what is measured is when the
// requests were meant to start. A round trip of 2 ms and 10 ms to think: 12 ms each.
TEST(LoadRun, RequestsCountByTheirOwnStart) {
  LoadRigOptions options;
  options.plan.concurrency = 4;
  options.plan.requests = 1'000'000;
  options.plan.think = Duration::Milliseconds(10);
  options.plan.warmup = Duration::Milliseconds(300);
  options.plan.duration = Duration::Milliseconds(600);
  options.plan.drain = Duration::Milliseconds(200);
  options.impairment.delay = Duration::Milliseconds(1);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().offered, 0u);
  EXPECT_NEAR(static_cast<double>(rig.counts().requests_ok), 4 * 600 / 12.0, 6);
  EXPECT_EQ(rig.counts().requests_sent, rig.counts().requests_ok);
  EXPECT_EQ(rig.result().actual[apps::LatencyState::kLastByte].count(), rig.counts().requests_ok);
}

TEST(LoadRun, HttpWithEachRequestOnItsOwnConnectionAndWithSeveral) {
  for (const uint32_t requests : {1u, 4u}) {
    LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(300));
    options.service = apps::Service::kHttp;
    options.plan.targets = {{.path = "/10k"}};
    options.plan.requests = requests;
    options.plan.expected_body_bytes = 10 * 1024;
    options.plan.check_payload = true;
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    EXPECT_EQ(rig.counts().ok, 300u);
    EXPECT_EQ(rig.counts().requests_ok, 300u * requests);
  }
}

TEST(LoadRun, AnEmptyBodyCanBeExpected) {
  for (const char* const path : {"/0", "/1k"}) {
    LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(100));
    options.service = apps::Service::kHttp;
    options.plan.targets = {{.path = path}};
    options.plan.expected_body_bytes = 0;
    LoadRig rig(options);
    ASSERT_TRUE(rig.Run());
    const uint64_t wrong = std::string_view(path) == "/0" ? 0 : 100;
    EXPECT_EQ(rig.counts().failures[LoadFailure::kWrongLength], wrong) << path;
    EXPECT_EQ(rig.counts().ok, 100 - wrong) << path;
  }
}

// Made one after another inside a poll, so many would take minutes of it, and deep a stack.
TEST(LoadRun, RequestsThatNobodyAnswersAreMadeOneAPoll) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(10));
  options.plan.mix = {{.request_bytes = 0, .response_bytes = 0}};
  options.plan.requests = 1'000'000'000;
  options.plan.close = CloseMode::kFin;
  options.plan.drain = Duration::Milliseconds(1);
  options.serve.exchange = {.request_bytes = 1, .response_bytes = 1};
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().failures[LoadFailure::kUnfinished], 10u);
  EXPECT_GT(rig.counts().requests_ok, 1'000u);
  EXPECT_LT(rig.counts().requests_ok, 1'000'000u);
}

TEST(LoadRun, HoldsConnectionsWhileItOpensOthersAndRequestsOnThem) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Seconds(1));
  options.plan.close = CloseMode::kFin;
  options.plan.hold = 500;
  options.plan.held_requests_per_s = 2'000;
  options.serve.exchange.close_after = 0;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().held, 500u);
  EXPECT_EQ(rig.counts().offered, 1'500u);
  EXPECT_EQ(rig.counts().ok, 1'500u);
  EXPECT_EQ(rig.counts().held_ok, 500u);
  EXPECT_EQ(rig.counts().requests_ok, 3'000u);
  EXPECT_EQ(rig.counts().failures.total(), 0u);
}

TEST(LoadRun, NothingIsLeftInAnyPool) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(500));
  options.plan.close = CloseMode::kReset;
  options.serve.exchange.close_after = 0;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  rig.world().RunFor(Duration::Seconds(1));
  EXPECT_EQ(sim::EngineChecker::CheckEmpty(rig.client().engine(), rig.client().port().live()),
            std::nullopt);
  EXPECT_EQ(sim::EngineChecker::CheckEmpty(rig.server().engine(), rig.server().port().live()),
            std::nullopt);
}

std::string Names(const apps::FailureCounts& failures) {
  std::string names;
  failures.ForEach([&](LoadFailure failure, uint64_t count) {
    names += std::string(ToString(failure)) + " " + std::to_string(count) + " ";
  });
  return names;
}

// A server that misbehaves in one way all the time: one name for every connection, in finite time.
struct Misbehaviour {
  apps::Fate fate;
  LoadFailure raw, http;
};

TEST(LoadRun, EveryMisbehaviourOfAServerHasOneName) {
  const Misbehaviour kAll[] = {
      {apps::Fate::kStatus, LoadFailure::kRstAfterEstablished, LoadFailure::kHttpStatus},
      {apps::Fate::kReset, LoadFailure::kRstAfterEstablished, LoadFailure::kRstAfterEstablished},
      {apps::Fate::kSilent, LoadFailure::kFirstByteTimeout, LoadFailure::kFirstByteTimeout},
      {apps::Fate::kGarbage, LoadFailure::kWrongPayload, LoadFailure::kNotHttp},
      {apps::Fate::kEarly, LoadFailure::kClosedEarly, LoadFailure::kClosedEarly},
      {apps::Fate::kForever, LoadFailure::kExtraData, LoadFailure::kLastByteTimeout},
  };
  for (const Misbehaviour& m : kAll) {
    for (const bool http : {false, true}) {
      LoadRigOptions options = OpenLoop(100, Duration::Milliseconds(100));
      options.service = http ? apps::Service::kHttp : apps::Service::kExchange;
      options.serve.exchange.response_bytes = 1'000;
      options.plan.mix = {{.request_bytes = 1, .response_bytes = 1'000}};
      options.plan.check_payload = !http || m.fate != apps::Fate::kEarly;
      options.plan.timeouts.first_byte = Duration::Milliseconds(500);
      options.plan.timeouts.last_byte = Duration::Milliseconds(200);
      // What is sent without end fills the queue of the network, which then drops SYNs too.
      options.plan.timeouts.connect = Duration::Seconds(10);
      options.plan.drain = Duration::Seconds(5);
      options.impairment.delay = Duration::Microseconds(200);
      options.impairment.rate_bps = 1'000'000'000;
      options.serve.disturbance.error_share[static_cast<size_t>(m.fate)] = 1;
      LoadRig rig(options);
      ASSERT_TRUE(rig.Run()) << ToString(m.fate);
      EXPECT_EQ(rig.counts().offered, 10u);
      EXPECT_EQ(rig.counts().failures[http ? m.http : m.raw], 10u)
          << ToString(m.fate) << (http ? " http: " : " raw: ") << Names(rig.counts().failures);
      EXPECT_EQ(rig.counts().ok, 0u);
      EXPECT_EQ(rig.counts().failures.total(), 10u);
    }
  }
}

TEST(LoadRun, ATargetThatIsNotThereEndsTheRunSoonAndByName) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Seconds(10));
  options.plan.targets = {{.endpoint = *Endpoint::Parse("10.0.0.9:80")}};
  LoadRig rig(options);
  const Instant start = rig.world().now();
  ASSERT_TRUE(rig.Run());
  EXPECT_LT(rig.world().now() - start, Duration::Seconds(7));
  EXPECT_EQ(rig.result().missing_target, 0);
  EXPECT_EQ(rig.counts().failures.total(), 1u);
}

TEST(LoadRun, ATargetThatRefusesIsMeasured) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(200));
  options.listens = false;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  const apps::FailureCounts& failures = rig.counts().failures;
  EXPECT_EQ(rig.counts().offered, 200u);
  EXPECT_EQ(failures.total(), 200u);
  EXPECT_EQ(failures[LoadFailure::kRstInSynSent], 200u);
}

TEST(LoadRun, WhatIsUnderWayAtTheEndIsNamedToo) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(100));
  options.serve.disturbance.error_share[static_cast<size_t>(apps::Fate::kSilent)] = 1;
  LoadRig rig(options);
  const Instant start = rig.world().now();
  ASSERT_TRUE(rig.Run());
  EXPECT_LE(rig.world().now() - start, Duration::Milliseconds(610));
  EXPECT_EQ(rig.counts().failures[LoadFailure::kUnfinished], 100u);
}

TEST(LoadRun, WhatCouldNotBeStartedInTimeIsNamedToo) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Milliseconds(100));
  options.plan.open_max = 10;
  options.serve.disturbance.error_share[static_cast<size_t>(apps::Fate::kSilent)] = 1;
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run());
  EXPECT_EQ(rig.counts().offered, 100u);
  EXPECT_EQ(rig.counts().started, 10u);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kUnfinished], 10u);
  EXPECT_EQ(rig.counts().failures[LoadFailure::kOpenMax], 90u);
}

TEST(LoadRun, EndsAtOnceWhenItIsTold) {
  LoadRig rig(OpenLoop(1'000, Duration::Seconds(1'000)));
  rig.world().After(Duration::Milliseconds(500), [&rig] { rig.live().stop.store(true); });
  ASSERT_TRUE(rig.Run());
  EXPECT_NEAR(static_cast<double>(rig.counts().ok), 500, 2);
  EXPECT_EQ(rig.counts().failures.total(), 0u);
}

TEST(LoadRun, SurvivesABadNetworkWithAllCounted) {
  LoadRigOptions options = OpenLoop(500, Duration::Seconds(2));
  options.impairment.loss = 0.05;
  options.impairment.delay = Duration::Milliseconds(2);
  options.plan.drain = Duration::Seconds(10);
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run(Duration::Seconds(200)));
  EXPECT_EQ(rig.counts().offered, 1'000u);
  EXPECT_EQ(rig.counts().ok + rig.counts().failures.total(), 1'000u);
  EXPECT_GT(rig.counts().ok, 850u);
}

}  // namespace
}  // namespace millrace::testing
