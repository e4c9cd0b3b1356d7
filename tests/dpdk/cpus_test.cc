#include "millrace/dpdk/cpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::dpdk {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const HostCpus kHost{.allowed = {2, 3, 8, 9}, .nodes = {{0, 1, 2, 3}, {8, 9, 10, 11}}, .quota = {}};

TEST(Cpus, ListsAreRangesAndNumbers) {
  EXPECT_THAT(*ParseCpuList("3"), ElementsAre(3));
  EXPECT_THAT(*ParseCpuList("5,0,2-4"), ElementsAre(5, 0, 2, 3, 4));
  for (const char* bad : {"", "x", "1,", "3-1", "-1", "1-", "1,1", "0-2,2", "2000", "1-2-3"}) {
    EXPECT_FALSE(ParseCpuList(bad).ok()) << bad;
  }
}

TEST(Cpus, AutoTakesWhatTheProcessMayUseNearTheDevice) {
  EXPECT_THAT(*ChooseCpus("auto", -1, kHost), ElementsAre(2, 3, 8, 9));
  EXPECT_THAT(*ChooseCpus("auto", 1, kHost), ElementsAre(8, 9));
  EXPECT_THAT(*ChooseCpus("auto", 7, kHost), ElementsAre(2, 3, 8, 9));
  HostCpus away = kHost;
  away.allowed = {2, 3};
  EXPECT_THAT(*ChooseCpus("auto", 1, away), ElementsAre(2, 3));
}

TEST(Cpus, AutoTakesNoMoreThanTheQuotaPaysFor) {
  HostCpus host = kHost;
  host.quota = 2.5;
  EXPECT_THAT(*ChooseCpus("auto", -1, host), ElementsAre(2, 3));
  host.quota = 0.5;
  EXPECT_THAT(*ChooseCpus("auto", -1, host), ElementsAre(2));
}

TEST(Cpus, ListOfOthersCpusIsRefused) {
  EXPECT_THAT(*ChooseCpus("9,2", 0, kHost), ElementsAre(9, 2));
  const auto refused = ChooseCpus("2,4", 0, kHost);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("CPU 4 is not for this process"));
}

TEST(Cpus, OfThisMachineAreSome) {
  const HostCpus host = ReadHostCpus();
  EXPECT_FALSE(host.allowed.empty());
  EXPECT_TRUE(ChooseCpus("auto", -1, host).ok());
}

TEST(Cpus, ThreadIsOnACpuForAsLongAsItIsAsked) {
  const std::vector<int> before = ReadHostCpus().allowed;
  {
    const OnCpu on(before.back());
    EXPECT_THAT(ReadHostCpus().allowed, ElementsAre(before.back()));
  }
  EXPECT_EQ(ReadHostCpus().allowed, before);
  const OnCpu nowhere(-1);
  EXPECT_EQ(ReadHostCpus().allowed, before);
}

}  // namespace
}  // namespace millrace::dpdk
