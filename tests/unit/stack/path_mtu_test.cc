#include "millrace/stack/path_mtu.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace millrace::stack {
namespace {

constexpr Instant kNow = Instant::FromNanoseconds(1'000'000'000);
constexpr Duration kSecond = Duration::Seconds(1);

IpAddress Host(uint32_t number) { return IpAddress::V4(0x0A00'0000 + number); }

// RFC 1191 6.3: what is learnt is forgotten after ten minutes, and learnt again.
TEST(PathMtus, AreKnownForTenMinutes) {
  PathMtus mtus(7);
  EXPECT_TRUE(mtus.empty());
  EXPECT_EQ(mtus.Find(Host(1), kNow), 0u);
  mtus.Learn(Host(1), 1400, kNow);
  EXPECT_FALSE(mtus.empty());
  EXPECT_EQ(mtus.Find(Host(1), kNow), 1400u);
  EXPECT_EQ(mtus.Find(Host(2), kNow), 0u);
  EXPECT_EQ(mtus.Find(Host(1), kNow + PathMtus::kLife - kSecond), 1400u);
  EXPECT_EQ(mtus.Find(Host(1), kNow + PathMtus::kLife), 0u);
  mtus.Learn(Host(1), 1300, kNow + kSecond);
  mtus.Learn(Host(2), 1200, kNow + kSecond + kSecond);
  EXPECT_EQ(mtus.Find(Host(1), kNow + PathMtus::kLife), 1300u);
  EXPECT_EQ(mtus.Find(Host(1), kNow + PathMtus::kLife + kSecond), 0u) << "but another one's is";
  EXPECT_EQ(mtus.Find(Host(2), kNow + PathMtus::kLife + kSecond), 1200u);
}

// Memory is bounded: the one that ends first makes room, so the latest is always known.
TEST(PathMtus, LatestOnesAreKeptHoweverManyComeBefore) {
  PathMtus mtus(7);
  for (uint32_t i = 0; i < 10'000; ++i) {
    const Instant now = kNow + Duration::Milliseconds(i);
    mtus.Learn(Host(i), static_cast<uint16_t>(600 + i % 800), now);
    ASSERT_EQ(mtus.Find(Host(i), now), 600 + i % 800);
  }
  uint32_t known = 0;
  for (uint32_t i = 0; i < 10'000; ++i) {
    const uint16_t mtu = mtus.Find(Host(i), kNow + kSecond * 10);
    known += mtu != 0 ? 1 : 0;
    EXPECT_TRUE(mtu == 0 || mtu == 600 + i % 800) << i;
  }
  EXPECT_EQ(known, 256u);
}

// RFC 1191 7.1, table 7-1.
TEST(PathMtus, PlateausGoDownToTheLeastAndEnd) {
  uint16_t mtu = 65'535;
  for (const uint16_t next :
       std::initializer_list<uint16_t>{32'000, 17'914, 8'166, 4'352, 2'002, 1'492, 1'006, 552, 0}) {
    EXPECT_EQ(PlateauBelow(mtu), next);
    mtu = next;
  }
}

}  // namespace
}  // namespace millrace::stack
