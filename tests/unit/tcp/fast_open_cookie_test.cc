#include <gtest/gtest.h>

#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/tcp/fast_open.h"

namespace millrace::tcp {
namespace {

constexpr SipKey kKey{0xB2B2'B2B2'A1A1'A1A1, 0xD4D4'D4D4'C3C3'C3C3};

uint64_t CookieOf(SipKey key, const char* client, const char* server) {
  const FastOpenCookie cookie =
      MakeSharedFastOpenCookie(key, *IpAddress::Parse(client), *IpAddress::Parse(server));
  return uint64_t{LoadBe32(cookie.data())} << 32 | LoadBe32(cookie.data() + 4);
}

// RFC 7413 6.3.4: a farm may have servers that are not ours. What Linux gives, as packetdrill's
// scripts have it.
TEST(FastOpenCookie, SharedOneIsThatOfLinux) {
  EXPECT_EQ(CookieOf(kKey, "192.0.2.1", "192.168.0.1"), 0x3021'B9D8'8901'7EEBu);
  EXPECT_EQ(CookieOf(kKey, "fd3d:fa7b:d17d::1", "fd3d:0a0b:17d6::1"), 0xC1D1'E974'2A47'A9BCu);
  constexpr SipKey kOther{0xED80'3D81'A0BF'63F7, 0xCEBC'4A90'CD64'1D30};
  EXPECT_EQ(CookieOf(kOther, "10.248.0.2", "192.168.0.2"), 0x00AB'AAAB'E8E9'54C2u);
  EXPECT_EQ(CookieOf(kOther, "10.248.0.3", "192.168.0.2"), 0x1313'A2DA'994A'0951u);
  EXPECT_EQ(CookieOf(kOther, "10.248.0.3", "192.168.0.3"), 0x76D2'C1C5'30F5'1F79u);
}

}  // namespace
}  // namespace millrace::tcp
