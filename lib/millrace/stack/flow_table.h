// stack/flow_table.h - one worker's connection table: keyed hash of the 4-tuple to FlowRef.
//
// A bucket is one cache line: eight 16-bit tags, eight FlowRefs and the bookkeeping of what could
// not stay in it. The key itself is in the record, so a lookup costs one line here and one there.
// An entry lives in its home bucket; when that is full, in its second bucket; when that is full
// too, somebody in either of the two moves to his other bucket; and when nobody can, the entry
// goes to a stash of kStashMax entries.
//
// The second bucket follows from the first and the tag (home + second == Sum(tag) modulo the
// number of buckets), so entries move without their hash. Each bucket counts, in eight groups of
// tags, the entries that call it home and live elsewhere: a lookup goes on to the second bucket
// only when one of its own group does, and to the stash only when an entry of this bucket is
// there. All of it is undone when entries leave, so nothing degrades with age and there are no
// tombstones.
//
// Invariants: an empty slot has tag 0 and no entry has; size() <= capacity(); at most two thirds of
// the slots are in use, so the stash is empty unless hashes were made to collide, which needs the
// secret. Lookups see at most 16 slots and kStashMax entries whatever a peer sends (R20).
// Threading: one owner. Memory: 12 bytes per entry.
// Cost at a million flows, all caches missed: 105 ns one by one, 38 ns in bursts with prefetching,
// for one that is there; 47 and 19 ns for one that is not; bench/micro/flow_table_bench.cc.
#ifndef MILLRACE_STACK_FLOW_TABLE_H_
#define MILLRACE_STACK_FLOW_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "millrace/base/check.h"
#include "millrace/base/memory.h"
#include "millrace/stack/flow_key.h"

namespace millrace::stack {

class FlowTable {
  struct Bucket;

 public:
  static constexpr uint32_t kSlots = 8;  // per bucket
  static constexpr uint32_t kStashMax = 64;
  static constexpr uint32_t kBucketBytes = 64;  // one cache line

  // 256 secret random bits, drawn once per process from the operating system.
  struct Key {
    std::array<uint64_t, 4> words;
  };

  // Room for `capacity_entries`. When the memory cannot be had capacity() is 0 and only Insert
  // (which refuses) may be called; the caller reports it.
  FlowTable(uint32_t capacity_entries, const Key& secret,
            Region::Pages pages = Region::Pages::kPreferHuge);
  FlowTable(FlowTable&&) noexcept = default;
  FlowTable& operator=(FlowTable&&) noexcept = default;

  uint64_t Hash(const FlowKey& key) const { return Hash(key.addresses(), key.ports_and_pair()); }
  uint64_t Hash(uint64_t addresses, uint64_t ports_and_pair) const;

  // The home bucket of a hash, for who looks at it more than once.
  using HomePlace = const Bucket*;
  HomePlace HomePlaceOf(uint64_t hash) const { return &buckets_[ScaledTo(bucket_count_, hash)]; }
  static HomePlace EmptyPlace();  // that of nothing
  static void Prefetch(HomePlace place) { __builtin_prefetch(place); }
  void PrefetchBucket(uint64_t hash) const { Prefetch(HomePlaceOf(hash)); }

  // The place of the first entry in the home bucket whose tag fits, not verified, or null: for
  // prefetching its record. A flow that lives elsewhere is not found by it. As long as the place
  // holds the same reference, it is that flow's (the table is cleared where it is left).
  // REQUIRES for both: the hash is one of Hash's.
  const FlowRef* FindCandidate(uint64_t hash) const {
    return FindCandidate(HomePlaceOf(hash), hash);
  }
  static const FlowRef* FindCandidate(HomePlace place, uint64_t hash);

  // The entry for which match(FlowRef) -> bool says that its record has the full key, or none.
  template <class Match>
  FlowRef Find(uint64_t hash, Match&& match) const;

  // False when there is no room. REQUIRES: the flow is not in the table; `ref` is not none.
  [[nodiscard]] bool Insert(uint64_t hash, FlowRef ref);

  // The flow's record moved: half-open to connection to TIME-WAIT. REQUIRES: (hash, from) is in.
  void Replace(uint64_t hash, FlowRef from, FlowRef to);

  // The same where FindCandidate has found it. REQUIRES: it is still there.
  static void ReplaceAt(const FlowRef* place, FlowRef to) { *const_cast<FlowRef*>(place) = to; }

  // A place that FindCandidate has found as a number, above 1, for who comes back to it: it may be
  // another's by then. The place of a number, when it holds `ref` (still or again), or null.
  uint32_t NumberOf(const FlowRef* place) const {
    return static_cast<uint32_t>(
        static_cast<size_t>(reinterpret_cast<const std::byte*>(place) - region_.data()) /
        sizeof(FlowRef));
  }
  const FlowRef* StillAt(uint32_t number, FlowRef ref) const {
    const FlowRef* const place = PlaceOf(number);
    return number > 1 && *place == ref ? place : nullptr;
  }
  void PrefetchPlace(uint32_t number) const { __builtin_prefetch(PlaceOf(number)); }

  // REQUIRES: (hash, ref) is in.
  void Erase(uint64_t hash, FlowRef ref);

  // The same where FindCandidate has found it, so that nothing is looked up again. REQUIRES: it is
  // still there.
  void EraseAt(const FlowRef* place) {
    const auto offset =
        static_cast<size_t>(reinterpret_cast<const std::byte*>(place) - region_.data());
    Bucket& bucket = buckets_[offset / kBucketBytes];
    ClearResident(bucket, static_cast<uint32_t>(place - bucket.refs.data()));
    --size_;
    if (stash_size_ != 0) [[unlikely]]
      Unstash(static_cast<uint32_t>(&bucket - buckets_));
  }

  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  uint32_t stash_size() const { return stash_size_; }
  uint64_t bytes() const { return region_.size(); }
  bool huge() const { return region_.huge(); }

  // Slots and stash entries whose tag a lookup of `hash` compares successfully, plus the buckets
  // it reads: what a lookup that finds nothing costs.
  uint32_t ProbesForTest(uint64_t hash) const;
  uint32_t AwayForTest() const;  // entries outside of their home bucket

 private:
  static constexpr uint32_t kGroups = 8;
  static constexpr uint8_t kAwayMax = 255;

  struct alignas(64) Bucket {
    std::array<uint16_t, kSlots> tags;  // 0: slot is empty
    std::array<FlowRef, kSlots> refs;
    // Entries whose home this is and that live in their second bucket, by Group(tag). A full
    // counter keeps further ones from leaving.
    std::array<uint8_t, kGroups> away;
    uint16_t stashed;  // entries whose home this is and that live in the stash
    uint8_t visitors;  // bit per slot: the entry's home is its other bucket
  };
  static_assert(sizeof(Bucket) == kBucketBytes);

  struct Stashed {
    uint64_t hash;
    FlowRef ref;
  };

  // Never 0: the last bit says that there is an entry. Hash sets it already.
  static constexpr uint16_t Tag(uint64_t hash) { return static_cast<uint16_t>(hash | 1); }
  static constexpr uint32_t Group(uint16_t tag) { return tag >> 13; }
  // To the number of buckets, which so need not be a power of two.
  static uint64_t ScaledTo(uint64_t count, uint64_t hash) {
    using Product = unsigned __int128;
    return static_cast<uint64_t>((Product{hash} * count) >> 64);
  }
  uint32_t Home(uint64_t hash) const {
    return static_cast<uint32_t>(ScaledTo(bucket_count_, hash));
  }
  // The other bucket of an entry with this tag that is in, or calls home, `bucket`.
  uint32_t Other(uint32_t bucket, uint16_t tag) const {
    const uint64_t sum = (uint64_t{tag * 0x9E37'79B1u} * bucket_count_) >> 32;
    return static_cast<uint32_t>(sum >= bucket ? sum - bucket : sum + bucket_count_ - bucket);
  }
  // Slots whose tag is `tag`; empty ones for tag 0. Two bits each, which is how a comparison of
  // vectors tells.
  class Slots {
   public:
    explicit Slots(uint32_t bits) : bits_(bits) {}
    explicit operator bool() const { return bits_ != 0; }
    // REQUIRES for both: there is one.
    uint32_t First() const { return static_cast<uint32_t>(__builtin_ctz(bits_)) / 2; }
    void RemoveFirst() {
      bits_ &= bits_ - 1;
      bits_ &= bits_ - 1;
    }
    uint32_t count() const { return static_cast<uint32_t>(__builtin_popcount(bits_)) / 2; }

   private:
    uint32_t bits_;
  };
  static Slots MatchTags(const Bucket& bucket, uint16_t tag);

  template <class Match>
  FlowRef FindAway(uint64_t hash, const Bucket& home, Match& match) const;

  bool PlaceHome(uint32_t home, uint16_t tag, FlowRef ref);
  bool PlaceAway(uint32_t home, uint16_t tag, FlowRef ref);
  static bool PutIn(Bucket& bucket, uint16_t tag, FlowRef ref, bool visitor);
  static void Clear(Bucket& bucket, uint32_t slot);
  // The same for an entry in its home bucket: it is no visitor, so nobody counts it.
  static void ClearResident(Bucket& bucket, uint32_t slot) {
    bucket.tags[slot] = 0;
    bucket.refs[slot] = FlowRef();
  }
  bool SendVisitorHome(uint32_t bucket);
  bool SendResidentAway(uint32_t bucket);
  bool Place(uint64_t hash, FlowRef ref);
  const FlowRef* PlaceOf(uint32_t number) const {
    return reinterpret_cast<const FlowRef*>(region_.data()) + number;
  }
  FlowRef* LocateFirst(uint64_t hash, FlowRef ref);
  static FlowRef* LocateIn(Bucket& bucket, uint16_t tag, FlowRef ref);
  FlowRef* Locate(uint64_t hash, FlowRef ref, uint32_t* bucket);
  void Unstash(uint32_t freed_bucket);
  // What Insert, Replace and Erase do where the home bucket does not settle it.
  [[gnu::noinline]] bool InsertElsewhere(uint64_t hash, FlowRef ref);
  [[gnu::noinline]] void ReplaceElsewhere(uint64_t hash, FlowRef from, FlowRef to);
  [[gnu::noinline]] void EraseElsewhere(uint64_t hash, FlowRef ref);

  Region region_;
  Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t stash_size_ = 0;
  Key secret_{};
  std::array<Stashed, kStashMax> stash_{};
};

// Inline definitions

inline FlowTable::HomePlace FlowTable::EmptyPlace() {
  static constexpr Bucket kEmpty{};
  return &kEmpty;
}

// Two folded multiplications with four secret words.
//
// The first is NH (Black et al., UMAC, CRYPTO '99): for any two different keys that were chosen
// without knowing the secret, the 128-bit products are equal with a probability of at most 2^-64.
// The second mixes the halves, so that home bucket and tag each depend on every bit. There is no
// linear structure to aim at, unlike with CRC32 or Toeplitz. It is no pseudorandom function:
// somebody who sees hash values could solve for the secret. But none ever leaves the process, and
// all that a timing could show is whether two flows share a bucket, through a network, among
// thousands of others, and what is gained with it is bounded by the 16 slots and the stash.
// SipHash would take that argument away for 13 ns a packet instead of 1.1, or, when somebody waits
// for the result, for 15 ns instead of 3.8 (bench/micro/hash_bench.cc).
inline uint64_t FlowTable::Hash(uint64_t addresses, uint64_t ports_and_pair) const {
  using Product = unsigned __int128;
  const auto& k = secret_.words;
  const Product nh = Product{addresses + k[0]} * (ports_and_pair + k[1]);
  const Product mixed =
      Product{static_cast<uint64_t>(nh) ^ k[2]} * (static_cast<uint64_t>(nh >> 64) ^ k[3]);
  return (static_cast<uint64_t>(mixed) ^ static_cast<uint64_t>(mixed >> 64)) | 1;
}

inline FlowTable::Slots FlowTable::MatchTags(const Bucket& bucket, uint16_t tag) {
#if defined(__SSE2__)
  const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags.data()));
  const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<int16_t>(tag)));
  return Slots(static_cast<uint32_t>(_mm_movemask_epi8(equal)));
#else
  uint32_t bits = 0;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    bits |= (bucket.tags[slot] == tag ? 3u : 0u) << 2 * slot;
  }
  return Slots(bits);
#endif
}

inline const FlowRef* FlowTable::FindCandidate(HomePlace place, uint64_t hash) {
  const Slots slots = MatchTags(*place, static_cast<uint16_t>(hash));
  return slots ? &place->refs[slots.First()] : nullptr;
}

// Inserted, replaced and erased in the home bucket, where nine entries of ten live, without calls:
// 116 instructions a connection less, because the rest needs many registers.
inline bool FlowTable::Insert(uint64_t hash, FlowRef ref) {
  MR_DCHECK(static_cast<bool>(ref));
  if (size_ >= capacity_) [[unlikely]]
    return false;
  Bucket& home = buckets_[ScaledTo(bucket_count_, hash)];
  const Slots empty = MatchTags(home, 0);
  if (!empty) [[unlikely]]
    return InsertElsewhere(hash, ref);
  const uint32_t slot = empty.First();
  home.tags[slot] = Tag(hash);
  home.refs[slot] = ref;
  ++size_;
  return true;
}

// The entry's place when it is the first of its tag in its home bucket, or null.
inline FlowRef* FlowTable::LocateFirst(uint64_t hash, FlowRef ref) {
  Bucket& home = buckets_[ScaledTo(bucket_count_, hash)];
  const Slots slots = MatchTags(home, Tag(hash));
  if (!slots) [[unlikely]]
    return nullptr;
  FlowRef& found = home.refs[slots.First()];
  return found == ref ? &found : nullptr;
}

inline void FlowTable::Replace(uint64_t hash, FlowRef from, FlowRef to) {
  FlowRef* const found = LocateFirst(hash, from);
  if (found == nullptr) [[unlikely]]
    return ReplaceElsewhere(hash, from, to);
  *found = to;
}

inline void FlowTable::Erase(uint64_t hash, FlowRef ref) {
  FlowRef* const found = LocateFirst(hash, ref);
  if (found == nullptr || stash_size_ != 0) [[unlikely]]
    return EraseElsewhere(hash, ref);
  Bucket& home = buckets_[ScaledTo(bucket_count_, hash)];
  ClearResident(home, static_cast<uint32_t>(found - home.refs.data()));
  --size_;
}

template <class Match>
FlowRef FlowTable::Find(uint64_t hash, Match&& match) const {
  const Bucket& home = buckets_[Home(hash)];
  for (Slots slots = MatchTags(home, Tag(hash)); slots; slots.RemoveFirst()) {
    const FlowRef ref = home.refs[slots.First()];
    if (match(ref)) [[likely]]
      return ref;
  }
  if ((home.away[Group(Tag(hash))] | home.stashed) == 0) [[likely]]
    return FlowRef();
  return FindAway(hash, home, match);
}

template <class Match>
FlowRef FlowTable::FindAway(uint64_t hash, const Bucket& home, Match& match) const {
  if (home.away[Group(Tag(hash))] != 0) {
    const Bucket& second = buckets_[Other(Home(hash), Tag(hash))];
    for (Slots slots = MatchTags(second, Tag(hash)); slots; slots.RemoveFirst()) {
      const FlowRef ref = second.refs[slots.First()];
      if (match(ref)) return ref;
    }
  }
  if (home.stashed != 0) {
    for (uint32_t i = 0; i < stash_size_; ++i) {
      if (stash_[i].hash == hash && match(stash_[i].ref)) return stash_[i].ref;
    }
  }
  return FlowRef();
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_FLOW_TABLE_H_
