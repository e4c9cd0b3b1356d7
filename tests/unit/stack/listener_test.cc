#include "millrace/stack/listener.h"

#include <gtest/gtest.h>

namespace millrace::stack {
namespace {

const IpAddress kAny = IpAddress::V4(0), kAnyV6;

IpAddress Host(uint32_t number) { return IpAddress::V4(0x0A00'0000 + number); }

TEST(ListenerTable, ExactAddressWinsOverAnyOfItsFamily) {
  ListenerTable table;
  const uint16_t any = table.Add(kAny, 80, 8, 1);
  const uint16_t exact = table.Add(Host(1), 80, 8, 2);
  const uint16_t any_v6 = table.Add(kAnyV6, 80, 8, 3);
  EXPECT_EQ(table.Find(Host(1), 80), exact);
  EXPECT_EQ(table.Find(Host(2), 80), any);
  EXPECT_EQ(table.Find(IpAddress::V6(1, 1), 80), any_v6);
  EXPECT_EQ(table.Find(Host(1), 81), ListenerTable::kNone);
  EXPECT_EQ(table.Add(Host(1), 80, 8, 4), ListenerTable::kNone) << "in use";
}

// Those of one port are closed in any order, and leave the others alone.
TEST(ListenerTable, ClosingOneLeavesTheOthersOfThePort) {
  for (int order = 0; order < 3; ++order) {
    ListenerTable table;
    uint16_t index[3];
    for (uint32_t i = 0; i < 3; ++i) index[i] = table.Add(Host(i + 1), 80, 8, i);
    for (int i = 0; i < 3; ++i) {
      const int closed = (order + i) % 3;
      table.Close(index[closed]);
      EXPECT_EQ(table.Find(Host(static_cast<uint32_t>(closed) + 1), 80), ListenerTable::kNone);
      for (int j = i + 1; j < 3; ++j) {
        const int open = (order + j) % 3;
        EXPECT_EQ(table.Find(Host(static_cast<uint32_t>(open) + 1), 80), index[open]);
      }
    }
  }
}

// The table has a bound. A place is used again when nothing of the old listener is under way.
TEST(ListenerTable, IsBoundedAndUsesPlacesAgain) {
  ListenerTable table;
  for (uint32_t i = 0; i < ListenerTable::kListenersMax; ++i) {
    ASSERT_NE(table.Add(Host(i), 80, 8, i), ListenerTable::kNone);
  }
  EXPECT_EQ(table.Add(Host(5000), 80, 8, 0), ListenerTable::kNone);
  const uint16_t busy = table.Find(Host(7), 80), idle = table.Find(Host(8), 80);
  table[busy].half_open = 1;
  table.Close(busy);
  EXPECT_EQ(table.Add(Host(5000), 80, 8, 0), ListenerTable::kNone);
  table.Close(idle);
  EXPECT_EQ(table.Add(Host(5000), 80, 8, 0), idle);
  EXPECT_EQ(table.size(), ListenerTable::kListenersMax);
}

// A backlog bounds the half-open connections, and so does eight times what the pool has free.
TEST(ListenerTable, RoomIsBacklogAndShareOfWhatIsFree) {
  ListenerTable table;
  Listener& listener = table[table.Add(kAny, 80, 100, 0)];
  listener.half_open = 99;
  EXPECT_TRUE(listener.HasRoomForSyn(13));
  EXPECT_FALSE(listener.HasRoomForSyn(12));
  listener.half_open = 100;
  EXPECT_FALSE(listener.HasRoomForSyn(1000));
  listener.half_open = 5;
  table.Guard(0);
  EXPECT_FALSE(listener.HasRoomForSyn(1000)) << "looks full, so that each SYN is looked at";
  EXPECT_TRUE(listener.HasRoomBehindGuard(1000));
  EXPECT_EQ(listener.backlog_wanted(), 100u);
}

}  // namespace
}  // namespace millrace::stack
