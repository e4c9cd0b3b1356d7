#include "millrace/stack/flow_table.h"

#include <algorithm>

#include "millrace/base/check.h"

namespace millrace::stack {

namespace {
// A table is two thirds full at most: then 9 % of the buckets are home to more entries than they
// hold (Poisson), and 15 % would be at three quarters, for 1.3 octets less per entry. Each of them
// costs somebody a miss or two.
constexpr uint32_t kBucketsPer16Entries = 3;
}  // namespace

FlowTable::FlowTable(uint32_t capacity_entries, const Key& secret, Region::Pages pages)
    : secret_(secret) {
  bucket_count_ =
      std::max<uint64_t>(1, (uint64_t{capacity_entries} * kBucketsPer16Entries + 15) / 16);
  region_ = Region(bucket_count_ * sizeof(Bucket), pages);
  buckets_ = reinterpret_cast<Bucket*>(region_.data());
  capacity_ = buckets_ == nullptr ? 0 : capacity_entries;
}

bool FlowTable::InsertElsewhere(uint64_t hash, FlowRef ref) {
  if (!Place(hash, ref)) {
    if (stash_size_ == kStashMax) return false;
    stash_[stash_size_++] = {hash, ref};
    ++buckets_[Home(hash)].stashed;
  }
  ++size_;
  return true;
}

// Puts the entry into one of its two buckets, of which the first is full; false when neither has
// nor can be given room.
bool FlowTable::Place(uint64_t hash, FlowRef ref) {
  const uint16_t tag = Tag(hash);
  const uint32_t home = Home(hash);
  // Before anybody leaves, a visitor goes home, if there is room by now: so fewer live away.
  if (SendVisitorHome(home)) return PlaceHome(home, tag, ref);
  if (PlaceAway(home, tag, ref)) return true;
  if (SendResidentAway(home)) return PlaceHome(home, tag, ref);
  if (buckets_[home].away[Group(tag)] == kAwayMax) return false;
  const uint32_t second = Other(home, tag);
  if (!SendVisitorHome(second) && !SendResidentAway(second)) return false;
  return PlaceAway(home, tag, ref);
}

bool FlowTable::PlaceHome(uint32_t home, uint16_t tag, FlowRef ref) {
  return PutIn(buckets_[home], tag, ref, /*visitor=*/false);
}

// Into the second bucket of the entry, when there is one.
bool FlowTable::PlaceAway(uint32_t home, uint16_t tag, FlowRef ref) {
  const uint32_t second = Other(home, tag);
  uint8_t& away = buckets_[home].away[Group(tag)];
  if (second == home || away == kAwayMax) return false;
  if (!PutIn(buckets_[second], tag, ref, /*visitor=*/true)) return false;
  ++away;
  return true;
}

bool FlowTable::PutIn(Bucket& bucket, uint16_t tag, FlowRef ref, bool visitor) {
  const Slots empty = MatchTags(bucket, 0);
  if (!empty) return false;
  const uint32_t slot = empty.First();
  bucket.tags[slot] = tag;
  bucket.refs[slot] = ref;
  if (visitor) bucket.visitors = static_cast<uint8_t>(bucket.visitors | 1u << slot);
  return true;
}

void FlowTable::Clear(Bucket& bucket, uint32_t slot) {
  bucket.tags[slot] = 0;
  bucket.refs[slot] = FlowRef();
  bucket.visitors = static_cast<uint8_t>(bucket.visitors & ~(1u << slot));
}

// Makes room in a full bucket: an entry that has its home elsewhere moves there.
bool FlowTable::SendVisitorHome(uint32_t bucket) {
  Bucket& b = buckets_[bucket];
  for (uint32_t mask = b.visitors; mask != 0; mask &= mask - 1) {
    const uint32_t slot = static_cast<uint32_t>(__builtin_ctz(mask));
    const uint16_t tag = b.tags[slot];
    const uint32_t home = Other(bucket, tag);
    if (!PlaceHome(home, tag, b.refs[slot])) continue;
    --buckets_[home].away[Group(tag)];
    Clear(b, slot);
    return true;
  }
  return false;
}

// Makes room in a full bucket: an entry that has its home here moves to its second bucket. One
// step is enough: at a load of 0.67 less than a fifth of the buckets are full, and all entries of
// two buckets would have to point to such.
bool FlowTable::SendResidentAway(uint32_t bucket) {
  Bucket& b = buckets_[bucket];
  MR_DCHECK(!MatchTags(b, 0));
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if ((b.visitors >> slot & 1) != 0 || !PlaceAway(bucket, b.tags[slot], b.refs[slot])) continue;
    Clear(b, slot);
    return true;
  }
  return false;
}

FlowRef* FlowTable::LocateIn(Bucket& bucket, uint16_t tag, FlowRef ref) {
  for (Slots slots = MatchTags(bucket, tag); slots; slots.RemoveFirst()) {
    FlowRef& found = bucket.refs[slots.First()];
    if (found == ref) return &found;
  }
  return nullptr;
}

// Where the entry's reference is stored, or null; `bucket` is set to its bucket, or to
// bucket_count_ when it is in the stash.
FlowRef* FlowTable::Locate(uint64_t hash, FlowRef ref, uint32_t* bucket) {
  const uint16_t tag = Tag(hash);
  *bucket = Home(hash);
  if (FlowRef* found = LocateIn(buckets_[*bucket], tag, ref)) return found;
  *bucket = Other(*bucket, tag);
  if (FlowRef* found = LocateIn(buckets_[*bucket], tag, ref)) return found;
  *bucket = static_cast<uint32_t>(bucket_count_);
  for (uint32_t i = 0; i < stash_size_; ++i) {
    if (stash_[i].hash == hash && stash_[i].ref == ref) return &stash_[i].ref;
  }
  return nullptr;
}

void FlowTable::ReplaceElsewhere(uint64_t hash, FlowRef from, FlowRef to) {
  uint32_t bucket;
  FlowRef* found = Locate(hash, from, &bucket);
  MR_CHECK(found != nullptr);
  *found = to;
}

void FlowTable::EraseElsewhere(uint64_t hash, FlowRef ref) {
  uint32_t bucket;
  const FlowRef* found = Locate(hash, ref, &bucket);
  MR_CHECK(found != nullptr);
  --size_;
  Bucket& home = buckets_[Home(hash)];
  if (bucket == bucket_count_) [[unlikely]] {
    --home.stashed;
    const auto at = std::find_if(stash_.begin(), stash_.begin() + stash_size_,
                                 [&](const Stashed& s) { return &s.ref == found; });
    *at = stash_[--stash_size_];
    return;
  }
  Bucket& b = buckets_[bucket];
  const uint32_t slot = static_cast<uint32_t>(found - b.refs.data());
  if ((b.visitors >> slot & 1) != 0) --home.away[Group(Tag(hash))];
  Clear(b, slot);
  if (stash_size_ != 0) [[unlikely]]
    Unstash(bucket);
}

// A slot of `freed_bucket` became empty: an entry of the stash that belongs there moves in.
void FlowTable::Unstash(uint32_t freed_bucket) {
  for (uint32_t i = 0; i < stash_size_; ++i) {
    const uint16_t tag = Tag(stash_[i].hash);
    const uint32_t home = Home(stash_[i].hash);
    if (freed_bucket != home && freed_bucket != Other(home, tag)) continue;
    const bool placed = freed_bucket == home ? PlaceHome(home, tag, stash_[i].ref)
                                             : PlaceAway(home, tag, stash_[i].ref);
    if (!placed) continue;
    --buckets_[home].stashed;
    stash_[i] = stash_[--stash_size_];
    return;
  }
}

uint32_t FlowTable::ProbesForTest(uint64_t hash) const {
  const Bucket& home = buckets_[Home(hash)];
  uint32_t probes = 1 + MatchTags(home, Tag(hash)).count();
  if (home.away[Group(Tag(hash))] != 0) {
    const Bucket& second = buckets_[Other(Home(hash), Tag(hash))];
    probes += 1 + MatchTags(second, Tag(hash)).count();
  }
  return probes + (home.stashed == 0 ? 0 : stash_size_);
}

uint32_t FlowTable::AwayForTest() const {
  uint32_t away = stash_size_;
  for (uint64_t i = 0; i < bucket_count_; ++i) {
    for (const uint8_t in_group : buckets_[i].away) away += in_group;
  }
  return away;
}

}  // namespace millrace::stack
