#include "apps/load/start_time.h"

#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// `date -u -d ... +%s` says the same.
TEST(StartTime, IsReadAsRfc3339WritesIt) {
  EXPECT_EQ(ParseStartTime("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseStartTime("2026-11-22T06:00:00Z"), 1'795'327'200 * kSecond);
  EXPECT_EQ(ParseStartTime("2026-11-22t07:00:00+01:00"), 1'795'327'200 * kSecond);
  EXPECT_EQ(ParseStartTime("2026-11-21T21:30:00-08:30"), 1'795'327'200 * kSecond);
  EXPECT_EQ(ParseStartTime("2024-02-29T23:59:59.25Z"), 1'709'251'199 * kSecond + kSecond / 4);
  EXPECT_EQ(ParseStartTime("1970-01-01T00:00:00.0000000019z"), 1);
}

TEST(StartTime, IsReadAsSecondsSince1970) {
  EXPECT_EQ(ParseStartTime("@1795327200"), 1'795'327'200 * kSecond);
  EXPECT_EQ(ParseStartTime("@0.5"), kSecond / 2);
  EXPECT_EQ(ParseStartTime("@9223372035"), 9'223'372'035 * kSecond);
}

TEST(StartTime, IsNothingElse) {
  for (const char* const text : {"",
                                 "@",
                                 "@1.",
                                 "@-1",
                                 "@9223372036",
                                 "@12345678901",
                                 "06:00",
                                 "2026-11-22",
                                 "2026-11-22T06:00:00",
                                 "2026-11-22T06:00Z",
                                 "2026-11-22T06:00:00Zx",
                                 "2026-13-22T06:00:00Z",
                                 "2026-02-29T06:00:00Z",
                                 "2026-11-22T24:00:00Z",
                                 "2026-11-22T06:60:00Z",
                                 "2026-11-22T06:00:60Z",
                                 "2026-11-22T06:00:00+0100",
                                 "1969-12-31T23:59:59Z",
                                 "2300-01-01T00:00:00Z",
                                 "2026-11-22 06:00:00Z",
                                 "2026-11-22T06:00:00.Z"}) {
    EXPECT_FALSE(ParseStartTime(text)) << text;
  }
}

}  // namespace
}  // namespace millrace::apps
