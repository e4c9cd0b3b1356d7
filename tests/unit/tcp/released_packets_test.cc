// Packets that nothing holds any more.

#include "millrace/tcp/released_packets.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace millrace::tcp {
namespace {

TEST(ReleasedPackets, GrowWhenThereAreMoreThanWereReservedFor) {
  ReleasedPackets released;
  EXPECT_EQ(released.size(), 0u);
  released.Reserve(2);
  EXPECT_EQ(released.capacity(), 2u);
  for (uintptr_t i = 1; i <= 200; ++i) released.Push(wire::PacketHandle{i});
  ASSERT_EQ(released.size(), 200u);
  for (uintptr_t i = 1; i <= 200; ++i) EXPECT_EQ(released.packets()[i - 1], wire::PacketHandle{i});
  released.Clear();
  EXPECT_TRUE(released.packets().empty());
  EXPECT_GE(released.capacity(), 200u);
}

}  // namespace
}  // namespace millrace::tcp
