#include "millrace/stack/steering.h"

#include <bit>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/base/endian.h"
#include "millrace/base/prng.h"

namespace millrace::stack {
namespace {

// The hash as the specification of receive-side scaling has it, bit by bit.
uint32_t Toeplitz(std::span<const uint8_t> key, std::span<const uint8_t> input) {
  uint32_t hash = 0;
  for (size_t bit = 0; bit < input.size() * 8; ++bit) {
    if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t key_bit = key[(bit + i) / 8] >> (7 - (bit + i) % 8) & 1u;
      hash ^= key_bit << (31 - i);
    }
  }
  return hash;
}

void Append32(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

std::vector<uint8_t> KeyOf(const Steering& steering, size_t octets) {
  std::vector<uint8_t> key(octets);
  for (size_t i = 0; i < octets; ++i) key[i] = steering.KeyOctet(i);
  return key;
}

// Two of the vectors that the specification gives for its own key.
TEST(Toeplitz, AgreesWithThePublishedVectors) {
  const std::vector<uint8_t> key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  std::vector<uint8_t> input;
  Append32(input, IpAddress::Parse("66.9.149.187")->v4());
  Append32(input, IpAddress::Parse("161.142.100.80")->v4());
  Append32(input, 2794u << 16 | 1766u);
  EXPECT_EQ(Toeplitz(key, input), 0x51ccc178u);
  input.clear();
  Append32(input, IpAddress::Parse("199.92.111.2")->v4());
  Append32(input, IpAddress::Parse("65.69.140.83")->v4());
  Append32(input, 14230u << 16 | 4739u);
  EXPECT_EQ(Toeplitz(key, input), 0xc626b0eau);
}

TEST(Steering, HashOfTheFoldIsToeplitzOfTheTuple) {
  Prng dice(1);
  for (int round = 0; round < 2'000; ++round) {
    const Steering steering(Steering::DrawPattern(dice.Next(), 512), 512, 3);
    const std::vector<uint8_t> key = KeyOf(steering, 40);
    const auto source = static_cast<uint32_t>(dice.Next());
    const auto destination = static_cast<uint32_t>(dice.Next());
    const auto ports = static_cast<uint32_t>(dice.Next());
    std::vector<uint8_t> input;
    Append32(input, source);
    Append32(input, destination);
    Append32(input, ports);
    const Fold fold = FoldOf(source ^ destination ^ ports);
    ASSERT_EQ(steering.Hash(fold), Toeplitz(key, input) & 0xFFFF);
    ASSERT_EQ(steering.BucketOf(fold), Toeplitz(key, input) & 511);
  }
}

TEST(Steering, HashOfAnIpv6TupleToo) {
  Prng dice(2);
  const Steering steering(Steering::DrawPattern(dice.Next(), 128), 128, 4);
  const std::vector<uint8_t> key = KeyOf(steering, 40);
  for (int round = 0; round < 1'000; ++round) {
    const IpAddress a = IpAddress::V6(dice.Next(), dice.Next());
    const IpAddress b = IpAddress::V6(dice.Next(), dice.Next());
    const auto ports = static_cast<uint32_t>(dice.Next());
    std::vector<uint8_t> input;
    for (const uint64_t half : {a.high(), a.low(), b.high(), b.low()}) {
      Append32(input, static_cast<uint32_t>(half >> 32));
      Append32(input, static_cast<uint32_t>(half));
    }
    Append32(input, ports);
    const auto fold = static_cast<Fold>(FoldOf(a) ^ FoldOf(b) ^ FoldOf(ports));
    ASSERT_EQ(steering.Hash(fold), Toeplitz(key, input) & 0xFFFF);
  }
}

TEST(Steering, BothDirectionsBelongToOneWorker) {
  const Steering steering(Steering::DrawPattern(7, 128), 128, 5);
  const std::vector<uint8_t> key = KeyOf(steering, 40);
  std::vector<uint8_t> there, back;
  for (const uint32_t word : {0x0A00'0001u, 0xC0A8'0102u, 40'000u << 16 | 80u}) {
    Append32(there, word);
  }
  for (const uint32_t word : {0xC0A8'0102u, 0x0A00'0001u, 80u << 16 | 40'000u}) {
    Append32(back, word);
  }
  EXPECT_EQ(Toeplitz(key, there), Toeplitz(key, back));
}

TEST(Steering, EveryFourthPatternIsGood) {
  for (const uint32_t buckets : {64u, 128u, 256u, 512u}) {
    int good = 0;
    for (uint32_t p = 0; p < 65'536; ++p) {
      good += Steering::IsGoodPattern(static_cast<uint16_t>(p), buckets) ? 1 : 0;
    }
    EXPECT_EQ(good, 16'384) << buckets;
  }
  std::set<uint16_t> drawn;
  Prng dice(3);
  for (int i = 0; i < 1'000; ++i) {
    const uint16_t pattern = Steering::DrawPattern(dice.Next(), 512);
    ASSERT_TRUE(Steering::IsGoodPattern(pattern, 512));
    drawn.insert(pattern);
  }
  EXPECT_GT(drawn.size(), 900u);
}

TEST(Steering, EveryBucketIsEquallyLikely) {
  const Steering steering(Steering::DrawPattern(11, 256), 256, 3);
  std::vector<uint32_t> folds(256);
  for (uint32_t fold = 0; fold < 65'536; ++fold) {
    ++folds[steering.BucketOf(static_cast<Fold>(fold))];
  }
  for (const uint32_t count : folds) EXPECT_EQ(count, 256u);
}

TEST(Steering, BucketsAreDealtEvenlyAndADispatcherHasNone) {
  const Steering steering(Steering::DrawPattern(5, 512), 512, 4, 1);
  EXPECT_EQ(steering.BucketsOf(0), 0u);
  EXPECT_EQ(steering.BucketsOf(1), 171u);
  EXPECT_EQ(steering.BucketsOf(2), 171u);
  EXPECT_EQ(steering.BucketsOf(3), 170u);
}

TEST(Steering, LowPortLeadsToTheBucketFromEveryBlock) {
  Prng dice(4);
  for (const uint32_t buckets : {64u, 512u}) {
    const Steering steering(Steering::DrawPattern(dice.Next(), buckets), buckets, 8);
    for (int round = 0; round < 100; ++round) {
      const auto rest = static_cast<Fold>(dice.Next());
      const auto block = static_cast<uint32_t>(dice.Below(65'536 / buckets)) * buckets;
      std::set<uint32_t> ports;
      for (uint32_t bucket = 0; bucket < buckets; ++bucket) {
        const uint32_t port = steering.LowPort(bucket, rest, block);
        ASSERT_GE(port, block);
        ASSERT_LT(port, block + buckets);
        ASSERT_EQ(steering.BucketOf(static_cast<Fold>(rest ^ port)), bucket);
        ports.insert(port);
      }
      ASSERT_EQ(ports.size(), buckets);
    }
  }
}

TEST(Steering, SharesDifferByOneAtMostAndAddUp) {
  for (const uint32_t total : {0u, 1u, 7u, 128u, 1'000'003u}) {
    for (uint32_t count = 1; count <= 9; ++count) {
      uint64_t sum = 0;
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t share = ShareOf(total, i, count);
        EXPECT_GE(share, total / count);
        EXPECT_LE(share, total / count + 1);
        sum += share;
      }
      EXPECT_EQ(sum, total);
    }
  }
}

}  // namespace
}  // namespace millrace::stack
