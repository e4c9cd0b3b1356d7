#include "apps/load/start_gate.h"

#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

constexpr Instant AtMs(int64_t ms) { return Instant::FromNanoseconds(ms * 1'000'000); }
constexpr Duration Ms(int64_t ms) { return Duration::Milliseconds(ms); }

StartGate With(uint32_t under_way, Instant answered, uint32_t burst = 1) {
  StartGate gate(burst);
  for (uint32_t i = 0; i < under_way; ++i) gate.OnSyn();
  gate.OnAnswer(answered);
  return gate;
}

TEST(StartGate, AScheduleOnTimeIsNeverHeld) {
  StartGate gate = With(100'000, AtMs(50));
  EXPECT_FALSE(gate.Hold(AtMs(50), AtMs(50)));
  EXPECT_FALSE(gate.Hold(AtMs(50), AtMs(50) + StartGate::kBehind));
  EXPECT_TRUE(gate.Hold(AtMs(50), AtMs(51)));
}

TEST(StartGate, OneThatIsBehindHasAFewHandshakesUnderWay) {
  StartGate gate = With(StartGate::kLeast - 1, AtMs(50));
  EXPECT_FALSE(gate.Hold(AtMs(40), AtMs(50)));
  gate.OnSyn();
  EXPECT_TRUE(gate.Hold(AtMs(40), AtMs(50)));
  EXPECT_TRUE(gate.Holds(AtMs(40), AtMs(50)));
  gate.OnHandshakeOver();
  EXPECT_FALSE(gate.Hold(AtMs(40), AtMs(50)));
}

TEST(StartGate, WhoDoesNotAnswerHoldsNothingBack) {
  StartGate gate = With(1'000, AtMs(50));
  // Once more behind a pause, in which answers may have come.
  EXPECT_TRUE(gate.Hold(AtMs(60), AtMs(70)));
  EXPECT_EQ(gate.silent_from(), AtMs(80));
  EXPECT_TRUE(gate.Hold(AtMs(60), AtMs(80) - Duration::Nanoseconds(1)));
  EXPECT_FALSE(gate.Hold(AtMs(60), AtMs(80)));
  EXPECT_FALSE(gate.Hold(AtMs(60), AtMs(200)));
  gate.OnAnswer(AtMs(200));
  EXPECT_TRUE(gate.Hold(AtMs(60), AtMs(200)));
}

TEST(StartGate, ABurstIsMeantToBeUnderWayAtOnce) {
  EXPECT_FALSE(With(9'999, AtMs(50), 10'000).Hold(AtMs(40), AtMs(50)));
  EXPECT_TRUE(With(10'000, AtMs(50), 10'000).Hold(AtMs(40), AtMs(50)));
}

// A target far away has as many under way as it needs, from the first millisecond.
TEST(StartGate, TwiceWhatIsUsualMayBeUnderWay) {
  StartGate gate = With(5'000, AtMs(50));
  gate.Sample();
  EXPECT_EQ(gate.bound(), 10'000u);
  for (int i = 0; i < 4'000; ++i) gate.OnHandshakeOver();
  for (int i = 0; i < 8'000; ++i) gate.Sample();
  EXPECT_NEAR(gate.bound(), 2'000, 20);
}

// What is held back for too long is so no more: the bound is a guess.
TEST(StartGate, ABoundThatIsReachedRisesTwofoldInASecond) {
  StartGate gate = With(100, AtMs(0));
  for (int i = 0; i < 2'000; ++i) gate.Sample();
  const uint32_t before = gate.bound();
  uint32_t under_way = 100;
  for (int i = 0; i < 1'000; ++i) {
    for (; under_way < gate.bound(); ++under_way) gate.OnSyn();
    gate.Sample();
  }
  EXPECT_GT(gate.bound(), 2 * before);
  EXPECT_LT(gate.bound(), 4 * before);
}

TEST(OthersTime, IsNoLagOfTheGenerator) {
  OthersTime others;
  EXPECT_EQ(others.OwnLag(AtMs(10), AtMs(13)), Ms(3));
  EXPECT_FALSE(others.Covers(AtMs(10)));
  others.Wait(AtMs(10), AtMs(10));
  others.Wait(AtMs(10), AtMs(30));
  EXPECT_TRUE(others.Covers(AtMs(20)));
  EXPECT_EQ(others.OwnLag(AtMs(20), AtMs(31)), Ms(1));
  EXPECT_EQ(others.OwnLag(AtMs(31), AtMs(33)), Ms(2));
}

// A pause of the generator fills the port: the pause is its own, the wait behind it is not.
TEST(OthersTime, BeginsWhenTheGeneratorFoundThatItHadToWait) {
  OthersTime others;
  others.Wait(AtMs(10), AtMs(22));
  others.Wait(AtMs(10), AtMs(40));
  EXPECT_EQ(others.OwnLag(AtMs(10), AtMs(40)), Ms(12));
  EXPECT_EQ(others.OwnLag(AtMs(25), AtMs(40)), Ms(0));
}

TEST(OthersTime, LastsUntilWhatBecameDueInItIsWorkedOff) {
  OthersTime others;
  others.Wait(AtMs(10), AtMs(10));
  others.Wait(AtMs(10), AtMs(20));
  others.CatchUp(AtMs(15), AtMs(25));
  others.CatchUp(AtMs(24), AtMs(27));
  EXPECT_EQ(others.OwnLag(AtMs(26), AtMs(27)), Ms(0));
  others.CatchUp(AtMs(28), AtMs(40));  // due behind it
  EXPECT_EQ(others.OwnLag(AtMs(28), AtMs(40)), Ms(12));
}

}  // namespace
}  // namespace millrace::apps
