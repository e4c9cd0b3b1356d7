#include "millrace/dpdk/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_lcore.h>
#include <sched.h>

#include <atomic>
#include <vector>

#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/ring_pair.h"

namespace millrace::dpdk {
namespace {

using ::testing::HasSubstr;

// A poll function runs until it has seen enough, then releases the test: no sleeps, no time limits.
void AwaitTrue(const std::atomic<bool>& flag) {
  while (!flag.load(std::memory_order_acquire)) sched_yield();
}

TEST(Clock, NeverRunsBackwardsEvenWhenTheCounterDoes) {
  for (Clock clock : {Clock::Calibrate(), Clock::Monotonic()}) {
    const Instant late = clock.AtCycles(rte_rdtsc() + 1'000'000'000);
    EXPECT_GE(clock.Now(), late);
    EXPECT_GE(clock.AtCycles(0), late);
  }
}

TEST(Clock, ContinuesTheMonotonicClock) {
  Clock clock = Clock::Calibrate();
  const int64_t before = MonotonicNs();
  const int64_t now = clock.Now().ns();
  const int64_t after = MonotonicNs();
  constexpr int64_t kSlackNs = 1'000'000;  // calibration error is 1000 times less
  EXPECT_GE(now, before - kSlackNs);
  EXPECT_LE(now, after + kSlackNs);
}

TEST(Clock, SecondsOfTheCounterAreSecondsOfTheClock) {
  Clock clock = Clock::Calibrate();
  if (clock.source() != Clock::Source::kTsc) return;  // no counter to convert
  const uint64_t start = rte_rdtsc();
  const Instant first = clock.AtCycles(start);
  const Instant second = clock.AtCycles(start + 100 * clock.cycles_per_second());
  EXPECT_NEAR((second - first).seconds(), 100.0, 1e-5);
}

TEST(Worker, WithoutPacketsItIsNoThreadOfEalAndWaitsAsItIsTold) {
  std::atomic<bool> waited{false};
  unsigned lcore = 0;
  Duration most;
  WorkerOptions options{.idle = IdleMode::kSleep, .has_packets = false};
  options.wait = [&](Duration limit) {
    most = limit;
    waited.store(true, std::memory_order_release);
  };
  auto worker = Worker::Start(options, Clock::Calibrate(), [&](Instant) -> size_t {
    lcore = rte_lcore_id();
    return 0;
  });
  ASSERT_TRUE(worker.ok()) << worker.status();
  AwaitTrue(waited);
  (*worker)->RequestStop();
  (*worker)->Join();
  EXPECT_EQ(lcore, LCORE_ID_ANY);
  EXPECT_GT(most, Duration());
}

TEST(Worker, PollsOnARegisteredThreadUntilItIsStopped) {
  std::atomic<bool> enough{false};
  unsigned lcore = LCORE_ID_ANY;
  int polls = 0;
  bool monotone = true;
  Instant last;
  auto worker = Worker::Start({}, Clock::Calibrate(), [&](Instant now) -> size_t {
    lcore = rte_lcore_id();
    monotone = monotone && now >= last;
    last = now;
    if (++polls == 1000) enough.store(true, std::memory_order_release);
    return 0;
  });
  ASSERT_TRUE(worker.ok()) << worker.status();
  AwaitTrue(enough);
  (*worker)->RequestStop();
  (*worker)->Join();
  EXPECT_NE(lcore, unsigned{LCORE_ID_ANY});
  EXPECT_NE(lcore, rte_lcore_id());
  EXPECT_TRUE(monotone);
  EXPECT_EQ((*worker)->Load().polls, static_cast<uint64_t>(polls));
}

TEST(Worker, IdlePollsAreNotCountedAsBusy) {
  for (IdleMode mode : {IdleMode::kPoll, IdleMode::kYield, IdleMode::kSleep}) {
    std::atomic<bool> enough{false};
    int polls = 0;
    auto worker = Worker::Start({.idle = mode}, Clock::Calibrate(), [&](Instant) -> size_t {
      if (++polls == 300) enough.store(true, std::memory_order_release);
      return 0;
    });
    ASSERT_TRUE(worker.ok());
    AwaitTrue(enough);
    (*worker)->RequestStop();
    (*worker)->Join();
    EXPECT_EQ((*worker)->Load().busy_cycles, 0u);
    EXPECT_GT((*worker)->Load().idle_cycles, 0u);
    EXPECT_EQ((*worker)->Load().busy_share(), 0.0);
    EXPECT_GT((*worker)->heartbeat(), 0u);
  }
}

TEST(Worker, PollsWithWorkAreBusy) {
  std::atomic<bool> enough{false};
  int polls = 0;
  auto worker = Worker::Start({.idle = IdleMode::kPoll}, Clock::Calibrate(), [&](Instant) {
    if (++polls == 300) enough.store(true, std::memory_order_release);
    return size_t{1};
  });
  ASSERT_TRUE(worker.ok());
  AwaitTrue(enough);
  (*worker)->RequestStop();
  (*worker)->Join();
  EXPECT_EQ((*worker)->Load().busy_share(), 1.0);
}

TEST(Worker, RunsOnTheCpuItWasGiven) {
  const std::vector<int> cpus = AllowedCpus();
  ASSERT_FALSE(cpus.empty());
  std::atomic<bool> enough{false};
  int seen = -1;
  auto worker = Worker::Start({.cpu = cpus.back()}, Clock::Calibrate(), [&](Instant) -> size_t {
    seen = sched_getcpu();
    enough.store(true, std::memory_order_release);
    return 0;
  });
  ASSERT_TRUE(worker.ok());
  AwaitTrue(enough);
  worker->reset();  // stops and joins
  EXPECT_EQ(seen, cpus.back());
}

TEST(Worker, CpuThatIsNotOursIsRefusedWithTheListOfThoseThatAre) {
  const auto worker =
      Worker::Start({.cpu = 100'000}, Clock::Monotonic(), [](Instant) -> size_t { return 0; });
  ASSERT_FALSE(worker.ok());
  EXPECT_THAT(std::string(worker.status().message()), HasSubstr("it may use "));
}

TEST(RunInterleaved, CallsAllPollsInTurnWithOneInstant) {
  std::atomic<bool> stop{false};
  std::vector<int> order;
  std::vector<Instant> instants;
  const PollFunction polls[] = {
      [&](Instant now) -> size_t {
        order.push_back(1);
        instants.push_back(now);
        return 1;
      },
      [&](Instant now) -> size_t {
        order.push_back(2);
        instants.push_back(now);
        stop = order.size() == 4;
        return 0;
      },
  };
  PublishedLoad load;
  RunInterleaved(polls, Clock::Calibrate(), IdleMode::kYield, stop, &load);
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(instants[0], instants[1]);
  EXPECT_EQ(instants[2], instants[3]);
  EXPECT_EQ(load.Read().polls, 2u);
  EXPECT_EQ(load.Read().busy_share(), 1.0);  // a turn in which one had work is busy
}

// Two workers, one pool, packets crossing between threads and their caches.
TEST(Worker, TwoWorkersExchangePacketsAndThePoolEndsFull) {
  constexpr size_t kPackets = 20'000;
  RingPairOptions options;
  options.port.packets = 2047;
  auto pair = RingPair::Create(options);
  ASSERT_TRUE(pair.ok()) << pair.status();
  const std::shared_ptr<PacketPool> pool = (*pair)->first().pool();
  std::atomic<bool> enough{false};
  size_t sent = 0, received = 0, wrong = 0;
  auto sender = Worker::Start({}, Clock::Calibrate(), [&](Instant now) -> size_t {
    if (sent == kPackets) return 0;
    DpdkPort& port = (*pair)->first();
    const wire::PacketHandle packet = port.Allocate();
    if (packet == wire::PacketHandle::kNone) return 0;
    *reinterpret_cast<uint64_t*>(port.Data(packet)) = sent;
    port.Finish(packet, 60, {});
    const size_t accepted = port.TxBurst(now, std::span(&packet, 1));
    if (accepted == 0) port.Free(std::span(&packet, 1));
    sent += accepted;
    return accepted;
  });
  auto receiver = Worker::Start({}, Clock::Calibrate(), [&](Instant now) -> size_t {
    DpdkPort& port = (*pair)->second();
    stack::RxFrame frames[stack::kBurst];
    const size_t count = port.RxBurst(now, frames);
    for (size_t i = 0; i < count; ++i) {
      wrong += *reinterpret_cast<const uint64_t*>(frames[i].data) != received++;
      port.Free(std::span(&frames[i].packet, 1));
    }
    if (received == kPackets) enough.store(true, std::memory_order_release);
    return count;
  });
  ASSERT_TRUE(sender.ok() && receiver.ok());
  AwaitTrue(enough);
  sender->reset();
  receiver->reset();
  EXPECT_EQ(wrong, 0u);
  pair->reset();
  EXPECT_EQ(pool->in_use(), 0u);
}

}  // namespace
}  // namespace millrace::dpdk
