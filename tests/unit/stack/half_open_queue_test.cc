// The queues of half-open connections, alone and against a sorted list under random operations.

#include "millrace/stack/half_open_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::stack {
namespace {

constexpr uint32_t kSecond = 1'000'000;  // of Env::us

struct Fixture {
  explicit Fixture(uint32_t entries) : slab(entries, Region::Pages::kPlain) {
    for (uint32_t i = 0; i < entries; ++i) (void)slab.Take();
  }
  void Add(uint32_t index, uint32_t sent_us, uint8_t retransmits = 0) {
    slab[index].tcp.sent_us = sent_us;
    slab[index].tcp.retransmits = retransmits & 0x0F;
    queue.Append(slab, index);
  }
  std::vector<uint32_t> Due(uint32_t now_us, size_t work_max = 100) {
    std::vector<uint32_t> due;
    queue.Advance(slab, config, now_us, work_max, [&](uint32_t index) { due.push_back(index); });
    return due;
  }
  std::optional<uint32_t> NextInUs(uint32_t now_us) { return queue.NextInUs(slab, config, now_us); }
  tcp::Config config;
  Slab<HalfOpen> slab;
  HalfOpenQueue queue;
};

TEST(HalfOpenQueue, EntriesAreDueInTheOrderOfTheirComingAndNotBeforeASecondHasPassed) {
  Fixture f(3);
  EXPECT_EQ(f.NextInUs(0), std::nullopt);
  f.Add(2, 10);
  f.Add(0, 10);
  f.Add(1, 700);
  EXPECT_EQ(f.NextInUs(11), kSecond);  // the clock's microsecond may have been all but over
  EXPECT_TRUE(f.Due(kSecond + 10).empty());
  EXPECT_EQ(f.Due(kSecond + 11), (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(f.NextInUs(kSecond + 11), 690u);
  EXPECT_EQ(f.NextInUs(5 * kSecond), 0u);
  EXPECT_EQ(f.Due(kSecond + 701), (std::vector<uint32_t>{1}));
  EXPECT_EQ(f.NextInUs(0), std::nullopt);
}

// RFC 6298 5.5: the wait doubles with each retransmission, up to rto_max.
TEST(HalfOpenQueue, EachRetransmissionWaitsTwiceAsLong) {
  Fixture f(16);
  for (uint8_t i = 0; i < 16; ++i) f.Add(i, 0, i);
  uint32_t wait_s = 1;
  for (uint32_t i = 0; i < 6; ++i, wait_s *= 2) {
    EXPECT_EQ(f.NextInUs(0), wait_s * kSecond + 1);
    EXPECT_TRUE(f.Due(wait_s * kSecond).empty());
    EXPECT_EQ(f.Due(wait_s * kSecond + 1), (std::vector<uint32_t>{i}));
  }
  EXPECT_EQ(f.Due(60 * kSecond + 1).size(), 10u);
}

TEST(HalfOpenQueue, WorkIsBoundedAndAnEntryMayComeBackAtOnce) {
  Fixture f(5);
  for (uint32_t i = 0; i < 5; ++i) f.Add(i, 0);
  EXPECT_EQ(f.Due(2 * kSecond, 2), (std::vector<uint32_t>{0, 1}));
  f.queue.Advance(f.slab, f.config, 2 * kSecond, 2,
                  [&](uint32_t index) { f.Add(index, 2 * kSecond, 1); });
  EXPECT_EQ(f.Due(2 * kSecond), (std::vector<uint32_t>{4}));
  EXPECT_EQ(f.NextInUs(2 * kSecond), 2 * kSecond + 1);
  EXPECT_EQ(f.Due(4 * kSecond + 1), (std::vector<uint32_t>{2, 3}));
}

// The bound is of all lists together, and a list that always has something due starves no other.
TEST(HalfOpenQueue, ListsShareTheBoundInTurn) {
  Fixture f(40);
  for (uint32_t i = 0; i < 40; ++i) f.Add(i, 0, static_cast<uint8_t>(i / 10));
  std::vector<uint32_t> from(4), due;
  for (int call = 0; call < 4; ++call) {
    due = f.Due(20 * kSecond, 10);
    ASSERT_EQ(due.size(), 10u);
    for (const uint32_t i : due) ++from[i / 10];
    for (const uint32_t i : due) {
      if (i < 10) f.Add(i, 0, 0);  // more of the first kind comes all the time
    }
  }
  EXPECT_THAT(from, ::testing::Each(10u));
}

TEST(HalfOpenQueue, MicrosecondsWrap) {
  Fixture f(2);
  f.Add(0, 0xFFFF'FFF0);
  f.Add(1, 5);
  EXPECT_EQ(f.NextInUs(0xFFFF'FFF0), kSecond + 1);
  EXPECT_TRUE(f.Due(0xFFFF'FFFF).empty());
  EXPECT_EQ(f.Due(kSecond), (std::vector<uint32_t>{0}));
  EXPECT_EQ(f.Due(kSecond + 6), (std::vector<uint32_t>{1}));
}

TEST(HalfOpenQueue, AgreesWithASortedList) {
  constexpr uint32_t kEntries = 24;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Prng random(seed);
    Fixture f(kEntries);
    std::map<uint32_t, uint32_t> deadlines;  // by index, in microseconds since the start
    constexpr uint32_t kStart = 0xFFF0'0000;
    uint32_t now = 0;
    for (int step = 0; step < 400; ++step) {
      const uint32_t index = static_cast<uint32_t>(random.Next() % kEntries);
      if (random.Next() % 3 == 0) {
        now += static_cast<uint32_t>(random.Next() % kSecond);
        std::vector<uint32_t> due = f.Due(kStart + now), expected;
        for (const auto& [i, at] : deadlines) {
          if (at <= now) expected.push_back(i);
        }
        std::sort(due.begin(), due.end());
        ASSERT_EQ(due, expected);
        for (const uint32_t i : due) deadlines.erase(i);
      } else if (!deadlines.contains(index)) {
        const uint8_t retransmits = random.Next() % 4;
        f.Add(index, kStart + now, retransmits);
        deadlines[index] = now + (kSecond << retransmits) + 1;
      } else {  // the handshake is complete
        f.queue.Remove(f.slab, index);
        deadlines.erase(index);
      }
    }
  }
}

}  // namespace
}  // namespace millrace::stack
