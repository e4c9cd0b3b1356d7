#include "millrace/base/spsc_ring.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

std::vector<int> PopAll(SpscRing<int>& ring) {
  std::vector<int> out(ring.capacity());
  out.resize(ring.Pop(out));
  return out;
}

TEST(SpscRing, GivesBackInOrderWhatItTook) {
  SpscRing<int> ring(8);
  const std::array items{1, 2, 3};
  EXPECT_EQ(ring.Push(items), 3u);
  EXPECT_EQ(ring.Push(items), 3u);
  EXPECT_EQ(ring.size(), 6u);
  EXPECT_THAT(PopAll(ring), ElementsAre(1, 2, 3, 1, 2, 3));
  EXPECT_EQ(ring.size(), 0u);
}

TEST(SpscRing, FullRingTakesTheFirstThatFit) {
  SpscRing<int> ring(4);
  const std::array items{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(ring.Push(items), 4u);
  EXPECT_EQ(ring.Push(items), 0u);
  EXPECT_THAT(PopAll(ring), ElementsAre(1, 2, 3, 4));
}

TEST(SpscRing, SpareSlotsStayFree) {
  SpscRing<int> ring(8);
  const std::array items{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(ring.Push(items, 2), 6u);
  EXPECT_EQ(ring.Push(items, 2), 0u);
  EXPECT_EQ(ring.Push(items, 1), 1u);
  EXPECT_EQ(ring.Push(items, 0), 1u);
  EXPECT_EQ(ring.Push(items, 100), 0u);
  EXPECT_THAT(PopAll(ring), ElementsAre(1, 2, 3, 4, 5, 6, 1, 1));
}

TEST(SpscRing, PopTakesNoMoreThanAsked) {
  SpscRing<int> ring(8);
  const std::array items{1, 2, 3, 4, 5};
  ASSERT_EQ(ring.Push(items), 5u);
  std::array<int, 2> two{};
  EXPECT_EQ(ring.Pop(two), 2u);
  EXPECT_THAT(two, ElementsAre(1, 2));
  EXPECT_THAT(PopAll(ring), ElementsAre(3, 4, 5));
}

TEST(SpscRing, NothingIsLostOverManyLaps) {
  SpscRing<uint32_t> ring(16);
  uint32_t next_in = 0, next_out = 0;
  for (uint32_t round = 0; round < 10'000; ++round) {
    std::array<uint32_t, 13> items;
    std::iota(items.begin(), items.end(), next_in);
    next_in += static_cast<uint32_t>(ring.Push(std::span(items).first(round % 13 + 1)));
    std::array<uint32_t, 11> out;
    const size_t count = ring.Pop(std::span(out).first(round % 11 + 1));
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], next_out++);
  }
  EXPECT_EQ(next_in - next_out, ring.size());
  EXPECT_GT(next_out, 20'000u);
}

// With real threads, for ThreadSanitizer; every order of a few operations is in tests/interleave.
TEST(SpscRing, NothingIsLostBetweenTwoThreads) {
  constexpr uint32_t kItems = 300'000;
  SpscRing<uint32_t> ring(64);
  std::thread producer([&ring] {
    std::array<uint32_t, 32> burst;
    for (uint32_t next = 0; next < kItems;) {
      const auto count = std::min<uint32_t>(burst.size(), kItems - next);
      std::iota(burst.begin(), burst.end(), next);
      const size_t pushed = ring.Push(std::span(burst).first(count));
      next += static_cast<uint32_t>(pushed);
      if (pushed == 0) std::this_thread::yield();
    }
  });
  std::array<uint32_t, 32> burst;
  uint32_t expected = 0;
  bool in_order = true;
  while (expected < kItems) {
    const size_t count = ring.Pop(burst);
    if (count == 0) std::this_thread::yield();
    for (size_t i = 0; i < count; ++i) in_order = in_order && burst[i] == expected++;
  }
  producer.join();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(ring.size(), 0u);
}

}  // namespace
}  // namespace millrace
