#include "millrace/base/slab.h"

#include <gtest/gtest.h>

#include <utility>

#include "millrace/base/memory.h"

namespace millrace {
namespace {

struct Object {
  uint32_t first, second;
};

TEST(Slab, HandsOutFreshObjectsInAddressOrder) {
  Slab<Object> slab(3, Region::Pages::kPlain);
  EXPECT_EQ(slab.capacity(), 3u);
  EXPECT_EQ(slab.Take(), 0u);
  EXPECT_EQ(slab.Take(), 1u);
  EXPECT_EQ(slab.touched(), 2u);
  EXPECT_EQ(slab.used(), 2u);
  EXPECT_EQ(slab.free(), 1u);
}

TEST(Slab, SaysSoWhenAllAreTaken) {
  Slab<Object> slab(2, Region::Pages::kPlain);
  slab.Take();
  slab.Take();
  EXPECT_EQ(slab.Take(), kNoIndex);
  EXPECT_EQ(slab.used(), 2u);
  slab.Give(0);
  EXPECT_EQ(slab.Take(), 0u);
  EXPECT_EQ(slab.Take(), kNoIndex);
}

TEST(Slab, ReturnsTheObjectGivenLastFirst) {
  Slab<Object> slab(4, Region::Pages::kPlain);
  for (int i = 0; i < 4; ++i) slab.Take();
  slab.Give(2);
  slab.Give(0);
  slab.Give(3);
  EXPECT_EQ(slab.Take(), 3u);
  EXPECT_EQ(slab.Take(), 0u);
  EXPECT_EQ(slab.Take(), 2u);
}

TEST(Slab, KeepsAllButTheFirstFourOctetsOfAGivenObject) {
  Slab<Object> slab(1, Region::Pages::kPlain);
  const uint32_t index = slab.Take();
  slab[index] = {.first = 1, .second = 2};
  slab.Give(index);
  EXPECT_EQ(slab.Take(), index);
  EXPECT_EQ(slab[index].second, 2u);
}

TEST(Slab, NamesAnObjectByItsIndex) {
  Slab<Object> slab(5, Region::Pages::kPlain);
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(slab.IndexOf(slab[slab.Take()]), i);
}

TEST(Slab, MovesWithItsObjects) {
  Slab<Object> slab(2, Region::Pages::kPlain);
  slab[slab.Take()].second = 9;
  const Slab<Object> moved(std::move(slab));
  EXPECT_EQ(moved[0].second, 9u);
  EXPECT_EQ(moved.used(), 1u);
}

TEST(Slab, WithoutCapacityHasNothingToGive) {
  Slab<Object> slab;
  EXPECT_EQ(slab.Take(), kNoIndex);
}

TEST(Region, IsZeroedAndHasTheSizeAskedFor) {
  const Region region(10'000, Region::Pages::kPlain);
  ASSERT_NE(region.data(), nullptr);
  EXPECT_GE(region.size(), 10'000u);
  EXPECT_FALSE(region.huge());
  for (size_t i = 0; i < 10'000; ++i) ASSERT_EQ(region.data()[i], std::byte{0});
}

TEST(Region, FallsBackToPlainPagesWhenThereAreNoHugeOnes) {
  const Region region(size_t{8} << 20);
  ASSERT_NE(region.data(), nullptr);
  region.data()[region.size() - 1] = std::byte{1};
}

TEST(Region, IsEmptyWhenItCannotBeMapped) {
  const Region region(size_t{1} << 60);
  EXPECT_EQ(region.data(), nullptr);
  EXPECT_EQ(region.size(), 0u);
}

TEST(Region, MoveLeavesTheSourceEmpty) {
  Region a(4096, Region::Pages::kPlain);
  const std::byte* data = a.data();
  Region b(std::move(a));
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(a.data(), nullptr);  // NOLINT(bugprone-use-after-move): that is what is tested
}

}  // namespace
}  // namespace millrace
