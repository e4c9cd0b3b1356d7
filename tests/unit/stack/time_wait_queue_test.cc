// The queue of TIME-WAITs, alone and against a list under random operations.

#include "millrace/stack/time_wait_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::stack {
namespace {

struct Fixture {
  explicit Fixture(uint32_t entries) : slab(entries, Region::Pages::kPlain) {
    for (uint32_t i = 0; i < entries; ++i) (void)slab.Take();
  }
  // The entries that are due, in order.
  std::vector<uint32_t> Due(uint32_t now_tick, size_t work_max = 100) {
    std::vector<uint32_t> due;
    queue.Advance(slab, now_tick, work_max, [&](uint32_t index) { due.push_back(index); });
    return due;
  }
  Slab<TimeWait> slab;
  TimeWaitQueue queue;
};

TEST(TimeWaitQueue, EntriesEndInTheOrderOfTheirComingAndNotBeforeTheirTick) {
  Fixture f(3);
  f.queue.Append(f.slab, 2, 10);
  f.queue.Append(f.slab, 0, 10);
  f.queue.Append(f.slab, 1, 11);
  EXPECT_EQ(f.queue.NextTick(), 10u);
  EXPECT_EQ(f.queue.Earliest(), 2u);
  EXPECT_TRUE(f.Due(9).empty());
  EXPECT_EQ(f.Due(10), (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(f.Due(12), (std::vector<uint32_t>{1}));
  EXPECT_EQ(f.queue.NextTick(), std::nullopt);
  EXPECT_EQ(f.queue.Earliest(), kNoIndex);
}

TEST(TimeWaitQueue, WorkIsBounded) {
  Fixture f(5);
  for (uint32_t i = 0; i < 5; ++i) f.queue.Append(f.slab, i, 1);
  EXPECT_EQ(f.Due(1, 2), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(f.Due(1, 2), (std::vector<uint32_t>{2, 3}));
  EXPECT_EQ(f.Due(1, 2), (std::vector<uint32_t>{4}));
}

// The setting was made shorter: late, never early.
TEST(TimeWaitQueue, ShorterOnesWaitForThoseInFront) {
  Fixture f(2);
  f.queue.Append(f.slab, 0, 100);
  f.queue.Append(f.slab, 1, 50);
  EXPECT_TRUE(f.Due(99).empty());
  EXPECT_EQ(f.Due(100), (std::vector<uint32_t>{0, 1}));
}

TEST(TimeWaitQueue, TicksWrap) {
  Fixture f(2);
  f.queue.Append(f.slab, 0, 0xFFFF'FFFE);
  f.queue.Append(f.slab, 1, 3);
  EXPECT_TRUE(f.Due(0xFFFF'FFF0).empty());
  EXPECT_EQ(f.Due(0), (std::vector<uint32_t>{0}));
  EXPECT_EQ(f.Due(3), (std::vector<uint32_t>{1}));
}

TEST(TimeWaitQueue, AgreesWithAList) {
  constexpr uint32_t kEntries = 16;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    Fixture f(kEntries);
    std::vector<std::pair<uint32_t, uint32_t>> list;  // index, tick
    uint32_t now = 0xFFFF'FF00;
    const auto place = [&](uint32_t index) {
      return std::find_if(list.begin(), list.end(), [&](auto& e) { return e.first == index; });
    };
    for (int step = 0; step < 300; ++step) {
      const uint32_t index = static_cast<uint32_t>(random.Next() % kEntries);
      if (random.Next() % 4 == 0) {
        ++now;
        for (const uint32_t due : f.Due(now, 3)) {
          ASSERT_EQ(due, list.front().first);
          ASSERT_FALSE(TickBefore(now, list.front().second));
          list.erase(list.begin());
        }
      } else if (place(index) == list.end()) {
        f.queue.Append(f.slab, index, now + 20);
        list.push_back({index, now + 20});
      } else {  // the peer's FIN again: 2MSL starts anew; or it goes
        f.queue.Remove(f.slab, index);
        list.erase(place(index));
      }
      ASSERT_EQ(f.queue.size(), list.size());
      ASSERT_EQ(f.queue.Earliest(), list.empty() ? kNoIndex : list.front().first);
    }
  }
}

}  // namespace
}  // namespace millrace::stack
