#include "apps/common/units.h"

#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

TEST(Units, SizesArePowersOf1024) {
  EXPECT_EQ(ParseSize("0"), 0u);
  EXPECT_EQ(ParseSize("512"), 512u);
  EXPECT_EQ(ParseSize("1k"), 1024u);
  EXPECT_EQ(ParseSize("1K"), 1024u);
  EXPECT_EQ(ParseSize("64KiB"), 65'536u);
  EXPECT_EQ(ParseSize("1.5m"), 1'572'864u);
  EXPECT_EQ(ParseSize("2gb"), uint64_t{2} << 30);
}

TEST(Units, CountsArePowersOf1000) {
  EXPECT_EQ(ParseCount("64"), 64u);
  EXPECT_EQ(ParseCount("20k"), 20'000u);
  EXPECT_EQ(ParseCount("1.2M"), 1'200'000u);
  EXPECT_EQ(ParseCount("1.1k"), 1'100u);
}

TEST(Units, WhatIsNotUnderstoodAsAWholeIsRefused) {
  for (const char* text : {"", "k", "-1", "+1", "1 k", " 1", "1kk", "1x", "1e3", "0x10", ".",
                           "1..2", "0.5", "99999999999t", "nan", "inf"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
    EXPECT_EQ(ParseCount(text), std::nullopt) << text;
  }
}

TEST(Units, RatesMayBeFractionsButNotZero) {
  EXPECT_EQ(ParseRate("0.5"), 0.5);
  EXPECT_EQ(ParseRate("20k/s"), 20'000.0);
  EXPECT_EQ(ParseRate("1.2M"), 1.2e6);
  EXPECT_EQ(ParseRate("0"), std::nullopt);
  EXPECT_EQ(ParseRate("5q"), std::nullopt);
}

TEST(Units, DurationsWithoutUnitAreSeconds) {
  EXPECT_EQ(ParseDuration("5"), Duration::Seconds(5));
  EXPECT_EQ(ParseDuration("200ms"), Duration::Milliseconds(200));
  EXPECT_EQ(ParseDuration("0.25s"), Duration::Milliseconds(250));
  EXPECT_EQ(ParseDuration("2m"), Duration::Seconds(120));
  EXPECT_EQ(ParseDuration("7us"), Duration::Microseconds(7));
  EXPECT_EQ(ParseDuration("1h"), Duration::Seconds(3600));
  EXPECT_EQ(ParseDuration("1001h"), std::nullopt);
  EXPECT_EQ(ParseDuration("5 s"), std::nullopt);
  EXPECT_EQ(ParseDuration("5d"), std::nullopt);
}

TEST(Units, PrintedValuesHaveThreeOrFourDigits) {
  EXPECT_EQ(FormatCount(17), "17");
  EXPECT_EQ(FormatCount(1999), "1 999");
  EXPECT_EQ(FormatCount(12'345), "12.3 k");
  EXPECT_EQ(FormatCount(1'204'000), "1.20 M");
  EXPECT_EQ(FormatDuration(Duration::Nanoseconds(850)), "850ns");
  EXPECT_EQ(FormatDuration(Duration::Nanoseconds(6'104)), "6.10us");
  EXPECT_EQ(FormatDuration(Duration::Nanoseconds(999'700)), "1.00ms");
  EXPECT_EQ(FormatDuration(Duration::Seconds(60)), "60.0s");
  EXPECT_EQ(FormatBytes(1), "1 B");
  EXPECT_EQ(FormatBytes(1'572'864), "1.50 MiB");
  EXPECT_EQ(GroupDigits(0), "0");
  EXPECT_EQ(GroupDigits(1'234'567), "1 234 567");
}

TEST(Units, TypedValuesAreExactAndReadBack) {
  const std::pair<Duration, const char*> durations[] = {{Duration(), "0"},
                                                        {Duration::Seconds(90), "90s"},
                                                        {Duration::Seconds(240), "4m"},
                                                        {Duration::Seconds(86'400), "24h"},
                                                        {Duration::Milliseconds(1'500), "1500ms"},
                                                        {Duration::Nanoseconds(1'001), "1001ns"}};
  for (const auto& [duration, text] : durations) {
    EXPECT_EQ(AsTyped(duration), text);
    EXPECT_EQ(ParseDuration(text), duration);
  }
  const std::pair<uint64_t, const char*> sizes[] = {
      {0, "0"}, {1'000, "1000"}, {1'024, "1k"}, {1u << 30, "1g"}, {3u << 20, "3m"}};
  for (const auto& [octets, text] : sizes) {
    EXPECT_EQ(AsTypedSize(octets), text);
    EXPECT_EQ(ParseSize(text), octets);
  }
}

TEST(Units, NearestFindsATypingErrorAndNothingFarAway) {
  EXPECT_EQ(Nearest("--duraton", {"--rate", "--duration"}), "--duration");
  EXPECT_EQ(Nearest("--zzz", {"--rate", "--duration"}), "");
}

TEST(Units, SharesArePercentOrParts) {
  EXPECT_EQ(ParseShare("3%"), 0.03);
  EXPECT_EQ(ParseShare("0.5%"), 0.005);
  EXPECT_EQ(ParseShare("0.03"), 0.03);
  EXPECT_EQ(ParseShare("0"), 0.0);
  for (const char* bad : {"", "%", "1", "100%", "-1%", "3 %", "3%%", "x"}) {
    EXPECT_EQ(ParseShare(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace millrace::apps
