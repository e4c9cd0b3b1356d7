// tests/unit/sim/world_test.cc - virtual time, nodes, events.
#include "millrace/sim/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;

constexpr Duration kMs = Duration::Milliseconds(1);
constexpr bool kNo = false;

// Runs `count` times, `period` apart, and writes its name each time.
struct Ticker {
  Ticker(World& world, std::string name_in, Duration period_in, int count,
         std::vector<std::string>& log_in)
      : name(std::move(name_in)), period(period_in), left(count), log(log_in) {
    next = world.now() + period;
    world.Add(*this);
  }
  Instant NextRunAt() const { return left > 0 ? next : Instant::Never(); }
  void Run(Instant now) {
    log.push_back(name + std::to_string(now.ns() / 1'000'000 - 1000));
    next = now + period;
    --left;
  }

  std::string name;
  Duration period;
  int left;
  std::vector<std::string>& log;
  Instant next;
};

TEST(World, RunsNodesWhenTheyAreDueInOrderOfAddAmongEquals) {
  World world(1);
  std::vector<std::string> log;
  Ticker a(world, "a", kMs * 2, 3, log);
  Ticker b(world, "b", kMs * 3, 2, log);
  EXPECT_EQ(world.RunUntil([] { return kNo; }, Instant::Never()), RunResult::kIdle);
  EXPECT_THAT(log, ElementsAre("a2", "b3", "a4", "a6", "b6"));
}

TEST(World, StopsTheClockAtTheDeadline) {
  World world(1);
  std::vector<std::string> log;
  Ticker a(world, "a", kMs * 10, 100, log);
  const Instant start = world.now();
  EXPECT_EQ(world.RunUntil([] { return kNo; }, start + kMs * 25), RunResult::kDeadline);
  EXPECT_EQ(world.now(), start + kMs * 25);
  EXPECT_EQ(log.size(), 2u);
  EXPECT_EQ(world.RunFor(kMs * 5), RunResult::kDeadline);  // the node due at the deadline runs
  EXPECT_EQ(log.size(), 3u);
}

TEST(World, StopsWhenThePredicateHolds) {
  World world(1);
  std::vector<std::string> log;
  Ticker a(world, "a", kMs, 100, log);
  EXPECT_EQ(world.RunUntil([&] { return log.size() == 4; }, Instant::Never()), RunResult::kDone);
  EXPECT_EQ(log.size(), 4u);
}

TEST(World, IdleWorldsClockAdvancesByRunFor) {
  World world(1);
  const Instant start = world.now();
  EXPECT_EQ(world.RunFor(kMs * 7), RunResult::kDeadline);
  EXPECT_EQ(world.now(), start + kMs * 7);
}

TEST(World, EventsRunBeforeNodesInTheOrderOfTheirCalls) {
  World world(1);
  std::vector<std::string> log;
  Ticker a(world, "a", kMs, 1, log);
  world.After(kMs, [&] { log.push_back("first"); });
  world.After(kMs, [&] {
    log.push_back("second");
    world.After(Duration(), [&] { log.push_back("later"); });
  });
  world.RunFor(kMs);
  EXPECT_THAT(log, ElementsAre("first", "second", "a1", "later"));
}

TEST(World, NodeThatHoldsTheClockIsALivelock) {
  struct Stuck {
    Instant NextRunAt() const { return Instant(); }
    void Run(Instant) {}
  } stuck;
  World world(1);
  world.Add(stuck);
  EXPECT_EQ(world.RunFor(kMs), RunResult::kLivelock);
  EXPECT_EQ(world.now(), World(1).now());
}

TEST(World, RemovedNodeDoesNotRun) {
  World world(1);
  std::vector<std::string> log;
  Ticker a(world, "a", kMs, 5, log);
  world.Remove(a);
  world.RunFor(kMs * 5);
  EXPECT_TRUE(log.empty());
}

TEST(World, SeedsOfNodesComeFromTheSeed) {
  EXPECT_EQ(World(5).NextSeed(), World(5).NextSeed());
  EXPECT_NE(World(5).NextSeed(), World(6).NextSeed());
}

struct FakeStack {
  void Poll(Instant now) { polls.push_back(now); }
  Instant NextDeadline() const { return deadline; }
  Instant deadline = Instant::Never();
  std::vector<Instant> polls;
};
struct FakePort {
  size_t rx_queued() const { return queued; }
  size_t queued = 0;
};

TEST(PolledNode, PollsForFramesDeadlinesAndWakes) {
  World world(1);
  const Instant start = world.now();
  FakeStack stack;
  FakePort port;
  PolledNode node(stack, port);
  world.Add(node);
  stack.deadline = start + kMs * 5;
  world.At(start + kMs * 2, [&] { port.queued = 1; });
  world.At(start + kMs * 2 + Duration::Nanoseconds(1), [&] { port.queued = 0; });
  world.At(start + kMs * 6, [&] {
    stack.deadline = Instant::Never();
    node.Wake();
  });
  world.RunFor(kMs * 4);
  // The first poll is at the start.
  EXPECT_THAT(stack.polls, ElementsAre(start, start + kMs * 2));
  world.RunFor(kMs * 1);
  EXPECT_EQ(stack.polls.back(), start + kMs * 5);
  stack.deadline = Instant::Never();
  world.RunFor(kMs * 5);
  EXPECT_THAT(stack.polls, ElementsAre(start, start + kMs * 2, start + kMs * 5, start + kMs * 6));
}

TEST(PolledNode, PollsAtMostOncePerInterval) {
  World world(1);
  FakeStack stack;
  FakePort port{.queued = 1};
  PolledNode node(stack, port, Duration::Microseconds(10));
  world.Add(node);
  world.RunFor(Duration::Microseconds(95));
  EXPECT_EQ(stack.polls.size(), 10u);
}

}  // namespace
}  // namespace millrace::sim
