// Initial sequence numbers and timestamp offsets (RFC 6528; ISN-01, ISN-02, ISN-03, ISN-08).

#include "millrace/tcp/isn.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

namespace millrace::tcp {
namespace {

constexpr SipKey kKey{0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210};
const Instant kNow = Instant::FromNanoseconds(int64_t{1} << 50);

// Chi-square of counts that should be equal, as standard deviations from its mean.
double Deviation(const std::vector<uint32_t>& counts) {
  double total = 0;
  for (uint32_t count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  double chi = 0;
  for (uint32_t count : counts) chi += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return std::abs(chi - freedom) / std::sqrt(2 * freedom);
}

// ISN-01
TEST(TupleSecrets, ClockOfAbout4MicrosecondsMovesTheIssOnly) {
  const TupleSecrets first = DeriveTupleSecrets(kKey, 1, 2, kNow);
  const TupleSecrets later = DeriveTupleSecrets(kKey, 1, 2, kNow + Duration::Nanoseconds(409'600));
  EXPECT_EQ(later.iss.Since(first.iss), 100u);
  EXPECT_EQ(later.ts_offset, first.ts_offset);
  // Once around in 4.9 hours (RFC 9293: "cycles approximately every 4.55 hours").
  const Instant wrapped = kNow + Duration::Nanoseconds(int64_t{1} << 44);
  EXPECT_EQ(DeriveTupleSecrets(kKey, 1, 2, wrapped).iss, first.iss);
}

// ISN-01: hashed together or alone.
TEST(TupleSecrets, OfSeveralTuplesAreThoseOfEach) {
  const auto tuple_of = [](size_t i) {
    return std::pair(uint64_t{7} * i, static_cast<uint32_t>(1000 + i % 3));
  };
  for (size_t count = 1; count <= kSipLanes; ++count) {
    size_t taken = 0;
    HashTuples(kKey, count, tuple_of, [&](size_t i, uint64_t hash) {
      const auto [addresses, ports] = tuple_of(i);
      const TupleSecrets own = DeriveTupleSecrets(kKey, addresses, ports, kNow);
      EXPECT_EQ(i, taken++);
      EXPECT_EQ(SecretsOf(hash, kNow).iss, own.iss);
      EXPECT_EQ(SecretsOf(hash, kNow).ts_offset, own.ts_offset);
    });
    EXPECT_EQ(taken, count);
  }
}

// ISN-02: a million neighbouring tuples; steps between their ISNs are uniform in every octet.
TEST(TupleSecrets, NeighbouringTuplesHaveNoVisibleRelation) {
  constexpr int kTuples = 1'000'000;
  std::array<std::vector<uint32_t>, 4> iss_octets, offset_octets;
  for (auto& counts : iss_octets) counts.assign(256, 0);
  for (auto& counts : offset_octets) counts.assign(256, 0);
  std::vector<uint32_t> flipped(32, 0);
  TupleSecrets previous = DeriveTupleSecrets(kKey, 77, 0, kNow);
  for (int i = 1; i <= kTuples; ++i) {
    const auto next = DeriveTupleSecrets(kKey, 77, static_cast<uint32_t>(i), kNow);
    const uint32_t step = next.iss.Since(previous.iss);
    const uint32_t offset_step = next.ts_offset - previous.ts_offset;
    for (size_t octet = 0; octet < 4; ++octet) {
      ++iss_octets[octet][step >> (8 * octet) & 0xFF];
      ++offset_octets[octet][offset_step >> (8 * octet) & 0xFF];
    }
    const uint32_t changed = next.iss.value() ^ previous.iss.value();
    for (size_t bit = 0; bit < 32; ++bit) flipped[bit] += changed >> bit & 1;
    previous = next;
  }
  for (size_t octet = 0; octet < 4; ++octet) {
    EXPECT_LT(Deviation(iss_octets[octet]), 5) << octet;
    EXPECT_LT(Deviation(offset_octets[octet]), 5) << octet;
  }
  for (uint32_t count : flipped) EXPECT_NEAR(count, kTuples / 2, 5 * 500);
}

// ISN-02: each part of the tuple and of the key counts; both directions differ.
TEST(TupleSecrets, DependOnEveryPartOfTheTupleAndTheKey) {
  const TupleSecrets base = DeriveTupleSecrets(kKey, 1, 2, kNow);
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t one = uint64_t{1} << bit;
    const SipKey other_keys[] = {{kKey.k0 ^ one, kKey.k1}, {kKey.k0, kKey.k1 ^ one}};
    EXPECT_NE(DeriveTupleSecrets(kKey, 1 ^ one, 2, kNow).iss, base.iss);
    const uint32_t one_of_ports = 1u << (bit % 32);
    EXPECT_NE(DeriveTupleSecrets(kKey, 1, 2 ^ one_of_ports, kNow).iss, base.iss);
    for (const SipKey& key : other_keys) {
      EXPECT_NE(DeriveTupleSecrets(key, 1, 2, kNow).iss, base.iss);
    }
  }
}

// ISN-08: the timestamp offset tells nothing about F: the halves agree in half of their bits.
TEST(TupleSecrets, OffsetAndIssAreIndependent) {
  uint64_t agreeing = 0;
  constexpr uint64_t kTuples = 100'000;
  for (uint64_t i = 0; i < kTuples; ++i) {
    const TupleSecrets s = DeriveTupleSecrets(kKey, i, 0, Instant());
    agreeing += static_cast<uint64_t>(std::popcount(~(s.iss.value() ^ s.ts_offset)));
  }
  EXPECT_NEAR(static_cast<double>(agreeing), 16.0 * kTuples, 5 * std::sqrt(8.0 * kTuples));
}

}  // namespace
}  // namespace millrace::tcp
