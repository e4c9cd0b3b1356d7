#include "millrace/base/endian.h"

#include <gtest/gtest.h>

#include <array>

namespace millrace {
namespace {

TEST(Endian, StoresMostSignificantOctetFirst) {
  std::array<std::byte, 4> octets{};
  StoreBe32(octets.data(), 0x01020304);
  EXPECT_EQ(LoadU8(&octets[0]), 1);
  EXPECT_EQ(LoadU8(&octets[3]), 4);
  StoreBe16(octets.data(), 0xA0B0);
  EXPECT_EQ(LoadU8(&octets[0]), 0xA0);
  EXPECT_EQ(LoadU8(&octets[1]), 0xB0);
  EXPECT_EQ(LoadU8(&octets[2]), 3);  // not touched
}

TEST(Endian, LoadsWhatWasStoredAtEveryAlignment) {
  std::array<std::byte, 16> octets{};
  for (size_t at = 0; at < 8; ++at) {
    StoreBe32(&octets[at], 0xDEADBEEF);
    EXPECT_EQ(LoadBe32(&octets[at]), 0xDEADBEEFu) << at;
    EXPECT_EQ(LoadBe16(&octets[at + 2]), 0xBEEF) << at;
    StoreU8(&octets[at], 0x7F);
    EXPECT_EQ(LoadBe32(&octets[at]), 0x7FADBEEFu) << at;
  }
}

}  // namespace
}  // namespace millrace
