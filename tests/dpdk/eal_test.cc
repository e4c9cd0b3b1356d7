#include "millrace/dpdk/eal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "dpdk/environment.h"

namespace millrace::dpdk {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(EalArguments, WithoutHugePagesNeedNeitherFilesNorDevices) {
  EXPECT_THAT(EalArguments({.memory_mb = 64}, false, 3, 17),
              IsSupersetOf({"--no-huge", "--no-shconf", "--no-pci", "--lcores=0@3", "-m", "64",
                            "--file-prefix=millrace-17"}));
}

TEST(EalArguments, InMemoryIsNeverGivenTogetherWithNoHuge) {
  EXPECT_THAT(EalArguments({}, false, 0, 1), Not(Contains("--in-memory")));
  EXPECT_THAT(EalArguments({}, true, 0, 1), Contains("--in-memory"));
  EXPECT_THAT(EalArguments({}, true, 0, 1), Not(Contains("--no-huge")));
}

TEST(EalArguments, OnlyNamedPciDevicesAreProbed) {
  const auto args = EalArguments({.pci_allowed = {"0000:41:00.1"}}, true, 0, 1);
  EXPECT_THAT(args, IsSupersetOf({"-a", "0000:41:00.1"}));
  EXPECT_THAT(args, Not(Contains("--no-pci")));
}

TEST(EalArguments, ExtraArgumentsComeLastSoThatTheyWin) {
  const auto args = EalArguments({.extra = {"--log-level=8"}}, false, 0, 1);
  EXPECT_EQ(args.back(), "--log-level=8");
}

TEST(Eal, KeepsTheCpuAffinityOfTheProcess) { EXPECT_TRUE(TestEnvironment().affinity_was_kept()); }

TEST(Eal, LeavesNoRuntimeDirectoryBehind) {
  EXPECT_FALSE(std::filesystem::exists(rte_eal_get_runtime_dir()));
}

TEST(Eal, SecondStartSaysWhy) {
  const auto second = Eal::Start(EalEnvironment::Options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("only once"));
}

TEST(Eal, TooLittleMemoryIsRefusedBeforeDpdkSeesIt) {
  const auto eal = Eal::Start({.memory_mb = 1});
  ASSERT_FALSE(eal.ok());
  EXPECT_THAT(std::string(eal.status().message()), HasSubstr("at least 32 MB"));
}

TEST(Eal, MissingHugePagesSayHowToReserveThem) {
  EalOptions options;
  options.huge_pages = HugePages::kOn;
  options.memory_mb = 1u << 30;  // more than any machine has
  const auto eal = Eal::Start(options);
  ASSERT_FALSE(eal.ok());
  EXPECT_THAT(std::string(eal.status().message()), HasSubstr("sysctl vm.nr_hugepages=536870912"));
}

TEST(Eal, DescribesItselfInOneLine) {
  const std::string text = TestEnvironment().eal().Describe();
  EXPECT_THAT(text, HasSubstr("64 MB in plain memory, no PCI"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(OutputCapture, HoldsStandardStreamsAndTheLogOfDpdk) {
  OutputCapture capture;
  std::fputs("on stdout\n", stdout);
  std::fputs("on stderr\n", stderr);
  rte_log(RTE_LOG_EMERG, RTE_LOGTYPE_EAL, "in the log\n");
  const std::string text = capture.Stop();
  EXPECT_THAT(text, HasSubstr("on stdout\n"));
  EXPECT_THAT(text, HasSubstr("on stderr\n"));
  EXPECT_THAT(text, HasSubstr("in the log\n"));
  EXPECT_EQ(capture.Stop(), "");
}

TEST(MostRelevantLine, IsTheFirstComplaint) {
  EXPECT_EQ(MostRelevantLine("EAL: Detected CPU lcores: 2\nEAL: Cannot get hugepages\n"
                             "EAL: Error - exiting\n"),
            "EAL: Cannot get hugepages");
}

TEST(MostRelevantLine, IsTheLastLineWhenNothingComplains) {
  EXPECT_EQ(MostRelevantLine("one\ntwo\n\n"), "two");
  EXPECT_EQ(MostRelevantLine(""), "");
}

}  // namespace
}  // namespace millrace::dpdk
