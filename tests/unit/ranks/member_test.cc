#include "apps/ranks/member.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "unit/ranks/rank_lines.h"

namespace millrace::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Duration kPatience = Duration::Seconds(60);

class Rig {
 public:
  Rig() { member.OnConnected(time); }
  void Hear(const RankMessage& message) { member.OnLine(LineOf(message), time); }
  void Pass(Duration duration) {
    time.now = time.now + duration;
    time.unix_ns += duration.ns();
    member.OnTime(time);
  }
  void Welcome(Duration ahead = Duration()) {
    Hear(WelcomeMessage());
    AnswerPings(ahead);
  }
  void BeginStep(uint64_t step, Duration ahead = Duration()) {
    Hear(StepMessage{step, 1000, 5});
    AnswerPings(ahead);
  }
  // All of them, by a clock that is so far behind, on a slow or quick network.
  void AnswerPings(Duration ahead) {
    for (int i = 0; i < RankMember::kPings; ++i) {
      const int64_t sent_ns = time.unix_ns;
      const Duration each_way = Duration::Microseconds(i == 3 ? 50 : 2000 + 100 * i);
      time.unix_ns += each_way.ns();
      const int64_t answered_ns = time.unix_ns - ahead.ns();
      time.unix_ns += each_way.ns() * (i == 3 ? 1 : 3);
      Hear(PongMessage{sent_ns, answered_ns});
    }
  }
  std::string Why() const { return member.end() ? member.end()->why : ""; }

  RankTime time{Instant::FromNanoseconds(1'000'000'000), 1'800'000'000'000'000'000};
  RankMember member{JoinAs(1, 3), kPatience, time};
};

TEST(RankMember, DoesStepsUntilTheEnd) {
  Rig rig;
  EXPECT_EQ(rig.member.TakeLines(), RankLine(JoinAs(1, 3)));
  rig.Welcome();
  for (uint64_t step = 1; step <= 3; ++step) {
    rig.member.TakeLines();
    rig.Hear(StepMessage{step, 1000, 5});
    ASSERT_TRUE(rig.member.step());
    rig.member.SetReady();  // too early: the clocks have to be compared
    rig.AnswerPings(Duration());
    EXPECT_THAT(rig.member.TakeLines(), Not(HasSubstr("ready")));
    rig.member.SetReady();
    rig.member.SetReady();  // as often as one likes
    EXPECT_EQ(rig.member.TakeLines(), RankLine(ReadyMessage{step}));
    EXPECT_FALSE(rig.member.start_unix_ns());
    rig.Hear(StartMessage{step, rig.time.unix_ns + 300'000'000});
    EXPECT_EQ(rig.member.start_unix_ns(), rig.time.unix_ns + 300'000'000);
    rig.member.SetResult(ResultFrom(1, 3, 0));
    EXPECT_EQ(rig.member.TakeLines(), RankLine(ResultFrom(1, 3, step)));
    EXPECT_FALSE(rig.member.step());
  }
  rig.Hear(EndMessage{});
  ASSERT_TRUE(rig.member.end());
  EXPECT_EQ(rig.member.end()->code, 0u);
}

TEST(RankMember, StartIsByItsOwnClock) {
  for (const Duration ahead : {Duration::Seconds(-3600), Duration::Seconds(2)}) {
    Rig rig;
    rig.Welcome(ahead);
    // The quick answer counts, so what the slow ones got wrong does not matter.
    EXPECT_EQ(rig.member.clock().ahead_ns(), ahead.ns());
    EXPECT_EQ(rig.member.clock().error_ns(), 50'000);
    // By the next step the clocks have drifted, and that is what counts then.
    for (uint64_t step = 1; step <= 2; ++step) {
      const Duration by_now = ahead + Duration::Milliseconds(static_cast<int64_t>(step) * 150);
      rig.BeginStep(step, by_now);
      rig.member.SetReady();
      const int64_t theirs_ns = rig.time.unix_ns - by_now.ns() + 300'000'000;
      rig.Hear(StartMessage{step, theirs_ns});
      EXPECT_EQ(rig.member.start_unix_ns(), rig.time.unix_ns + 300'000'000);
      rig.member.SetResult(ResultFrom(1, 3, step));
    }
  }
}

TEST(RankMember, LateOrderToStartIsAFailure) {
  Rig rig;
  rig.Welcome();
  rig.BeginStep(1);
  rig.member.SetReady();
  rig.member.TakeLines();
  rig.Hear(StartMessage{1, rig.time.unix_ns - 20'000'000});
  EXPECT_THAT(rig.Why(), HasSubstr("came 20.0ms after the start"));
  EXPECT_THAT(rig.member.TakeLines(), HasSubstr(R"("type":"end")"));
}

TEST(RankMember, SilentOrGoneRankZeroEndsIt) {
  Rig rig;
  rig.Welcome();
  rig.Pass(kPatience - Duration::Milliseconds(1));
  EXPECT_EQ(rig.Why(), "");
  rig.Pass(Duration::Milliseconds(1));
  EXPECT_EQ(rig.Why(), "nothing was heard of rank 0 for 60.0s");
  Rig other;
  other.member.OnGone("the connection was closed");
  EXPECT_EQ(other.Why(), "rank 0: the connection was closed");
  EXPECT_EQ(other.member.end()->code, 3u);
}

TEST(RankMember, SaysThatItLivesEverySecond) {
  Rig rig;
  rig.Welcome();
  rig.member.TakeLines();
  rig.member.SetAlive({5, 4, 1, 0});
  for (int i = 0; i < 10; ++i) rig.Pass(Duration::Milliseconds(500));
  const std::string line = RankLine(AliveMessage{5, 4, 1, 0});
  EXPECT_EQ(rig.member.TakeLines(), line + line + line + line + line);
}

TEST(RankMember, WhatRankZeroMayNotSayEndsIt) {
  const double nan = std::numeric_limits<double>::infinity();
  const std::vector<std::string> lines{"no message",
                                       LineOf(JoinAs(1, 3)),
                                       LineOf(ReadyMessage{1}),
                                       LineOf(WelcomeMessage()),
                                       LineOf(PongMessage{1, 2}),
                                       LineOf(StartMessage{1, 1}),
                                       LineOf(StepMessage{2, 1000, 5}),
                                       LineOf(StepMessage{1, -1000, 5}),
                                       LineOf(StepMessage{1, 1e300, 5}),
                                       LineOf(StepMessage{1, 1000, -5}),
                                       LineOf(StepMessage{1, 1000, INT64_MAX}),
                                       LineOf(ResultFrom(1, 3, 1))};
  EXPECT_EQ(LineOf(StepMessage{1, nan, 5}), LineOf(StepMessage{1, 0, 5}));  // JSON has no other
  for (const std::string& line : lines) {
    Rig rig;
    rig.Welcome();
    rig.member.OnLine(line, rig.time);
    EXPECT_THAT(rig.Why(), HasSubstr("rank 0")) << line;
  }
  for (const int64_t at_ns : {INT64_MIN, int64_t{0}, INT64_MAX}) {
    Rig rig;
    rig.Welcome();
    rig.Hear(StepMessage{1, 1000, 5});
    rig.member.SetReady();
    rig.Hear(StartMessage{1, at_ns});
    EXPECT_NE(rig.Why(), "") << at_ns;
  }
  Rig rig;
  rig.Hear(WelcomeMessage());
  rig.Hear(PongMessage{rig.time.unix_ns, INT64_MIN});
  EXPECT_NE(rig.Why(), "");
}

}  // namespace
}  // namespace millrace::apps
