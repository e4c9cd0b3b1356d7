#include "millrace/stack/address_pairs.h"

#include <bit>

namespace millrace::stack {

AddressPairs::AddressPairs(uint32_t capacity, SipKey key, Region::Pages pages)
    : key_(key),
      pairs_(capacity, pages),
      index_(capacity == 0 ? Region() : Region(std::bit_ceil(capacity) * sizeof(uint32_t), pages)),
      bucket_mask_(capacity == 0 ? 0 : std::bit_ceil(capacity) - 1),
      ok_(pairs_.capacity() == capacity && (capacity == 0 || index_.data() != nullptr)) {
  idle_.reserve(capacity);
}

uint64_t AddressPairs::DigestOf(const IpAddress& local, const IpAddress& remote) const {
  SipState state(key_);
  for (const uint64_t word : {local.high(), local.low(), remote.high(), remote.low()}) {
    state.Compress(word);
  }
  state.Compress(SipLengthWord(32));
  return state.Finish();
}

uint32_t* AddressPairs::BucketOf(uint64_t digest) const {
  return reinterpret_cast<uint32_t*>(index_.data()) + (digest & bucket_mask_);
}

uint32_t AddressPairs::FindPair(uint64_t digest, const IpAddress& local,
                                const IpAddress& remote) const {
  uint32_t number = *BucketOf(digest);
  while (number != kEnd) {
    const Pair& pair = pairs_[number - 1];
    if (pair.remote == remote && pair.local == local) return number;
    number = pair.next;
  }
  return kEnd;
}

bool AddressPairs::FindKey(const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                           uint16_t remote_port, FlowKey* key) const {
  if (capacity() == 0) return false;
  const uint64_t digest = DigestOf(local, remote);
  const uint32_t number = FindPair(digest, local, remote);
  *key = FlowKey::V6(digest, local_port, remote_port, number);
  return number != kEnd;
}

bool AddressPairs::MakeKey(const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                           uint16_t remote_port, FlowKey* key) {
  if (FindKey(local, local_port, remote, remote_port, key)) return true;
  const uint32_t index = pairs_.Take();
  if (index == kNoIndex) return false;
  uint32_t* const bucket = BucketOf(key->addresses());
  Pair& pair = pairs_[index];
  pair.next = *bucket;
  pair.users = 0;
  pair.idle_listed = false;
  pair.local = local;
  pair.remote = remote;
  *bucket = key->address_pair = index + 1;
  ListIdle(pair);
  return true;
}

void AddressPairs::ListIdle(Pair& pair) {
  if (pair.idle_listed) return;
  pair.idle_listed = true;
  idle_.push_back(pairs_.IndexOf(pair) + 1);
}

void AddressPairs::SweepIdle() {
  for (const uint32_t number : idle_) {
    Pair& pair = pairs_[number - 1];
    pair.idle_listed = false;
    if (pair.users == 0) Remove(number);
  }
  idle_.clear();
}

void AddressPairs::Remove(uint32_t number) {
  const Pair& pair = pairs_[number - 1];
  uint32_t* link = BucketOf(DigestOf(pair.local, pair.remote));
  while (*link != number) link = &pairs_[*link - 1].next;
  *link = pair.next;
  pairs_.Give(number - 1);
}

}  // namespace millrace::stack
