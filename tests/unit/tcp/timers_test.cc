// Ticks and the deadlines of a connection (RTO-12).

#include "millrace/tcp/timers.h"

#include <gtest/gtest.h>

namespace millrace::tcp {
namespace {

TEST(Ticks, DeadlineIsRoundedUpAndThePresentDown) {
  const Instant t = Instant::FromNanoseconds((int64_t{5} << kTickShift) + 1);
  EXPECT_EQ(TickFloor(t), 5u);
  EXPECT_EQ(TickCeil(t), 6u);
  const Instant exact = Instant::FromNanoseconds(int64_t{5} << kTickShift);
  EXPECT_EQ(TickFloor(exact), 5u);
  EXPECT_EQ(TickCeil(exact), 5u);
  EXPECT_EQ(TicksOf(kTick), 1u);
  EXPECT_EQ(TicksOf(kTick + Duration::Nanoseconds(1)), 2u);
}

TEST(Ticks, ComparisonSurvivesTheWrap) {
  EXPECT_TRUE(TickReached(5, 5));
  EXPECT_FALSE(TickReached(6, 5));
  EXPECT_TRUE(TickReached(0xFFFF'FFFF, 3));
  EXPECT_FALSE(TickReached(3, 0xFFFF'FFFF));
  const Instant late = Instant::FromNanoseconds((int64_t{1} << (32 + kTickShift)) + 5);
  EXPECT_EQ(TickFloor(late), 0u);
}

TEST(TimerTable, NextIsTheEarliestThatIsArmed) {
  TimerTable timers{};
  EXPECT_EQ(timers.armed, 0);
  timers.Set(Timer::kRetransmit, 100);
  timers.Set(Timer::kDelayedAck, 40);
  timers.Set(Timer::kLifetime, 70);
  EXPECT_EQ(timers.Next(), 40u);
  timers.Stop(Timer::kDelayedAck);
  EXPECT_FALSE(timers.IsArmed(Timer::kDelayedAck));
  EXPECT_EQ(timers.Next(), 70u);
  timers.Set(Timer::kLifetime, 200);
  EXPECT_EQ(timers.Next(), 100u);
}

TEST(TimerTable, NextIsRightAcrossTheWrap) {
  TimerTable timers{};
  timers.Set(Timer::kRetransmit, 3);
  timers.Set(Timer::kLifetime, 0xFFFF'FFF0);
  EXPECT_EQ(timers.Next(), 0xFFFF'FFF0u);
}

TEST(TimerTable, DueOnlyWhenArmedAndReached) {
  TimerTable timers{};
  EXPECT_FALSE(timers.IsDue(Timer::kRetransmit, 0));
  timers.Set(Timer::kRetransmit, 10);
  EXPECT_FALSE(timers.IsDue(Timer::kRetransmit, 9));
  EXPECT_TRUE(timers.IsDue(Timer::kRetransmit, 10));
  EXPECT_FALSE(timers.IsDue(Timer::kDelayedAck, 10));
  timers.Stop(Timer::kRetransmit);
  EXPECT_FALSE(timers.IsDue(Timer::kRetransmit, 10));
}

}  // namespace
}  // namespace millrace::tcp
