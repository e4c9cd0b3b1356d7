// Ports that come home: source ports of several workers.

#include <bitset>
#include <memory>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/base/prng.h"
#include "millrace/stack/source_port.h"

namespace millrace::stack {
namespace {

const Endpoint kServer{IpAddress::V4(0xC633'6407), 443};

SourcePortConfig Config(const Steering& steering, uint32_t worker, const char* prefix) {
  return {.addresses = IpPrefix::Parse(prefix).value(),
          .secret = {worker + 1, 77},
          .all_addresses = true,
          .steering = &steering,
          .worker = worker};
}

uint32_t OwnerOf(const Steering& steering, const SourcePorts::Candidate& c, const Endpoint& to,
                 const IpAddress& local_v6 = IpAddress::V4(0)) {
  return steering.OwnerOf(static_cast<Fold>(FoldOf(c.address_low) ^ FoldOf(local_v6) ^ c.port ^
                                            FoldOf(to.address) ^ to.port));
}

// ISN-07: every answer comes home. A million opens over 16 source addresses to one destination, by
// 8 workers: 97 % of all tuples.
TEST(SourcePortsOfWorkers, MillionOpensNeverTakeATupleTwice) {
  constexpr uint32_t kWorkers = 8, kOpens = 1'000'000;
  const Steering steering(Steering::DrawPattern(1, 512), 512, kWorkers);
  const auto taken = std::make_unique<std::bitset<16 * 65'536>>();
  std::vector<SourcePorts> ports;
  for (uint32_t w = 0; w < kWorkers; ++w) ports.emplace_back(Config(steering, w, "10.9.8.32/28"));
  for (uint32_t i = 0; i < kOpens; ++i) {
    const uint32_t worker = i % kWorkers;
    const auto* choice = ports[worker].Choose(
        kServer, [](SourcePorts::Candidate) { return uint64_t{0}; },
        [](SourcePorts::Candidate, uint64_t) { return true; });
    ASSERT_NE(choice, nullptr);
    const SourcePorts::Candidate c = choice->candidate;
    ASSERT_EQ(OwnerOf(steering, c, kServer), worker);
    ASSERT_GE(c.address_low, 0x0A09'0820u);
    ASSERT_LE(c.address_low, 0x0A09'082Fu);
    ASSERT_GE(c.port, 1024);
    const size_t tuple = (c.address_low & 15) << 16 | c.port;
    ASSERT_FALSE(taken->test(tuple));
    taken->set(tuple);
  }
}

TEST(SourcePortsOfWorkers, SharesAreEvenWithinOnePercentAndTogetherAll) {
  for (const uint32_t workers : {2u, 3u, 5u, 8u}) {
    const Steering steering(Steering::DrawPattern(workers, 512), 512, workers);
    uint64_t sum = 0;
    for (uint32_t w = 0; w < workers; ++w) {
      const SourcePorts ports(Config(steering, w, "10.9.8.32/28"));
      const double even = 16.0 * 64'512 / workers;
      EXPECT_NEAR(static_cast<double>(ports.capacity()), even, even / 100) << w;
      sum += ports.capacity();
    }
    EXPECT_EQ(sum, 16u * 64'512u);
  }
}

// With 32 workers and tables of any size each tuple is still some worker's, exactly once.
TEST(SourcePortsOfWorkers, EveryTupleBelongsToExactlyOneWorker) {
  for (const uint32_t buckets : {64u, 128u, 512u}) {
    const Steering steering(Steering::DrawPattern(9, buckets), buckets, 32);
    std::set<uint16_t> seen;
    for (uint32_t w = 0; w < 32; ++w) {
      SourcePorts ports(Config(steering, w, "10.0.0.1/32"));
      for (uint64_t i = 0; i < ports.capacity(); ++i) {
        const SourcePorts::Candidate c = ports.Next(kServer);
        ASSERT_EQ(OwnerOf(steering, c, kServer), w);
        ASSERT_TRUE(seen.insert(c.port).second);
      }
    }
    EXPECT_EQ(seen.size(), 64'512u);
    EXPECT_EQ(*seen.begin(), 1024);
  }
}

TEST(SourcePortsOfWorkers, ComeHomeFromEveryDestinationOverBothFamilies) {
  const Steering steering(Steering::DrawPattern(3, 128), 128, 5);
  Prng dice(1);
  SourcePorts v4(Config(steering, 2, "172.16.0.0/20"));
  for (int i = 0; i < 500; ++i) {
    const auto port = static_cast<uint16_t>(dice.Next());
    const Endpoint a{IpAddress::V4(static_cast<uint32_t>(dice.Next())), port};
    ASSERT_EQ(OwnerOf(steering, v4.Next(a), a), 2u);
    const Endpoint b{IpAddress::V6(dice.Next(), dice.Next()), port};
    const IpAddress local = IpAddress::V6(dice.Next(), dice.Next());
    SourcePorts v6({.addresses = {local, 96 + static_cast<int>(dice.Next() % 33)},
                    .secret = {1, 2},
                    .steering = &steering,
                    .worker = 2});
    const SourcePorts::Candidate c = v6.Next(b);
    ASSERT_EQ(OwnerOf(steering, {0, c.port}, b, v6.AddressOf(c)), 2u);
  }
}

TEST(SourcePortsOfWorkers, RangeIsUsedInWholeBlocks) {
  EXPECT_EQ(SteerablePorts(1024, 65'535, 512), 64'512u);
  EXPECT_EQ(SteerablePorts(32'768, 60'999, 512), 28'160u);
  EXPECT_EQ(SteerablePorts(1, 511, 512), 0u);
  EXPECT_EQ(SteerablePorts(1000, 1535, 512), 512u);
  const Steering steering(Steering::DrawPattern(3, 512), 512, 2);
  SourcePortConfig config = Config(steering, 0, "10.0.0.1/32");
  config.first_port = 32'768;
  config.last_port = 60'999;
  SourcePorts ports(config);
  EXPECT_EQ(ports.capacity(), 28'160u / 2);
  for (uint64_t i = 0; i < ports.capacity(); ++i) {
    const SourcePorts::Candidate c = ports.Next(kServer);
    ASSERT_GE(c.port, 32'768);
    ASSERT_LE(c.port, 60'999);
  }
}

TEST(SourcePortsOfWorkers, WorkerWithoutBucketsHasNoPort) {
  const Steering steering(Steering::DrawPattern(3, 512), 512, 2, 1);
  SourcePorts dispatcher(Config(steering, 0, "10.0.0.1/32"));
  EXPECT_EQ(dispatcher.capacity(), 0u);
  const auto* choice = dispatcher.Choose(
      kServer, [](SourcePorts::Candidate) { return uint64_t{0}; },
      [](SourcePorts::Candidate, uint64_t) { return true; });
  EXPECT_EQ(choice, nullptr);
  EXPECT_EQ(dispatcher.exhausted(), 1u);
}

// ISN-07: to the outside the ports of one worker look like those of one alone: consecutive ones are
// far apart, and the low bits are not those of a sequence.
TEST(SourcePortsOfWorkers, ConsecutivePortsAreFarApart) {
  const Steering steering(Steering::DrawPattern(3, 512), 512, 4);
  SourcePorts ports(Config(steering, 1, "10.0.0.1/32"));
  int near = 0;
  uint16_t last = ports.Next(kServer).port;
  for (int i = 0; i < 10'000; ++i) {
    const uint16_t next = ports.Next(kServer).port;
    near += std::abs(int{next} - int{last}) < 512 ? 1 : 0;
    last = next;
  }
  EXPECT_LT(near, 300);  // by chance 160
}

}  // namespace
}  // namespace millrace::stack
