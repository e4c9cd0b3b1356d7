#include "apps/ranks/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "millrace/base/prng.h"
#include "unit/ranks/rank_lines.h"

namespace millrace::apps {
namespace {

using ::testing::HasSubstr;

constexpr Duration kPatience = Duration::Seconds(60);

// A group of ranks whose peers are 10 + rank.
class Rig {
 public:
  explicit Rig(uint32_t ranks = 3) : ranks_(ranks) {}

  void Connect(uint64_t peer) { group.OnConnected(peer, time); }
  void Say(uint64_t peer, const RankMessage& message) { SayLine(peer, LineOf(message)); }
  void SayLine(uint64_t peer, const std::string& line) {
    group.OnLine(peer, line, time);
    Take();
  }
  void Join(uint32_t rank, uint64_t peer) {
    Connect(peer);
    Say(peer, JoinAs(rank, ranks_));
  }
  void JoinAll() {
    for (uint32_t rank = 1; rank < ranks_; ++rank) Join(rank, 10 + rank);
  }
  void Begin(Duration length = Duration::Seconds(10)) {
    group.Begin(1000, length, length, time);
    Take();
  }
  void AllReady() {
    group.SetReady(time);
    for (uint32_t rank = 1; rank < ranks_; ++rank) Say(10 + rank, ReadyMessage{step});
  }
  void Pass(Duration duration) {
    time.now = time.now + duration;
    time.unix_ns += duration.ns();
    group.OnTime(time);
    Take();
  }
  void Take() {
    for (RankGroup::Order& order : group.TakeOrders()) {
      if (!order.line.empty()) said[order.peer].push_back(order.line);
      closed[order.peer] = closed[order.peer] || order.close;
    }
  }
  // The last message to a peer.
  RankMessage Last(uint64_t peer) {
    const auto& lines = said[peer];
    if (lines.empty()) return StopMessage();
    const auto read = ParseRankLine(lines.back().substr(0, lines.back().size() - 1));
    return read.ok() ? *read : RankMessage(StopMessage());
  }
  std::string Why() const { return group.failure() ? group.failure()->why : ""; }

  uint32_t ranks_;
  uint64_t step = 1;
  RankTime time{Instant::FromNanoseconds(1'000'000'000), 1'800'000'000'000'000'000};
  RankGroup group{{.self = JoinAs(0, ranks_), .patience = kPatience}, time};
  std::map<uint64_t, std::vector<std::string>> said;
  std::map<uint64_t, bool> closed;
};

TEST(RankGroup, AllStartAtOneTimeAndTheirResultsCome) {
  Rig rig;
  rig.JoinAll();
  ASSERT_TRUE(rig.group.complete());
  rig.Begin();
  EXPECT_EQ(std::get<StepMessage>(rig.Last(12)).rate_per_s, 1000);
  rig.group.SetReady(rig.time);
  rig.group.SetReady(rig.time);  // as often as one likes
  rig.Say(11, ReadyMessage{1});
  EXPECT_FALSE(rig.group.start_unix_ns());
  rig.Say(12, ReadyMessage{1});
  const int64_t start_ns = rig.time.unix_ns + RankGroup::kLead.ns();
  EXPECT_EQ(rig.group.start_unix_ns(), start_ns);
  EXPECT_EQ(std::get<StartMessage>(rig.Last(11)).at_unix_ns, start_ns);
  EXPECT_EQ(std::get<StartMessage>(rig.Last(12)).at_unix_ns, start_ns);
  rig.Say(12, ResultFrom(2, 3, 1));
  rig.group.SetResult(ResultFrom(0, 3, 0));
  EXPECT_FALSE(rig.group.step_over());
  rig.Say(11, ResultFrom(1, 3, 1));
  ASSERT_TRUE(rig.group.step_over()) << rig.Why();
  const std::vector<ResultMessage> results = rig.group.TakeResults();
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(results[i].result.counts.ok, 100u + i);
  rig.Begin();
  EXPECT_EQ(std::get<StepMessage>(rig.Last(11)).step, 2u);
  rig.group.End();
  rig.Take();
  EXPECT_EQ(std::get<EndMessage>(rig.Last(11)).code, 0u);
}

TEST(RankGroup, JoinsThatDoNotFitEndItWithOneMessage) {
  struct Case {
    std::function<void(JoinMessage&)> change;
    const char* why;
  };
  const Case cases[] = {
      {[](JoinMessage& j) { j.version = "1.2.4"; }, "runs millrace 1.2.4, rank 0 (bench-0) 1.2.3"},
      {[](JoinMessage& j) { j.protocol = 99; }, "all ranks must run the same"},
      {[](JoinMessage& j) { j.ranks = 4; }, "takes itself for 2/4"},
      {[](JoinMessage& j) { j.rank = 0; }, "takes itself for 0/3"},
      {[](JoinMessage& j) { j.rank = 3; }, "takes itself for 3/3"},
      {[](JoinMessage& j) { j.rank = 1; }, "rank 1 is there twice, at bench-1 and bench-2"},
      {[](JoinMessage& j) { j.settings["rate"] = "2k"; }, "\"rate\": \"2k\" and \"1k\""},
      {[](JoinMessage& j) { j.settings["close"] = "rst"; }, "\"close\": \"rst\" and none"},
      {[](JoinMessage& j) { j.settings.erase("rate"); }, "\"rate\": none and \"1k\""}};
  for (const Case& c : cases) {
    Rig rig;
    rig.Join(1, 11);
    JoinMessage join = JoinAs(2, 3);
    c.change(join);
    rig.Connect(12);
    rig.Say(12, join);
    EXPECT_THAT(rig.Why(), HasSubstr(c.why));
    EXPECT_EQ(rig.group.failure()->code, 2u);
    for (const uint64_t peer : {11u, 12u}) {
      EXPECT_EQ(std::get<EndMessage>(rig.Last(peer)).why, rig.Why()) << peer;
    }
    // Who comes later is told the same.
    rig.Join(2, 13);
    EXPECT_EQ(std::get<EndMessage>(rig.Last(13)).why, rig.Why());
  }
}

TEST(RankGroup, StrangersAreClosedAndNobodyMindsThem) {
  Rig rig;
  rig.Connect(90);
  rig.SayLine(90, "GET / HTTP/1.1");
  EXPECT_TRUE(rig.closed[90]);
  rig.Connect(91);
  rig.Say(91, ReadyMessage{1});
  EXPECT_TRUE(rig.closed[91]);
  rig.Connect(92);
  rig.Pass(RankGroup::kStrangerFor);
  EXPECT_TRUE(rig.closed[92]);
  EXPECT_TRUE(rig.said[90].empty() && rig.said[91].empty() && rig.said[92].empty());
  rig.JoinAll();
  EXPECT_TRUE(rig.group.complete());
  rig.Join(1, 93);  // too late
  EXPECT_THAT(std::get<EndMessage>(rig.Last(93)).why, HasSubstr("complete"));
  EXPECT_EQ(rig.Why(), "");
}

TEST(RankGroup, WhoDoesNotJoinIsNamed) {
  Rig rig(4);
  rig.Join(2, 12);
  rig.Pass(kPatience - Duration::Milliseconds(1));
  EXPECT_EQ(rig.Why(), "");
  rig.Say(12, AliveMessage());
  rig.Pass(Duration::Milliseconds(1));
  EXPECT_EQ(rig.Why(), "rank 1, rank 3 of 4 did not join within 60.0s");
  EXPECT_EQ(rig.group.failure()->code, 3u);
  EXPECT_EQ(std::get<EndMessage>(rig.Last(12)).why, rig.Why());
}

TEST(RankGroup, WhoGoesIsNamedAndEndsTheStepOfAll) {
  Rig rig;
  rig.JoinAll();
  rig.Begin();
  rig.AllReady();
  rig.group.OnGone(12, "the connection was closed");
  rig.Take();
  EXPECT_EQ(rig.Why(), "rank 2 of 3 (bench-2): the connection was closed");
  EXPECT_EQ(std::get<EndMessage>(rig.Last(11)).why, rig.Why());
  rig.group.OnGone(11, "the connection was closed");
  EXPECT_THAT(rig.Why(), HasSubstr("rank 2"));  // the first counts
}

TEST(RankGroup, WhoIsLateOrSilentIsNamed) {
  {
    Rig rig;
    rig.JoinAll();
    rig.Begin();
    rig.group.SetReady(rig.time);
    rig.Say(11, ReadyMessage{1});
    rig.Pass(kPatience - Duration::Milliseconds(1));
    rig.Say(12, AliveMessage());
    rig.Pass(Duration::Milliseconds(1));
    EXPECT_EQ(rig.Why(), "rank 2 of 3 (bench-2) was not ready within 60.0s");
  }
  {
    Rig rig;
    rig.JoinAll();
    rig.Begin(Duration::Seconds(100));
    rig.AllReady();
    for (int second = 0; second < 15; ++second) {
      EXPECT_EQ(rig.Why(), "");
      rig.Say(11, AliveMessage());
      rig.Pass(Duration::Seconds(1));
    }
    EXPECT_EQ(rig.Why(), "nothing was heard of rank 2 of 3 (bench-2) for 15.0s");
  }
  {
    Rig rig;
    rig.JoinAll();
    rig.Begin(Duration::Seconds(5));
    rig.AllReady();
    rig.group.SetResult(ResultFrom(0, 3, 0));
    rig.Say(12, ResultFrom(2, 3, 1));
    for (int second = 0; second < 66; ++second) {
      EXPECT_EQ(rig.Why(), "") << second;
      rig.Say(11, AliveMessage());
      rig.Say(12, AliveMessage());
      rig.Pass(Duration::Seconds(1));
    }
    EXPECT_EQ(rig.Why(), "rank 1 of 3 (bench-1) sent no result within 60.0s of the end");
  }
}

TEST(RankGroup, RankThatCannotGoOnSaysWhy) {
  Rig rig;
  rig.JoinAll();
  rig.Say(11, EndMessage{4, "tcp://10.0.0.1:80: nobody answers"});
  EXPECT_EQ(rig.Why(), "rank 1 of 3 (bench-1): tcp://10.0.0.1:80: nobody answers");
  EXPECT_EQ(rig.group.failure()->code, 4u);
}

TEST(RankGroup, OneWhoStopsStopsAll) {
  Rig rig;
  rig.JoinAll();
  rig.Begin();
  rig.Say(12, StopMessage());
  EXPECT_TRUE(rig.group.stopped());
  EXPECT_TRUE(std::holds_alternative<StopMessage>(rig.Last(11)));
  // Ready or not, what there is comes.
  rig.group.SetResult(ResultFrom(0, 3, 0));
  rig.Say(11, ResultFrom(1, 3, 1));
  rig.Say(12, ResultFrom(2, 3, 1));
  EXPECT_TRUE(rig.group.step_over()) << rig.Why();
}

TEST(RankGroup, AnswersPingsAndSaysTheSumsEverySecond) {
  Rig rig;
  rig.JoinAll();
  rig.Say(11, PingMessage{42});
  EXPECT_EQ(std::get<PongMessage>(rig.Last(11)).sent_unix_ns, 42);
  EXPECT_EQ(std::get<PongMessage>(rig.Last(11)).answered_unix_ns, rig.time.unix_ns);
  rig.Say(11, AliveMessage{10, 8, 1, 1});
  rig.Say(12, AliveMessage{20, 18, 1, 1});
  rig.Pass(Duration::Seconds(1));
  EXPECT_EQ(std::get<AliveMessage>(rig.Last(12)).started, 30u);
  EXPECT_EQ(std::get<AliveMessage>(rig.Last(12)).ok, 26u);
}

TEST(RankGroup, WhatIsOutOfPlaceEndsIt) {
  const std::vector<std::string> lines{"no message",
                                       LineOf(JoinAs(1, 3)),
                                       LineOf(ReadyMessage{1}),
                                       LineOf(StartMessage{1, 1}),
                                       LineOf(StepMessage{1, 1, 1}),
                                       LineOf(ResultFrom(1, 3, 0)),
                                       LineOf(WelcomeMessage())};
  for (const std::string& line : lines) {
    Rig rig;
    rig.JoinAll();
    rig.SayLine(11, line);
    EXPECT_THAT(rig.Why(), HasSubstr("rank 1 of 3 (bench-1) sent")) << line;
  }
  for (const ResultMessage& wrong :
       {ResultFrom(2, 3, 1), ResultFrom(1, 4, 1), ResultFrom(1, 3, 2)}) {
    Rig rig;
    rig.JoinAll();
    rig.Begin();
    rig.AllReady();
    rig.Say(11, wrong);
    EXPECT_THAT(rig.Why(), HasSubstr("not expected"));
  }
}

// Whatever is said in whatever order: one end, and it comes within the time that there is.
TEST(RankGroup, EndsWhateverIsSaid) {
  std::vector<std::string> lines{"",
                                 "{",
                                 "no message",
                                 LineOf(WelcomeMessage()),
                                 LineOf(PingMessage{INT64_MIN}),
                                 LineOf(PongMessage{1, 2}),
                                 LineOf(StepMessage{1, -1, -1}),
                                 LineOf(StartMessage{1, INT64_MAX}),
                                 LineOf(StopMessage()),
                                 LineOf(EndMessage{UINT32_MAX, std::string(5000, 'x')})};
  for (uint32_t rank = 0; rank < 4; ++rank) {
    lines.push_back(LineOf(JoinAs(rank, 3)));
    // Several times, so that groups come to be ready at all.
    for (uint64_t step = 1; step < 4; ++step) {
      lines.push_back(LineOf(ReadyMessage{step}));
      lines.push_back(LineOf(AliveMessage{UINT64_MAX, 1, 1, 1}));
      lines.push_back(LineOf(ResultFrom(rank, 3, step)));
    }
  }
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Prng dice(seed);
    Rig rig;
    if (seed % 2 == 0) rig.JoinAll();
    for (int i = 0; i < 200; ++i) {
      const uint64_t peer = 10 + dice.Below(5);
      switch (dice.Below(8)) {
        case 0:
          rig.Connect(20 + static_cast<uint64_t>(i));
          rig.SayLine(20 + static_cast<uint64_t>(i), lines[dice.Below(lines.size())]);
          break;
        case 1:
          rig.Pass(Duration::Milliseconds(static_cast<int64_t>(dice.Below(3000))));
          break;
        case 2:
          if (dice.Below(20) == 0) rig.group.OnGone(peer, "the connection was closed");
          break;
        case 3:
          rig.group.SetReady(rig.time);
          break;
        default:
          rig.SayLine(peer, lines[dice.Below(lines.size())]);
      }
      if (rig.group.step_over()) rig.group.TakeResults();
    }
    const std::string why = rig.Why();
    for (int i = 0; i < 200; ++i) rig.Pass(Duration::Seconds(1));
    EXPECT_NE(rig.Why(), "") << seed;
    if (!why.empty()) {
      EXPECT_EQ(rig.Why(), why);
    }
    EXPECT_LT(rig.Why().size(), 700u);
    for (const auto& [peer, said] : rig.said) EXPECT_LT(said.size(), 400u);
  }
}

}  // namespace
}  // namespace millrace::apps
