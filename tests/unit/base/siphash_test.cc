#include "millrace/base/siphash.h"

#include <gtest/gtest.h>

#include <array>

namespace millrace {
namespace {

// Key 00 01 .. 0f, as in the reference implementation's vectors.
constexpr SipKey kKey{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};

// vectors_sip64 of the reference implementation: hash of 00 01 .. (n-1), for n = 0 to 24.
constexpr std::array<uint64_t, 25> kVectors = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
    0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
    0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
    0xb8ad50c6f649af94,
};

std::array<uint8_t, 24> CountingOctets() {
  std::array<uint8_t, 24> octets{};
  for (size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<uint8_t>(i);
  return octets;
}

TEST(SipHash24, MatchesTheReferenceVectors) {
  const auto input = CountingOctets();
  for (size_t n = 0; n < kVectors.size(); ++n) {
    EXPECT_EQ(SipHash24(kKey, input.data(), n), kVectors[n]) << n;
  }
}

TEST(SipHash24, FixedFormsEqualTheGeneralOne) {
  constexpr uint64_t kA = 0x0706'0504'0302'0100, kB = 0x0f0e'0d0c'0b0a'0908;
  constexpr uint64_t kC = 0x1716'1514'1312'1110;
  EXPECT_EQ(SipHash24Of12(kKey, kA, static_cast<uint32_t>(kB)), kVectors[12]);
  EXPECT_EQ(SipHash24(kKey, kA, kB), kVectors[16]);
  EXPECT_EQ(SipHash24(kKey, kA, kB, kC), kVectors[24]);
}

TEST(SipHash24, FourAtATimeEqualOneByOne) {
  for (uint64_t seed = 1; seed < 100; ++seed) {
    SipLanes a{}, b{}, hashes;
    for (size_t i = 0; i < kSipLanes; ++i) {
      a[i] = SipHash24(kKey, seed, i);
      b[i] = SipHash24(kKey, i, seed) >> 32;
    }
    SipHash24Of12(kKey, a, b, hashes);
    for (size_t i = 0; i < kSipLanes; ++i) {
      EXPECT_EQ(hashes[i], SipHash24Of12(kKey, a[i], static_cast<uint32_t>(b[i])));
    }
  }
}

TEST(SipHash24, EveryBitOfKeyAndInputMatters) {
  const uint64_t base = SipHash24(kKey, uint64_t{1}, uint64_t{2});
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flip = uint64_t{1} << bit;
    EXPECT_NE(SipHash24(SipKey{kKey.k0 ^ flip, kKey.k1}, uint64_t{1}, uint64_t{2}), base);
    EXPECT_NE(SipHash24(SipKey{kKey.k0, kKey.k1 ^ flip}, uint64_t{1}, uint64_t{2}), base);
    EXPECT_NE(SipHash24(kKey, 1 ^ flip, uint64_t{2}), base);
    EXPECT_NE(SipHash24(kKey, uint64_t{1}, 2 ^ flip), base);
  }
}

}  // namespace
}  // namespace millrace
