#include "millrace/base/seq.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(SeqNum, OrdersAcrossTheWrap) {
  const SeqNum before(0xFFFF'FFF0), after(0x10);
  EXPECT_TRUE(before < after);
  EXPECT_TRUE(before <= after);
  EXPECT_FALSE(before > after);
  EXPECT_FALSE(before >= after);
  EXPECT_EQ(after - before, 0x20);
  EXPECT_EQ(before - after, -0x20);
  EXPECT_EQ(after.Since(before), 0x20u);
}

TEST(SeqNum, EqualNumbersAreNeitherBeforeNorAfter) {
  const SeqNum a(7);
  EXPECT_FALSE(a < a);
  EXPECT_FALSE(a > a);
  EXPECT_TRUE(a <= a);
  EXPECT_TRUE(a >= a);
}

TEST(SeqNum, OrderTurnsRoundAtHalfTheCircle) {
  for (const uint32_t base : {0u, 1u, 0x7FFF'FFFFu, 0x8000'0000u, 0xFFFF'FFFFu}) {
    const SeqNum a(base);
    EXPECT_TRUE(a < a + 0x7FFF'FFFF) << base;
    EXPECT_TRUE(a > a + 0x8000'0001) << base;
  }
}

TEST(SeqNum, AdditionWrapsAndSubtractionUndoesIt) {
  SeqNum a(0xFFFF'FFFF);
  EXPECT_EQ((a + 2).value(), 1u);
  EXPECT_EQ((a + 2 - 2u).value(), 0xFFFF'FFFFu);
  a += 1;
  EXPECT_EQ(a.value(), 0u);
}

TEST(SeqNum, WindowContainsItsLeftEdgeAndNotItsRightEdge) {
  const SeqNum left(0xFFFF'FFFE);
  EXPECT_TRUE(left.InWindow(left, 4));
  EXPECT_TRUE((left + 3).InWindow(left, 4));
  EXPECT_FALSE((left + 4).InWindow(left, 4));
  EXPECT_FALSE((left - 1u).InWindow(left, 4));
  EXPECT_FALSE(left.InWindow(left, 0));
}

TEST(SeqNum, MaxAndMinFollowTheCircle) {
  const SeqNum before(0xFFFF'FFF0), after(0x10);
  EXPECT_EQ(Max(before, after), after);
  EXPECT_EQ(Max(after, before), after);
  EXPECT_EQ(Min(before, after), before);
  EXPECT_EQ(Min(after, before), before);
}

}  // namespace
}  // namespace millrace
