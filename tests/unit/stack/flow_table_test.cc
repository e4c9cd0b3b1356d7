#include "millrace/stack/flow_table.h"

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/stack/flow_key.h"

namespace millrace::stack {
namespace {

constexpr FlowTable::Key kSecret{
    {0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210, 0x0F1E'2D3C'4B5A'6978, 0x8796'A5B4'C3D2'E1F0}};

FlowRef Connection(uint32_t index) { return FlowRef(FlowKind::kConnection, index); }

auto Is(FlowRef wanted) {
  return [wanted](FlowRef ref) { return ref == wanted; };
}

// The records' side of a table: full keys by index, as the pools hold them.
class Flows {
 public:
  explicit Flows(uint32_t capacity) : table_(capacity, kSecret, Region::Pages::kPlain) {}

  bool Add(const FlowKey& key, uint32_t index) {
    keys_[index] = key;
    return table_.Insert(table_.Hash(key), Connection(index));
  }
  void Remove(uint32_t index) { table_.Erase(table_.Hash(keys_[index]), Connection(index)); }
  FlowRef Find(const FlowKey& key) const {
    return table_.Find(table_.Hash(key), [&](FlowRef ref) { return keys_.at(ref.index()) == key; });
  }
  const FlowTable& table() const { return table_; }

 private:
  FlowTable table_;
  std::unordered_map<uint32_t, FlowKey> keys_;
};

FlowKey KeyNumber(uint32_t n) {
  return FlowKey::V4(0x0A00'0001, 80, 0x0A01'0000 + (n >> 14), static_cast<uint16_t>(n & 0x3FFF));
}

TEST(FlowKey, KeepsAddressesAndPortsInHostOrder) {
  const FlowKey key = FlowKey::V4(0x0A00'0001, 80, 0xC0A8'0102, 40000);
  EXPECT_TRUE(key.IsV4());
  EXPECT_EQ(key.local_v4(), 0x0A00'0001u);
  EXPECT_EQ(key.remote_v4(), 0xC0A8'0102u);
  EXPECT_NE(key, FlowKey::V4(0xC0A8'0102, 40000, 0x0A00'0001, 80));
  EXPECT_NE(key, FlowKey::V4(0x0A00'0001, 81, 0xC0A8'0102, 40000));
}

TEST(FlowRef, HoldsKindAndIndexAndIsNoneByDefault) {
  EXPECT_FALSE(FlowRef());
  const FlowRef ref(FlowKind::kTimeWait, FlowRef::kIndexMax);
  EXPECT_TRUE(ref);
  EXPECT_EQ(ref.kind(), FlowKind::kTimeWait);
  EXPECT_EQ(ref.index(), FlowRef::kIndexMax);
  EXPECT_TRUE(FlowRef(FlowKind::kHalfOpen, 0));
  EXPECT_EQ(FlowRef::FromBits(ref.bits()), ref);
}

TEST(FlowTable, FindsNothingWhenEmpty) {
  const Flows flows(100);
  EXPECT_FALSE(flows.Find(KeyNumber(1)));
  EXPECT_EQ(flows.table().FindCandidate(flows.table().Hash(KeyNumber(1))), nullptr);
}

TEST(FlowTable, FindsWhatWasInsertedAndNotWhatWasErased) {
  Flows flows(100);
  ASSERT_TRUE(flows.Add(KeyNumber(1), 7));
  EXPECT_EQ(flows.Find(KeyNumber(1)), Connection(7));
  EXPECT_EQ(*flows.table().FindCandidate(flows.table().Hash(KeyNumber(1))), Connection(7));
  EXPECT_FALSE(flows.Find(KeyNumber(2)));
  flows.Remove(7);
  EXPECT_FALSE(flows.Find(KeyNumber(1)));
  EXPECT_EQ(flows.table().size(), 0u);
}

TEST(FlowTable, ReplacesAReferenceInPlace) {
  FlowTable table(100, kSecret, Region::Pages::kPlain);
  const uint64_t hash = table.Hash(KeyNumber(1));
  const FlowRef half_open(FlowKind::kHalfOpen, 3), time_wait(FlowKind::kTimeWait, 9);
  ASSERT_TRUE(table.Insert(hash, half_open));
  table.Replace(hash, half_open, time_wait);
  EXPECT_FALSE(table.Find(hash, Is(half_open)));
  EXPECT_EQ(table.Find(hash, Is(time_wait)), time_wait);
  EXPECT_EQ(table.size(), 1u);
}

TEST(FlowTable, HoldsItsCapacityWithoutTheStashAndRefusesMore) {
  constexpr uint32_t kCapacity = 60'000;
  Flows flows(kCapacity);
  for (uint32_t i = 0; i < kCapacity; ++i) ASSERT_TRUE(flows.Add(KeyNumber(i), i)) << i;
  EXPECT_EQ(flows.table().stash_size(), 0u);
  EXPECT_FALSE(flows.Add(KeyNumber(kCapacity), kCapacity));
  for (uint32_t i = 0; i < kCapacity; ++i) ASSERT_EQ(flows.Find(KeyNumber(i)), Connection(i));
  flows.Remove(5);
  EXPECT_TRUE(flows.Add(KeyNumber(kCapacity), kCapacity));
}

TEST(FlowTable, NeedsTwelveBytesPerEntry) {
  const FlowTable table(1'000'000, kSecret, Region::Pages::kPlain);
  EXPECT_EQ(table.capacity(), 1'000'000u);
  EXPECT_LE(table.bytes(), 12'000'064u);
}

TEST(FlowTable, AgreesWithAReferenceMapUnderRandomOperations) {
  constexpr uint32_t kCapacity = 3000;
  std::mt19937_64 random(20240817);
  FlowTable table(kCapacity, kSecret, Region::Pages::kPlain);
  // Hashes from a small set, so that buckets overflow, tags repeat and hashes are equal.
  std::unordered_map<uint32_t, uint64_t> reference;  // reference bits to hash
  std::vector<uint32_t> members;
  uint32_t refused = 0, next_index = 0;
  for (int step = 0; step < 400'000; ++step) {
    const bool grow = (step / 50'000) % 2 == 0 ? random() % 3 != 0 : random() % 3 == 0;
    if (grow || members.empty()) {
      const uint64_t hash = (random() % 500) << 55 | random() % 97;
      const FlowRef ref = Connection(next_index++ & FlowRef::kIndexMax);
      if (table.Insert(hash, ref)) {
        reference[ref.bits()] = hash;
        members.push_back(ref.bits());
      } else {
        ++refused;
      }
    } else {
      std::swap(members[random() % members.size()], members.back());
      const FlowRef ref = FlowRef::FromBits(members.back());
      const uint64_t hash = reference.at(ref.bits());
      if (random() % 4 == 0) {
        const FlowRef moved(FlowKind::kTimeWait, next_index++ & FlowRef::kIndexMax);
        table.Replace(hash, ref, moved);
        reference.erase(ref.bits());
        reference[moved.bits()] = hash;
        members.back() = moved.bits();
        continue;
      }
      table.Erase(hash, ref);
      ASSERT_FALSE(table.Find(hash, Is(ref)));
      reference.erase(ref.bits());
      members.pop_back();
    }
    ASSERT_EQ(table.size(), reference.size());
    if (step % 5000 == 0) {
      for (const auto& [bits, hash] : reference) {
        ASSERT_TRUE(table.Find(hash, Is(FlowRef::FromBits(bits))));
      }
    }
  }
  EXPECT_GT(refused, 0u);
  for (const auto& [bits, hash] : reference) table.Erase(hash, FlowRef::FromBits(bits));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.AwayForTest(), 0u);
}

// A peer cannot do this without the secret; the bounds hold even so.
TEST(FlowTable, BoundsAFloodOfEqualHashesByTwoBucketsAndTheStash) {
  FlowTable table(10'000, kSecret, Region::Pages::kPlain);
  constexpr uint64_t kHash = 0x1234'5678'0000'4321;
  uint32_t taken = 0;
  while (taken < 1000 && table.Insert(kHash, Connection(taken))) ++taken;
  EXPECT_EQ(taken, 2 * FlowTable::kSlots + FlowTable::kStashMax);
  EXPECT_EQ(table.stash_size(), FlowTable::kStashMax);
  uint32_t compared = 0;
  EXPECT_FALSE(table.Find(kHash, [&](FlowRef) { return ++compared == 0; }));
  EXPECT_EQ(compared, taken);
  for (uint32_t i = 0; i < taken; ++i) ASSERT_TRUE(table.Find(kHash, Is(Connection(i)))) << i;

  // Others go their way, and room that is made is used: nothing remains of the flood.
  ASSERT_TRUE(table.Insert(0xF000'0000'0000'0001, Connection(5000)));
  EXPECT_LE(table.ProbesForTest(0xF000'0000'0000'0001), 3u);
  for (uint32_t i = 0; i < taken; ++i) table.Erase(kHash, Connection(i));
  EXPECT_EQ(table.stash_size(), 0u);
  EXPECT_EQ(table.AwayForTest(), 0u);
  EXPECT_EQ(table.ProbesForTest(kHash), 1u);
}

TEST(FlowTable, EmptiesTheStashAsSoonAsABucketHasRoom) {
  FlowTable table(10'000, kSecret, Region::Pages::kPlain);
  constexpr uint64_t kHash = 0x1234'5678'0000'4321;
  constexpr uint32_t kInBuckets = 2 * FlowTable::kSlots;
  for (uint32_t i = 0; i < kInBuckets + 3; ++i) ASSERT_TRUE(table.Insert(kHash, Connection(i)));
  ASSERT_EQ(table.stash_size(), 3u);
  table.Erase(kHash, Connection(0));
  table.Erase(kHash, Connection(kInBuckets - 1));
  EXPECT_EQ(table.stash_size(), 1u);
  for (uint32_t i = 1; i < kInBuckets - 1; ++i) ASSERT_TRUE(table.Find(kHash, Is(Connection(i))));
}

TEST(FlowTable, ForgetsWhoseEntriesWereStashed) {
  FlowTable table(10'000, kSecret, Region::Pages::kPlain);
  constexpr uint64_t kGone = 0x1234'5678'0000'4321, kThere = 0x9234'5678'0000'1234;
  constexpr uint32_t kCount = 2 * FlowTable::kSlots + 5;
  for (uint32_t i = 0; i < kCount; ++i) ASSERT_TRUE(table.Insert(kGone, Connection(i)));
  for (uint32_t i = 0; i < kCount; ++i) table.Erase(kGone, Connection(i));
  for (uint32_t i = 0; i < kCount; ++i) ASSERT_TRUE(table.Insert(kThere, Connection(i)));
  EXPECT_EQ(table.stash_size(), 5u);
  EXPECT_EQ(table.ProbesForTest(kGone), 1u);  // does not look into the stash
}

// All call one bucket home and have tags of one group, so that its counter gets full.
TEST(FlowTable, KeepsCountWhenManyEntriesOfOneBucketLiveElsewhere) {
  FlowTable table(10'000, kSecret, Region::Pages::kPlain);
  const auto hash = [](uint32_t i) { return 0x1234'5678'0000'2000 + uint64_t{i}; };
  uint32_t taken = 0;
  while (taken < 2000 && table.Insert(hash(taken), Connection(taken))) ++taken;
  EXPECT_GT(taken, 255u);
  EXPECT_LT(taken, 2000u);
  for (uint32_t i = 0; i < taken; ++i) ASSERT_TRUE(table.Find(hash(i), Is(Connection(i)))) << i;
  for (uint32_t i = 0; i < taken; ++i) table.Erase(hash(i), Connection(i));
  EXPECT_EQ(table.AwayForTest(), 0u);
}

TEST(FlowTable, WorksWithASingleBucket) {
  FlowTable table(3, kSecret, Region::Pages::kPlain);
  for (uint32_t i = 0; i < 3; ++i)
    ASSERT_TRUE(table.Insert(i * 0x9E37'79B9'7F4A'7C15, Connection(i)));
  EXPECT_FALSE(table.Insert(77, Connection(77)));
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(table.Find(i * 0x9E37'79B9'7F4A'7C15, Is(Connection(i))));
  }
}

// Insertions and removals for a long time leave the table as a fresh one of the same load.
TEST(FlowTable, KeepsItsProbeLengthsUnderChurn) {
  constexpr uint32_t kCapacity = 30'000, kFlows = kCapacity;
  FlowTable table(kCapacity, kSecret, Region::Pages::kPlain);
  std::mt19937_64 random(1);
  std::vector<uint64_t> hashes(kFlows);
  const auto mean_probes = [&] {
    uint64_t sum = 0;
    for (int i = 0; i < 100'000; ++i) sum += table.ProbesForTest(random());
    return static_cast<double>(sum) / 100'000;
  };
  for (uint32_t i = 0; i < kFlows; ++i) {
    hashes[i] = random();
    ASSERT_TRUE(table.Insert(hashes[i], Connection(i)));
  }
  double early = 0, late = 0;
  constexpr uint32_t kRounds = 200;
  for (uint32_t round = 0; round < kRounds; ++round) {
    for (uint32_t i = 0; i < kFlows; ++i) {
      const uint32_t victim = static_cast<uint32_t>(random() % kFlows);
      table.Erase(hashes[victim], Connection(victim));
      hashes[victim] = random();
      ASSERT_TRUE(table.Insert(hashes[victim], Connection(victim)));
    }
    if (round == 10) early = mean_probes();
    if (round == kRounds - 1) late = mean_probes();
  }
  RecordProperty("mean_probes", std::to_string(late));
  RecordProperty("away", std::to_string(table.AwayForTest()));
  EXPECT_LT(late, early * 1.03);
  EXPECT_LT(late, 1.1);
  EXPECT_LT(table.AwayForTest(), kFlows / 8);
  EXPECT_EQ(table.stash_size(), 0u);
  for (uint32_t i = 0; i < kFlows; ++i) table.Erase(hashes[i], Connection(i));
  EXPECT_EQ(table.AwayForTest(), 0u);
}

// What is linear over GF(2), CRC32 and Toeplitz alike, maps all sums of such differences to one
// value; here to the least likely: all differences between the tuples lie in a subspace.
std::vector<FlowKey> LinearlyRelatedKeys(uint32_t count) {
  std::mt19937_64 random(7);
  std::vector<FlowKey> basis;
  for (int i = 0; i < 17; ++i) {
    basis.push_back(
        FlowKey::V4(0, 0, static_cast<uint32_t>(random()), static_cast<uint16_t>(random())));
  }
  std::vector<FlowKey> keys;
  for (uint32_t n = 0; n < count; ++n) {
    FlowKey key = FlowKey::V4(0x0A00'0001, 80, 0x0A01'0001, 1024);
    for (uint32_t bit = 0; bit < 17; ++bit) {
      if ((n >> bit & 1) == 0) continue;
      key.address_words[0] ^= basis[bit].address_words[0];
      key.remote_port = static_cast<uint16_t>(key.remote_port ^ basis[bit].remote_port);
    }
    keys.push_back(key);
  }
  return keys;
}

void ExpectShortProbes(const std::vector<FlowKey>& keys) {
  FlowTable table(static_cast<uint32_t>(keys.size()), kSecret, Region::Pages::kPlain);
  for (uint32_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(table.Insert(table.Hash(keys[i]), Connection(i)));
  }
  EXPECT_EQ(table.stash_size(), 0u);
  std::vector<uint32_t> probes;
  for (const FlowKey& key : keys) probes.push_back(table.ProbesForTest(table.Hash(key)));
  std::sort(probes.begin(), probes.end());
  EXPECT_LE(probes[probes.size() * 999 / 1000], 8u);  // R20
}

TEST(FlowTable, KeepsProbesShortForLinearlyRelatedTuples) {
  ExpectShortProbes(LinearlyRelatedKeys(100'000));
}

TEST(FlowTable, KeepsProbesShortForTuplesInSequence) {
  std::vector<FlowKey> keys;
  for (uint32_t i = 0; i < 100'000; ++i) keys.push_back(KeyNumber(i));
  ExpectShortProbes(keys);
  for (uint32_t i = 0; i < 100'000; ++i) {
    keys[i] = FlowKey::V4(0x0A00'0001 + (i << 8), 80, 0x0A01'0000, 1024);
  }
  ExpectShortProbes(keys);
}

// Another secret gives another hash; one bit of the key changes half of the hash.
TEST(FlowTable, HashDependsOnEveryBitOfKeyAndSecret) {
  const FlowTable table(1, kSecret, Region::Pages::kPlain);
  const FlowKey key = FlowKey::V4(0x0A00'0001, 80, 0x0A01'0001, 1024);
  const uint64_t hash = table.Hash(key);
  double flipped = 0;
  for (uint32_t bit = 0; bit < 128; ++bit) {
    FlowKey other = key;
    if (bit < 64) {
      other.address_words[bit / 32] ^= 1u << (bit % 32);
    } else if (bit < 96) {
      other.address_pair ^= 1u << (bit - 64);
    } else if (bit < 112) {
      other.local_port = static_cast<uint16_t>(other.local_port ^ (1u << (bit - 96)));
    } else {
      other.remote_port = static_cast<uint16_t>(other.remote_port ^ (1u << (bit - 112)));
    }
    const int bits = __builtin_popcountll(hash ^ table.Hash(other));
    EXPECT_GE(bits, 12) << bit;
    flipped += bits;
  }
  EXPECT_NEAR(flipped / 128, 32, 2);
  for (size_t word = 0; word < 4; ++word) {
    FlowTable::Key other = kSecret;
    other.words[word] ^= 1;
    EXPECT_NE(FlowTable(1, other, Region::Pages::kPlain).Hash(key), hash);
  }
}

}  // namespace
}  // namespace millrace::stack
