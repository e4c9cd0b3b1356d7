#include "apps/kernel/kernel_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace millrace::testing {
namespace {

using apps::KernelPortSettings;
using apps::KernelSources;
using apps::SourceWalk;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const KernelPortSettings kSettings{.port_min = 40'000, .port_max = 40'009};

std::shared_ptr<const KernelSources> Sources(const std::string& src,
                                             const apps::SourcePortChoice& choice) {
  auto sources = KernelSources::Parse(src, choice, /*v4=*/true, kSettings);
  EXPECT_TRUE(sources.ok()) << sources.status();
  return std::make_shared<const KernelSources>(*sources);
}

TEST(KernelSources, WithoutAFlagTheKernelChooses) {
  SourceWalk walk(Sources("", {}), 0, 1, 1);
  EXPECT_EQ(walk.Next(true), (Endpoint{IpAddress::V4(0), 0}));
  EXPECT_EQ(walk.Next(false), Endpoint());
}

TEST(KernelSources, SequentialOnesAreInOrderAndBeginAgain) {
  SourceWalk walk(Sources("127.0.0.1", {.sequential = true}), 0, 1, 1);
  for (int round = 0; round < 2; ++round) {
    for (uint16_t port = 40'000; port <= 40'009; ++port) {
      EXPECT_EQ(walk.Next(true), (Endpoint{*IpAddress::Parse("127.0.0.1"), port}));
    }
  }
}

TEST(KernelSources, WorkersGoThroughAllTuplesAndShareNone) {
  const auto sources = Sources("127.0.0.4/30:2000-2024,127.0.1.1:2000-2024", {});
  ASSERT_THAT(sources->addresses, SizeIs(5));
  std::multiset<Endpoint> seen;
  for (uint32_t worker = 0; worker < 3; ++worker) {
    SourceWalk walk(sources, worker, 3, 42);
    std::set<Endpoint> own;
    while (true) {
      const Endpoint next = walk.Next(true);
      if (!own.insert(next).second) break;  // it begins again
    }
    seen.insert(own.begin(), own.end());
  }
  EXPECT_THAT(seen, SizeIs(125));
  EXPECT_THAT(std::set<Endpoint>(seen.begin(), seen.end()), SizeIs(125));
}

TEST(KernelSources, WhatIsWrongIsSaid) {
  const auto error = [](const std::string& src, bool v4) {
    const auto sources = KernelSources::Parse(src, {}, v4, kSettings);
    return sources.ok() ? "" : std::string(sources.status().message());
  };
  EXPECT_THAT(error("127.0.0.1,::1", true), HasSubstr("the other family"));
  EXPECT_THAT(error("127.0.0.1", false), HasSubstr("the other family"));
  EXPECT_THAT(error("10.0.0.0/8", true), HasSubstr("65,536"));
  EXPECT_THAT(error("2001:db8::/64", false), HasSubstr("65,536"));
  EXPECT_THAT(error("127.0.0.1:1-2,127.0.0.2:3-4", true), HasSubstr("the same ports"));
  EXPECT_THAT(error("garbage", true), HasSubstr("garbage"));
}

TEST(KernelSources, AnAddressOfAnotherMachineIsRefused) {
  const absl::Status status = Sources("192.0.2.77", {})->Check();  // of documents (RFC 5737)
  EXPECT_THAT(std::string(status.message()), HasSubstr("ip addr add 192.0.2.77/32"));
  EXPECT_TRUE(Sources("127.0.0.8/29", {})->Check().ok());
}

TEST(KernelSources, TimeWaitIsShortWhereTheKernelReusesTuples) {
  const IpAddress loopback = *IpAddress::Parse("127.9.9.9"), other = *IpAddress::Parse("10.0.0.1");
  KernelPortSettings settings{.time_wait_reuse = 2};
  EXPECT_EQ(settings.TimeWaitTo(loopback), Duration::Seconds(1));
  EXPECT_EQ(settings.TimeWaitTo(*IpAddress::Parse("::1")), Duration::Seconds(1));
  EXPECT_EQ(settings.TimeWaitTo(other), Duration::Seconds(60));
  settings.time_wait_reuse = 1;
  EXPECT_EQ(settings.TimeWaitTo(other), Duration::Seconds(1));
  settings.timestamps = false;
  EXPECT_EQ(settings.TimeWaitTo(other), Duration::Seconds(60));
  settings.time_wait_reuse = 0;
  EXPECT_EQ(settings.TimeWaitTo(loopback), Duration::Seconds(60));
}

}  // namespace
}  // namespace millrace::testing
