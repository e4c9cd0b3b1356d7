// Places in the flow table that somebody keeps as a number, to come back to.
#include <vector>

#include "gtest/gtest.h"
#include "millrace/stack/flow_key.h"
#include "millrace/stack/flow_table.h"

namespace millrace::stack {
namespace {

constexpr FlowTable::Key kSecret{
    {0x1123'4567'89AB'CDEF, 0xEEDC'BA98'7654'3210, 0x1F1E'2D3C'4B5A'6978, 0x9796'A5B4'C3D2'E1F0}};

FlowRef Connection(uint32_t index) { return FlowRef(FlowKind::kConnection, index); }

FlowKey KeyNumber(uint32_t n) {
  return FlowKey::V4(0x0A00'0001, 80, 0x0A01'0000 + (n >> 14), static_cast<uint16_t>(n & 0x3FFF));
}

// What keeps the number of a place believes it as long as the entry there is its own.
TEST(FlowPlaces, PlaceIsKnownByItsNumberUntilTheFlowLeavesIt) {
  FlowTable table(1000, kSecret, Region::Pages::kPlain);
  const uint64_t hash = table.Hash(KeyNumber(1));
  ASSERT_TRUE(table.Insert(hash, Connection(5)));
  const FlowRef* const place = table.FindCandidate(hash);
  ASSERT_NE(place, nullptr);
  const uint32_t number = table.NumberOf(place);
  EXPECT_GT(number, 1u);
  EXPECT_EQ(table.StillAt(number, Connection(5)), place);
  EXPECT_EQ(table.StillAt(number, Connection(6)), nullptr);
  EXPECT_EQ(table.StillAt(0, Connection(5)), nullptr);
  EXPECT_EQ(table.StillAt(1, Connection(5)), nullptr);

  const FlowRef time_wait(FlowKind::kTimeWait, 5);
  FlowTable::ReplaceAt(place, time_wait);
  EXPECT_EQ(table.StillAt(number, Connection(5)), nullptr);
  EXPECT_EQ(table.StillAt(number, time_wait), place);
  table.EraseAt(place);
  EXPECT_EQ(table.StillAt(number, time_wait), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

// In a table so full that entries make room for others, some are found where they were, some no
// more, and all can be erased by place or, failing that, by key.
TEST(FlowPlaces, EntriesThatHadToMoveAreNotWhereTheirNumberSays) {
  constexpr uint32_t kEntries = 3000;
  FlowTable table(kEntries, kSecret, Region::Pages::kPlain);
  std::vector<uint32_t> numbers(kEntries, 0);
  for (uint32_t i = 0; i < kEntries; ++i) {
    const uint64_t hash = table.Hash(KeyNumber(i));
    ASSERT_TRUE(table.Insert(hash, Connection(i)));
    const FlowRef* const place = table.FindCandidate(hash);
    if (place != nullptr && *place == Connection(i)) numbers[i] = table.NumberOf(place);
  }
  uint32_t moved = 0;
  for (uint32_t i = 0; i < kEntries; ++i) {
    if (const FlowRef* const place = table.StillAt(numbers[i], Connection(i))) {
      table.EraseAt(place);
    } else {
      moved += numbers[i] != 0 ? 1 : 0;
      table.Erase(table.Hash(KeyNumber(i)), Connection(i));
    }
    const auto is_it = [i](FlowRef ref) { return ref == Connection(i); };
    ASSERT_EQ(table.Find(table.Hash(KeyNumber(i)), is_it), FlowRef());
  }
  EXPECT_GT(moved, 0u);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.stash_size(), 0u);
}

}  // namespace
}  // namespace millrace::stack
