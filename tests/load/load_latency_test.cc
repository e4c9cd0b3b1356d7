// What the load generator says about latency, against servers whose latency is known.

#include <gtest/gtest.h>

#include <cmath>

#include "load/load_rig.h"

namespace millrace::testing {
namespace {

using apps::LatencyState;

double Ms(uint64_t ns) { return static_cast<double>(ns) * 1e-6; }

TEST(LoadLatency, HistogramMatchesAnInjectedDistribution) {
  LoadRigOptions options;
  options.plan.rate_per_s = 5'000;
  options.plan.duration = Duration::Seconds(20);
  options.plan.arrival.kind = apps::ArrivalKind::kPoisson;
  options.serve.exchange.close_after = 1;
  options.serve.disturbance.delay =
      *apps::Quantiles::Parse("p0:1ms,p50:2ms,p90:10ms,p99:50ms,p100:500ms");
  LoadRig rig(options);
  ASSERT_TRUE(rig.Run(Duration::Seconds(100)));
  const apps::RunResult& result = rig.result();
  const Histogram& first_byte = result.actual[LatencyState::kFirstByte];
  const auto n = static_cast<double>(first_byte.count());
  ASSERT_NEAR(n, 100'000, 1'500);
  for (const double q : {0.5, 0.9, 0.99, 0.999}) {
    // A quantile of n draws lies between those of q plus and minus four standard deviations, and
    // the histogram's counter ends at most 0.1 % above it. The network takes a few microseconds.
    const double sigma = std::sqrt(q * (1 - q) / n);
    const auto& delay = options.serve.disturbance.delay;
    EXPECT_GE(Ms(first_byte.ValueAtQuantile(q)), delay.At(q - 4 * sigma).seconds() * 1e3) << q;
    EXPECT_LE(Ms(first_byte.ValueAtQuantile(q)),
              delay.At(q + 4 * sigma).seconds() * 1e3 * 1.001 + 0.02)
        << q;
  }
  EXPECT_LT(Ms(result.actual[LatencyState::kConnect].max()), 0.1);
}

// A server that answers nothing for a second, in the middle of ten.
struct Stall {
  apps::RunResult result;
  apps::Latencies intended;
};

Stall RunStall(uint32_t open_max) {
  LoadRigOptions options;
  options.plan.rate_per_s = 1'000;
  options.plan.duration = Duration::Seconds(10);
  options.plan.open_max = open_max;
  options.plan.timeouts.connect = Duration::Seconds(5);
  options.serve.exchange.close_after = 1;
  // Nobody repeats a segment that only waits.
  options.client_tcp.rto_initial = Duration::Seconds(5);
  LoadRig rig(options);
  // Frames to the server wait in the network for the stall to end.
  struct Waiting {
    std::vector<sim::Frame> frames;
    bool stalled = false;
  };
  auto waiting = std::make_shared<Waiting>();
  rig.cable().forward.SetFilter([waiting](Instant, const sim::Frame& frame) {
    if (waiting->stalled) waiting->frames.push_back(sim::Frame::CopyOf(frame.octets()));
    return waiting->stalled;
  });
  rig.world().After(Duration::Seconds(4), [waiting] { waiting->stalled = true; });
  rig.world().After(Duration::Seconds(5), [waiting, &rig] {
    waiting->stalled = false;
    for (sim::Frame& frame : waiting->frames) rig.server().port().Deliver(std::move(frame));
    waiting->frames.clear();
  });
  EXPECT_TRUE(rig.Run(Duration::Seconds(100)));
  EXPECT_EQ(rig.counts().ok, 10'000u);
  return {rig.result(), rig.Intended()};
}

// Starts are uniform in time, so a tenth of them meet the stall and wait what is left of it,
// uniform between 0 and 1 s. The part that waits longer than w is (1 s - w) / 10 s.
double StallQuantileMs(double q) { return std::max(0.0, 1'000 - 10'000 * (1 - q)); }

TEST(LoadLatency, StallOfTheServerShowsInEveryPercentileAsTheorySays) {
  const Stall stall = RunStall(16'384);
  for (const double q : {0.91, 0.95, 0.99, 0.999}) {
    const Histogram& connect = stall.intended[LatencyState::kConnect];
    EXPECT_NEAR(Ms(connect.ValueAtQuantile(q)), StallQuantileMs(q), 2) << q;
  }
  // Nothing kept the generator from starting on time, so both ways to measure agree.
  EXPECT_NEAR(Ms(stall.result.actual[LatencyState::kConnect].ValueAtQuantile(0.99)), 900, 2);
  EXPECT_LT(Ms(stall.result.lag_ns.max()), 0.01);
}

TEST(LoadLatency, GeneratorThatMayNotStartStillSeesTheStallFromTheIntendedStart) {
  // With ten connections at most the generator waits with the server: who measures from the actual
  // start sees ten slow connections of ten thousand (coordinated omission).
  const Stall stall = RunStall(10);
  for (const double q : {0.91, 0.95, 0.99, 0.999}) {
    const Histogram& connect = stall.intended[LatencyState::kConnect];
    EXPECT_NEAR(Ms(connect.ValueAtQuantile(q)), StallQuantileMs(q), 5) << q;
  }
  EXPECT_LT(Ms(stall.result.actual[LatencyState::kConnect].ValueAtQuantile(0.99)), 1);
  EXPECT_NEAR(Ms(stall.result.lag_ns.max()), 990, 5);
}

// What `ctl reload` changes of a running server, and that it does not pile up.
TEST(ServeChange, RateCapAndDelayOfARunningServer) {
  LoadRigOptions options = OpenLoop(1'000, Duration::Seconds(3));
  LoadRig rig(options);
  apps::ServeApp& server = rig.server().app();
  rig.world().RunFor(Duration::Seconds(1));
  EXPECT_EQ(server.counters().over_rate_cap, 0u);
  apps::ServeOptions changed = options.serve;
  changed.rate_cap_per_s = 100;
  changed.disturbance.delay = *apps::Quantiles::Parse("5ms");
  EXPECT_TRUE(server.Change(options.serve));
  EXPECT_TRUE(server.CanChange());
  EXPECT_TRUE(server.Change(changed));
  EXPECT_FALSE(server.CanChange()) << "two wait already";
  EXPECT_FALSE(server.Change(changed));
  rig.world().RunFor(Duration::Seconds(1));
  EXPECT_NEAR(static_cast<double>(server.counters().over_rate_cap), 1'000 - 100 - 16, 30);
  EXPECT_TRUE(server.Change(options.serve));  // as it was
  ASSERT_TRUE(rig.Run());
  EXPECT_NEAR(static_cast<double>(rig.counts().ok), 2'000 + 100 + 16, 30);
  const Histogram& first_byte = rig.result().actual[LatencyState::kFirstByte];
  EXPECT_LT(Ms(first_byte.ValueAtQuantile(0.9)), 1);
  EXPECT_NEAR(Ms(first_byte.ValueAtQuantile(0.99)), 5, 0.5);
}

}  // namespace
}  // namespace millrace::testing
