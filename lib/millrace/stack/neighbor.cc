#include "millrace/stack/neighbor.h"

#include <algorithm>

#include "millrace/base/check.h"

namespace millrace::stack {

Neighbors::Neighbors(const wire::LocalNet& net, const NeighborConfig& config)
    : net_(net), config_(config) {
  MR_CHECK(config.capacity > 0 && config.capacity < kNone);
  entries_.resize(config.capacity);
  rests_.resize(config.capacity);
  size_t bucket_count = 1;
  while (bucket_count < config.capacity) bucket_count *= 2;
  buckets_.assign(bucket_count, kNone);
  free_.reserve(config.capacity);
  for (uint16_t i = config.capacity; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
  asking_.reserve(config.capacity);
}

uint16_t Neighbors::BucketOf(const IpAddress& address) const {
  // The upper half is 0 for IPv4; a link's IPv6 neighbours have few of them.
  const uint64_t words = address.low() ^ address.high() * 0xC2B2'AE3D'27D4'EB4F;
  const uint64_t secret = config_.hash_secret;
  const uint64_t mixed = (words ^ secret) * 0x9E37'79B9'7F4A'7C15 ^ secret;
  const uint64_t folded = (mixed ^ mixed >> 32) * 0xD6E8'FEB8'6659'FD93;
  return static_cast<uint16_t>((folded >> 40) & (buckets_.size() - 1));
}

uint16_t Neighbors::Find(const IpAddress& address) const {
  uint16_t index = buckets_[BucketOf(address)];
  while (index != kNone && rests_[index].address != address) index = rests_[index].hash_next;
  return index;
}

// A new entry without users. REQUIRES: a free one.
uint16_t Neighbors::Create(const IpAddress& address, NeighborState state) {
  const uint16_t index = free_.back();
  free_.pop_back();
  Neighbor& n = entries_[index];
  n = Neighbor();
  n.state = state;
  Rest& rest = rests_[index];
  rest = Rest();
  rest.address = address;
  rest.hash_bucket = BucketOf(address);
  rest.hash_next = buckets_[rest.hash_bucket];
  buckets_[rest.hash_bucket] = index;
  ++size_;
  if (InLru(n)) LruInsert(index);
  return index;
}

// REQUIRES: no users.
void Neighbors::Drop(uint16_t index) {
  Neighbor& n = entries_[index];
  MR_DCHECK(n.users == 0);
  StopAsking(index);
  ReleaseParked(index);
  LruRemove(index);
  Rest& rest = rests_[index];
  uint16_t* link = &buckets_[rest.hash_bucket];
  while (*link != index) link = &rests_[*link].hash_next;
  *link = rest.hash_next;
  n.state = NeighborState::kFree;
  rest.address = IpAddress();
  ++era_;
  free_.push_back(index);
  --size_;
}

void Neighbors::LruInsert(uint16_t index) {
  Rest& rest = rests_[index];
  rest.lru_prev = kNone;
  rest.lru_next = lru_first_;
  (lru_first_ == kNone ? lru_last_ : rests_[lru_first_].lru_prev) = index;
  lru_first_ = index;
}

void Neighbors::LruRemove(uint16_t index) {
  const Rest& rest = rests_[index];
  (rest.lru_prev == kNone ? lru_first_ : rests_[rest.lru_prev].lru_next) = rest.lru_next;
  (rest.lru_next == kNone ? lru_last_ : rests_[rest.lru_next].lru_prev) = rest.lru_prev;
}

bool Neighbors::AddStatic(const IpAddress& address, const MacAddress& mac) {
  uint16_t index = Find(address);
  if (index == kNone) {
    if (free_.empty()) return false;
    index = Create(address, NeighborState::kStatic);
  } else {
    StopAsking(index);
    ReleaseParked(index);
    if (InLru(entries_[index])) LruRemove(index);
    if (entries_[index].state == NeighborState::kStatic) --entries_[index].users;
    entries_[index].state = NeighborState::kStatic;
  }
  ++entries_[index].users;  // itself: it is not evicted, and that need not be asked of each flow
  entries_[index].mac = mac;
  entries_[index].confirmed_until = Instant::Never();
  return true;
}

uint16_t Neighbors::Lookup(const IpAddress& address, Instant now) {
  uint16_t index = Find(address);
  if (index != kNone) {
    if (InLru(entries_[index])) {
      LruRemove(index);
      LruInsert(index);
    }
    return index;
  }
  if (free_.empty()) {
    if (lru_last_ == kNone) {
      ++counters_.table_full;
      return kNone;
    }
    ++counters_.evicted;
    Drop(lru_last_);
  }
  index = Create(address, NeighborState::kIncomplete);
  Ask(index, NeighborState::kIncomplete, now);
  return index;
}

// It may not be evicted any more.
void Neighbors::OnFirstUser(uint16_t index) {
  if (MayBeEvicted(entries_[index].state)) LruRemove(index);
}

void Neighbors::OnNoUser(uint16_t index) {
  const NeighborState state = entries_[index].state;
  if (!MayBeEvicted(state)) return;
  LruInsert(index);
  if (state == NeighborState::kFailed) Drop(index);
}

// Starts a series of requests; the first is due at once.
void Neighbors::Ask(uint16_t index, NeighborState state, Instant now) {
  Neighbor& n = entries_[index];
  n.state = state;
  n.confirmed_until = Instant();
  n.probes = 0;
  n.next_probe = now;
  asking_.push_back(index);
  next_poll_ = std::min(next_poll_, now);
}

void Neighbors::StopAsking(uint16_t index) {
  const NeighborState state = entries_[index].state;
  if (state != NeighborState::kIncomplete && state != NeighborState::kProbing) return;
  const auto at = std::find(asking_.begin(), asking_.end(), index);
  MR_DCHECK(at != asking_.end());
  *at = asking_.back();
  asking_.pop_back();
}

// Use of one that was not confirmed lately.
bool Neighbors::UseUnconfirmed(uint16_t index, Instant now) {
  Neighbor& n = entries_[index];
  switch (n.state) {
    case NeighborState::kReachable:
    case NeighborState::kStale:
      Ask(index, NeighborState::kProbing, now);
      return true;
    case NeighborState::kProbing:
      return true;
    case NeighborState::kFailed:
      // RFC 1122 2.3.2.1: "prevent ARP flooding (repeatedly sending an ARP Request for the same
      // IP address, at a high rate)".
      if (now >= n.next_probe) Ask(index, NeighborState::kIncomplete, now);
      return false;
    default:  // kIncomplete: asked for already
      return false;
  }
}

bool Neighbors::Park(uint16_t index, wire::PacketHandle packet) {
  Neighbor& n = entries_[index];
  MR_DCHECK(!n.HasMac());
  MR_DCHECK(n.state != NeighborState::kFree);
  if (parked_ + released_count_ == kParkedMax) {
    ++counters_.park_refused;
    return false;
  }
  auto& parked = rests_[index].parked;
  if (n.parked_count == parked.size()) {
    // RFC 1122 2.3.2.2: "The link layer SHOULD save (rather than discard) at least one (the
    // latest) packet of each set of packets destined to the same unresolved IP address".
    ++counters_.park_displaced;
    released_[released_count_++] = parked[0];
    std::move(parked.begin() + 1, parked.end(), parked.begin());
    --n.parked_count;
    --parked_;
  }
  parked[n.parked_count++] = packet;
  ++parked_;
  return true;
}

void Neighbors::ReleaseParked(uint16_t index) {
  Neighbor& n = entries_[index];
  for (size_t i = 0; i < n.parked_count; ++i) {
    released_[released_count_++] = rests_[index].parked[i];
  }
  parked_ -= n.parked_count;
  n.parked_count = 0;
}

void Neighbors::ReleaseAll() {
  for (const Neighbor& n : entries_) ReleaseParked(IndexOf(n));
}

size_t Neighbors::TakeReleased(std::span<wire::PacketHandle> out) {
  const size_t count = std::min(out.size(), released_count_);
  released_count_ -= count;
  std::copy_n(released_.begin() + static_cast<std::ptrdiff_t>(released_count_), count, out.begin());
  return count;
}

void Neighbors::Fail(uint16_t index, Instant now) {
  Neighbor& n = entries_[index];
  ++counters_.failed;
  if (n.users == 0) {
    Drop(index);
    return;
  }
  StopAsking(index);
  ReleaseParked(index);
  n.state = NeighborState::kFailed;
  n.next_probe = now + config_.probe_interval;
}

size_t Neighbors::PollProbes(Instant now, std::span<NeighborProbe> out) {
  if (now < next_poll_) [[likely]]
    return 0;
  size_t count = 0;
  next_poll_ = Instant::Never();
  for (size_t i = 0; i < asking_.size();) {
    const uint16_t index = asking_[i];
    Neighbor& n = entries_[index];
    if (now >= n.next_probe && n.probes == config_.probes_max) {
      Fail(index, now);  // takes it out of asking_ and puts another one in its place
      continue;
    }
    if (now >= n.next_probe && count < out.size()) {
      const IpAddress& address = rests_[index].address;
      out[count++] = {.target = address,
                      .destination = n.state == NeighborState::kProbing ? n.mac
                                     : address.IsV4()
                                         ? MacAddress::Broadcast()
                                         : wire::GroupMacV6(wire::SolicitedNode(address))};
      ++n.probes;
      n.next_probe = now + config_.probe_interval;
    }
    next_poll_ = std::min(next_poll_, n.next_probe);
    ++i;
  }
  return count;
}

}  // namespace millrace::stack
