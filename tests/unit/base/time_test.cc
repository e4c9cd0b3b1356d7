#include "millrace/base/time.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Duration, UnitsConvertWithTruncation) {
  EXPECT_EQ(Duration::Seconds(2).ms(), 2000);
  EXPECT_EQ(Duration::Milliseconds(3), Duration::Microseconds(3000));
  EXPECT_EQ(Duration::Nanoseconds(1999).us(), 1);
  EXPECT_DOUBLE_EQ(Duration::Milliseconds(250).seconds(), 0.25);
}

TEST(Duration, ArithmeticAndOrder) {
  EXPECT_EQ(Duration::Seconds(1) + Duration::Milliseconds(1), Duration::Milliseconds(1001));
  EXPECT_EQ(Duration::Seconds(1) - Duration::Seconds(2), Duration::Seconds(-1));
  EXPECT_EQ(Duration::Seconds(3) * 2 / 3, Duration::Seconds(2));
  EXPECT_LT(Duration::Seconds(-1), Duration());
}

TEST(Instant, DifferenceIsTheDurationBetween) {
  const Instant start = Instant::FromNanoseconds(5);
  const Instant end = start + Duration::Seconds(1);
  EXPECT_EQ(end - start, Duration::Seconds(1));
  EXPECT_EQ(end - Duration::Seconds(1), start);
  EXPECT_LT(start, end);
}

TEST(Instant, NeverComesAfterEverything) {
  EXPECT_TRUE(Instant::Never().IsNever());
  EXPECT_FALSE(Instant().IsNever());
  EXPECT_LT(Instant::FromNanoseconds(INT64_MAX - 1), Instant::Never());
}

}  // namespace
}  // namespace millrace
