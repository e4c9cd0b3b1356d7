#include "millrace/stack/timer_wheel.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::stack {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct Object {
  uint32_t payload;  // the slab's free list goes here
  TimerLink link;
};

constexpr size_t kNoLimit = ~size_t{0};

template <int kLevels, int kSlotBits>
class Fixture {
 public:
  explicit Fixture(uint32_t first_tick, uint32_t objects = 64)
      : wheel_(first_tick), slab_(objects, Region::Pages::kPlain) {
    for (uint32_t i = 0; i < objects; ++i) slab_.Take();
  }
  void Schedule(uint32_t index, uint32_t tick) { wheel_.Schedule(slab_, index, tick); }
  void Cancel(uint32_t index) { wheel_.Cancel(slab_, index); }
  std::vector<uint32_t> Advance(uint32_t now, size_t work_max = kNoLimit) {
    std::vector<uint32_t> fired;
    work_ = wheel_.Advance(slab_, now, work_max, [&](uint32_t i) { fired.push_back(i); });
    return fired;
  }
  bool IsScheduled(uint32_t index) { return stack::IsScheduled(slab_[index].link); }
  TimerWheel<Object, &Object::link, kLevels, kSlotBits>& wheel() { return wheel_; }
  Slab<Object>& slab() { return slab_; }
  size_t work() const { return work_; }

 private:
  TimerWheel<Object, &Object::link, kLevels, kSlotBits> wheel_;
  Slab<Object> slab_;
  size_t work_ = 0;
};

using Fine = Fixture<4, 8>;
using Coarse = Fixture<1, 10>;

TEST(TimerWheel, FiresAtTheTickAndNotBefore) {
  Fine t(1000);
  t.Schedule(3, 1010);
  EXPECT_TRUE(t.IsScheduled(3));
  EXPECT_EQ(t.wheel().NextTick(), 1010u);
  EXPECT_THAT(t.Advance(1009), IsEmpty());
  EXPECT_THAT(t.Advance(1010), ElementsAre(3));
  EXPECT_FALSE(t.IsScheduled(3));
  EXPECT_EQ(t.wheel().size(), 0u);
  EXPECT_EQ(t.wheel().NextTick(), std::nullopt);
}

TEST(TimerWheel, FiresAPassedTickWithTheNextOne) {
  Fine t(1000);
  EXPECT_THAT(t.Advance(2000), IsEmpty());
  t.Schedule(3, 1500);
  EXPECT_THAT(t.Advance(2000), IsEmpty());
  EXPECT_THAT(t.Advance(2001), ElementsAre(3));
}

TEST(TimerWheel, MovesAnEntryEarlierButNotLater) {
  Fine t(0);
  t.Schedule(1, 500);
  t.Schedule(1, 100'000);                         // lazily: stays where it is
  EXPECT_EQ(t.wheel().NextTick().value(), 256u);  // a lower bound: the slot that holds 500
  EXPECT_THAT(t.Advance(499), IsEmpty());
  t.Schedule(1, 499);  // passed: fires with the next
  EXPECT_EQ(t.wheel().size(), 1u);
  EXPECT_THAT(t.Advance(500), ElementsAre(1));
}

TEST(TimerWheel, LetsFireScheduleAndCancel) {
  Fine t(0);
  for (uint32_t i = 0; i < 3; ++i) t.Schedule(i, 10);
  std::vector<uint32_t> fired;
  t.wheel().Advance(t.slab(), 10, kNoLimit, [&](uint32_t index) {
    fired.push_back(index);
    EXPECT_FALSE(t.IsScheduled(index));
    t.Schedule(index, 20);
    for (uint32_t i = 0; i < 3; ++i) {
      if (i != index) t.Cancel(i);
    }
  });
  EXPECT_EQ(fired.size(), 1u);
  EXPECT_EQ(t.wheel().size(), 1u);
  EXPECT_THAT(t.Advance(20), ElementsAre(fired[0]));
}

TEST(TimerWheel, CancelsAnywhereInAListAndTwice) {
  Fine t(0);
  for (uint32_t i = 0; i < 5; ++i) t.Schedule(i, 7);
  for (const uint32_t i : {0u, 2u, 4u, 2u}) t.Cancel(i);
  EXPECT_EQ(t.wheel().size(), 2u);
  EXPECT_THAT(t.Advance(7), UnorderedElementsAre(1, 3));
}

TEST(TimerWheel, KeepsAnEntryWhileItsSlabSlotChangesHands) {
  Fine t(0, 4);
  t.Schedule(2, 100);
  t.slab().Give(2);
  EXPECT_EQ(t.slab().Take(), 2u);
  EXPECT_TRUE(t.IsScheduled(2));
  t.Schedule(2, 300);  // the new owner wants later: the old entry pops for nothing, as agreed
  EXPECT_THAT(t.Advance(100), ElementsAre(2));
  t.Schedule(2, 300);
  EXPECT_THAT(t.Advance(300), ElementsAre(2));
}

TEST(TimerWheel, JumpsOverHoursAndAcrossTheWrap) {
  Fine t(0xFFFF'FF00);
  t.Schedule(0, 0xFFFF'FFFF);
  t.Schedule(1, 0);
  t.Schedule(2, 5);
  t.Schedule(3, 0x2000'0000);
  EXPECT_THAT(t.Advance(0xFFFF'FFFE), IsEmpty());
  EXPECT_THAT(t.Advance(0xFFFF'FFFF), ElementsAre(0));
  EXPECT_THAT(t.Advance(4), ElementsAre(1));
  EXPECT_THAT(t.Advance(0x1FFF'FFFF), ElementsAre(2));
  EXPECT_THAT(t.Advance(0x5000'0000), ElementsAre(3));
}

TEST(TimerWheel, HoldsEntriesBeyondTheHorizonOfOneLevel) {
  Coarse t(0xFFFF'FFF0);
  t.Schedule(0, 0xFFFF'FFF0 + 5000);
  t.Schedule(1, 0xFFFF'FFF0 + 1023);
  std::map<uint32_t, uint32_t> fired;  // object to ticks since the start
  for (uint32_t d = 0; d < 6000; ++d) {
    for (const uint32_t i : t.Advance(0xFFFF'FFF0 + d)) fired[i] = d;
  }
  EXPECT_EQ(fired, (std::map<uint32_t, uint32_t>{{0, 5000}, {1, 1023}}));
}

TEST(TimerWheel, BoundsTheWorkAndCarriesTheRestOver) {
  constexpr uint32_t kCount = 100'000;
  Fine t(0, kCount);
  for (uint32_t i = 0; i < kCount; ++i) t.Schedule(i, 70'000);
  std::vector<int> fired(kCount);
  uint32_t calls = 0, now = 69'999;
  EXPECT_THAT(t.Advance(now), IsEmpty());
  const size_t cascaded = t.work();
  EXPECT_LE(cascaded, 2u * kCount);
  for (; t.wheel().size() != 0 && calls < 10'000; ++calls, ++now) {
    for (const uint32_t i : t.Advance(now + 1, 100)) ++fired[i];
    EXPECT_LE(t.work(), 100u);
  }
  EXPECT_EQ(calls, kCount / 100);
  EXPECT_THAT(fired, ::testing::Each(1));
}

TEST(TimerWheel, TouchesAnEntryOncePerLevelAtMost) {
  constexpr uint32_t kCount = 1000;
  Fine t(0, kCount);
  std::mt19937 random(5);
  for (uint32_t i = 0; i < kCount; ++i)
    t.Schedule(i, static_cast<uint32_t>(random() & 0x7FFF'FFFF));
  EXPECT_EQ(t.Advance(0x7FFF'FFFF).size(), kCount);
  EXPECT_LE(t.work(), 4u * kCount);
}

// Random schedules, cancels and jumps against a multimap. Ticks far and near, from just before the
// wrap. `work_max` small: then nothing is early, nothing is lost, but things may be late.
template <class Wheel>
void CompareWithReference(uint32_t seed, size_t work_max, uint32_t far_ticks) {
  constexpr uint32_t kObjects = 500;
  std::mt19937 random(seed);
  uint32_t now = 0xFFFF'F000;
  const auto distance = [&](uint32_t tick) { return static_cast<int32_t>(tick - now); };
  Wheel t(now, kObjects);
  std::map<uint32_t, uint32_t> reference;  // object to the tick it has to fire at
  for (int step = 0; step < 60'000; ++step) {
    const uint32_t index = static_cast<uint32_t>(random() % kObjects);
    switch (random() % 8) {
      case 0:
        t.Cancel(index);
        reference.erase(index);
        break;
      case 1: {
        const uint32_t jump =
            static_cast<uint32_t>(random() % 50 == 0 ? random() % far_ticks : random() % 4);
        now += jump;
        const std::vector<uint32_t> fired = t.Advance(now, work_max);
        ASSERT_LE(t.work(), work_max);
        for (const uint32_t i : fired) {
          ASSERT_TRUE(reference.contains(i));
          ASSERT_LE(distance(reference[i]), 0) << "early";
          reference.erase(i);
        }
        if (t.work() < work_max) {
          // Everything due has fired; what was scheduled for the passed tick itself may wait.
          for (const auto& [i, tick] : reference) ASSERT_GE(distance(tick), jump == 0 ? 0 : 1);
        }
        break;
      }
      default: {
        const uint32_t tick =
            now + 1 + static_cast<uint32_t>(random() % (random() % 4 == 0 ? far_ticks : 300));
        t.Schedule(index, tick);
        if (!reference.contains(index) || distance(tick) < distance(reference[index])) {
          reference[index] = tick;
        }
      }
    }
    ASSERT_EQ(t.wheel().size(), reference.size());
    if (step % 64 == 0) {
      const std::optional<uint32_t> next = t.wheel().NextTick();
      ASSERT_EQ(next.has_value(), !reference.empty());
      for (const auto& [i, tick] : reference) {
        ASSERT_TRUE(t.IsScheduled(i));
        ASSERT_LE(static_cast<int32_t>(*next - tick), 0);
      }
    }
  }
}

TEST(TimerWheel, AgreesWithAReferenceMap) { CompareWithReference<Fine>(1, kNoLimit, 100'000'000); }

TEST(TimerWheel, AgreesWithAReferenceMapWithBoundedWork) {
  CompareWithReference<Fine>(2, 7, 200'000);
}

TEST(TimerWheel, AgreesWithAReferenceMapWithShortLevels) {
  CompareWithReference<Fixture<3, 6>>(3, kNoLimit, 1'000'000);
}

TEST(TimerWheel, AgreesWithAReferenceMapWithOneLevel) {
  CompareWithReference<Coarse>(4, kNoLimit, 5'000);
}

}  // namespace
}  // namespace millrace::stack
