#include "apps/load/capacity.h"

#include <gtest/gtest.h>

#include "apps/load/dpdk_bench.h"

namespace millrace::apps {
namespace {

RunPlan PlanAt(double rate_per_s, CloseMode close) {
  RunPlan plan;
  plan.targets = {{.endpoint = *Endpoint::Parse("10.0.0.1:80")}};
  plan.rate_per_s = rate_per_s;
  plan.duration = Duration::Seconds(600);
  plan.close = close;
  return plan;
}

stack::EngineConfig ConfigOf(int owned_bits) {
  stack::EngineConfig config;
  config.address = *IpPrefix::Parse("10.1.0.1/16");
  config.owned_bits = owned_bits;
  return config;
}

TEST(Capacity, IsAddressesTimesPorts) {
  EXPECT_EQ(CapacityOf(PlanAt(1, CloseMode::kFin), ConfigOf(32)).tuples, 64'512u);
  // The first and the last of a /23 are none of ours to use.
  EXPECT_EQ(CapacityOf(PlanAt(1, CloseMode::kFin), ConfigOf(23)).tuples, 510u * 64'512u);
}

TEST(Capacity, CountsEveryAddressOfAPrefixInsideOfTheNetwork) {
  stack::EngineConfig config = ConfigOf(24);
  for (const char* const address : {"10.1.16.5/16", "10.1.1.0/16", "10.1.254.9/16"}) {
    config.address = *IpPrefix::Parse(address);
    EXPECT_EQ(CapacityOf(PlanAt(1, CloseMode::kFin), config).addresses, 256u) << address;
  }
  // With the network's own or its broadcast address in it.
  for (const char* const address : {"10.1.0.5/16", "10.1.255.9/16"}) {
    config.address = *IpPrefix::Parse(address);
    EXPECT_EQ(CapacityOf(PlanAt(1, CloseMode::kFin), config).addresses, 254u) << address;
  }
}

TEST(Capacity, CountsAPrefixOfIpv6Addresses) {
  RunPlan plan = PlanAt(1'076, CloseMode::kFin);
  plan.targets.front().endpoint = *Endpoint::Parse("[2001:db8::2]:80");
  stack::EngineConfig config;
  EXPECT_EQ(CapacityOf(plan, config).tuples, 64'512u);
  EXPECT_NE(CapacityAdvice(CapacityOf(plan, config), false).find("--src with a /127"),
            std::string::npos);
  config.host_v6.owned_bits = 112;
  EXPECT_EQ(CapacityOf(plan, config).tuples, 65'535u * 64'512u);
}

// Several workers share whole blocks of 512 ports.
TEST(Capacity, OfSeveralWorkersIsInBlocks) {
  const stack::Steering steering(stack::Steering::DrawPattern(1, 512), 512, 2);
  stack::EngineConfig config = ConfigOf(32);
  config.steering = &steering;
  config.source_port_min = 1'000;
  config.source_port_max = 2'047;
  EXPECT_EQ(CapacityOf(PlanAt(1, CloseMode::kFin), config).tuples, 1'024u);
  config.source_port_max = 1'100;
  const Capacity none = CapacityOf(PlanAt(1, CloseMode::kReset), config);
  EXPECT_FALSE(none.Lasts());
  EXPECT_NE(CapacityAdvice(none, false).find("--src-port"), std::string::npos);
}

TEST(Capacity, OneAddressLastsForAboutAThousandASecondThroughTimeWait) {
  EXPECT_TRUE(CapacityOf(PlanAt(1'075, CloseMode::kFin), ConfigOf(32)).Lasts());
  const Capacity over = CapacityOf(PlanAt(1'076, CloseMode::kFin), ConfigOf(32));
  EXPECT_FALSE(over.Lasts());
  EXPECT_NE(CapacityAdvice(over, false).find("--src"), std::string::npos);
  EXPECT_EQ(CapacityAdvice(over, true).find("--src"), std::string::npos);
  // Nothing is left of a connection that is reset, and the server keeps TIME-WAIT if it closes.
  EXPECT_TRUE(CapacityOf(PlanAt(1e6, CloseMode::kReset), ConfigOf(32)).Lasts());
  EXPECT_TRUE(CapacityOf(PlanAt(1e6, CloseMode::kServer), ConfigOf(32)).Lasts());
  EXPECT_TRUE(CapacityOf(PlanAt(1e6, CloseMode::kServer), ConfigOf(32)).sequel);
}

TEST(Capacity, AShortRunNeedsLess) {
  RunPlan plan = PlanAt(10'000, CloseMode::kFin);
  plan.duration = Duration::Seconds(5);
  plan.warmup = Duration::Seconds(1);
  EXPECT_EQ(CapacityOf(plan, ConfigOf(32)).needed, 60'000);
  plan.count = 500;
  // What is counted comes behind the warm-up.
  EXPECT_EQ(CapacityOf(plan, ConfigOf(32)).needed, 10'500);
}

TEST(Capacity, ARankNeedsItsPart) {
  RunPlan plan = PlanAt(8'000, CloseMode::kFin);
  plan.hold = 801;
  EXPECT_FALSE(CapacityOf(plan, ConfigOf(32)).Lasts());
  plan.rank = {0, 8};
  EXPECT_NEAR(CapacityOf(plan, ConfigOf(32)).needed, 60'101, 1);
  EXPECT_TRUE(CapacityOf(plan, ConfigOf(32)).Lasts());
  plan.count = 80'000;
  EXPECT_NEAR(CapacityOf(plan, ConfigOf(32)).needed, 10'101, 1);
  // Its TIME-WAITs too.
  plan = PlanAt(1'000'000, CloseMode::kFin);
  plan.rank = {0, 8};
  EXPECT_EQ(TimeWaitsFor(plan, Duration::Seconds(1)), 126'250u);
}

TEST(Capacity, TheBusiestTargetCounts) {
  RunPlan plan = PlanAt(1'200, CloseMode::kFin);
  plan.targets.push_back({.endpoint = *Endpoint::Parse("10.0.0.2:80")});
  EXPECT_TRUE(CapacityOf(plan, ConfigOf(32)).Lasts());
  plan.targets.front().weight = 9;
  EXPECT_FALSE(CapacityOf(plan, ConfigOf(32)).Lasts());
  // Two names for one server are one.
  plan.targets.front().weight = 1;
  plan.targets.back().endpoint = plan.targets.front().endpoint;
  EXPECT_FALSE(CapacityOf(plan, ConfigOf(32)).Lasts());
}

}  // namespace
}  // namespace millrace::apps
