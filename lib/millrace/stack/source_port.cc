#include "millrace/stack/source_port.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "millrace/base/check.h"
#include "millrace/base/inline.h"

namespace millrace::stack {

namespace {

// Three in each direction. The key is good for one destination only, so that whoever could solve
// the network from the ports he sees would learn the order of his own ports.
constexpr uint32_t kRounds = 6;

#if defined(__AVX2__)
using Lanes [[gnu::vector_size(32)]] = uint64_t;
#endif

// Of the lower halves of two numbers, or of each pair of them.
template <class Word>
MR_ALWAYS_INLINE void Multiply(Word& a, const Word& b) {
#if defined(__AVX2__)
  if constexpr (std::is_same_v<Word, Lanes>) {
    a = reinterpret_cast<Word>(
        _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
    return;
  }
#endif
  a = (a & 0xFFFF'FFFF) * (b & 0xFFFF'FFFF);
}

// The round function: of 32 bits of the number and all of the key.
template <class Word>
MR_ALWAYS_INLINE void Mix(Word& n, const Word& key) {
  n ^= key;
  Multiply(n, key >> 32 | 1);
  n ^= n >> 32;
}

// The bits in which the addresses of a prefix differ, of the last 32.
int HostBits(const IpPrefix& prefix) {
  const int bits = (prefix.address.IsV4() ? 32 : 128) - prefix.length_bits;
  MR_CHECK(prefix.length_bits >= 0 && bits >= 0);
  return std::min(bits, 32);
}

// Whether the prefix has a network's own address in it, and with IPv4 its broadcast address.
bool LeavesOutEnds(const SourcePortConfig& config) {
  return HostBits(config.addresses) >= 2 && !config.all_addresses;
}

uint64_t AddressCount(const SourcePortConfig& config) {
  const uint64_t all = uint64_t{1} << HostBits(config.addresses);
  if (!LeavesOutEnds(config)) return all;
  return all - (config.addresses.address.IsV4() ? 2 : 1);
}

uint32_t FirstAddress(const SourcePortConfig& config) {
  const uint64_t host_mask = (uint64_t{1} << HostBits(config.addresses)) - 1;
  const uint64_t network = config.addresses.address.low() & ~host_mask;
  return static_cast<uint32_t>(LeavesOutEnds(config) ? network + 1 : network);
}

IpAddress NetworkV6(const IpAddress& address) {
  if (address.IsV4()) return {};
  return IpAddress::V6(address.high(), address.low() & ~uint64_t{0xFFFF'FFFF});
}

uint32_t FirstBlock(uint16_t first_port, uint32_t buckets) {
  return (first_port + buckets - 1) / buckets * buckets;
}

// Ports of one address that this worker opens from.
uint32_t PortCount(const SourcePortConfig& config) {
  MR_CHECK(config.first_port > 0 && config.first_port <= config.last_port);
  if (config.steering == nullptr) return uint32_t{config.last_port} - config.first_port + 1;
  const uint32_t buckets = config.steering->buckets();
  return SteerablePorts(config.first_port, config.last_port, buckets) / buckets *
         config.steering->BucketsOf(config.worker);
}

}  // namespace

uint32_t SteerablePorts(uint16_t first_port, uint16_t last_port, uint32_t buckets) {
  const uint32_t first = FirstBlock(first_port, buckets);
  const uint32_t end = (last_port + 1u) / buckets * buckets;
  return end > first ? end - first : 0;
}

KeyedPermutation::KeyedPermutation(uint64_t size) : size_(size) {
  MR_CHECK(size >= 1 && size <= uint64_t{1} << 48);
  const int bits = std::max(2, static_cast<int>(std::bit_width(size - 1)));
  low_bits_ = static_cast<uint32_t>(bits) / 2;
  low_mask_ = (uint64_t{1} << low_bits_) - 1;
  high_mask_ = (uint64_t{1} << (static_cast<uint32_t>(bits) - low_bits_)) - 1;
}

// Of a number, or of each of four.
template <class Word>
MR_ALWAYS_INLINE void KeyedPermutation::Once(uint64_t key, Word& n) const {
  Word low = n & low_mask_, high = n >> low_bits_, round_key = Word{} + key;
  for (uint32_t round = 0; round < kRounds; round += 2) {
    Word mixed = low;
    round_key += 0x9E37'79B9'7F4A'7C15;
    Mix(mixed, round_key);
    high ^= mixed & high_mask_;
    mixed = high;
    round_key += 0x9E37'79B9'7F4A'7C15;
    Mix(mixed, round_key);
    low ^= mixed & low_mask_;
  }
  n = high << low_bits_ | low;
}

uint64_t KeyedPermutation::operator()(uint64_t key, uint64_t n) const {
  // Ends: the cycle that n lies on leads back to n at the latest, which is inside.
  do {
    Once(key, n);
  } while (n >= size_);
  return n;
}

std::array<uint64_t, 4> KeyedPermutation::FourFrom(uint64_t key, uint64_t first) const {
  std::array<uint64_t, 4> images;
#if defined(__AVX2__)
  Lanes n = first + Lanes{0, 1, 2, 3};
  Once(key, n);
  std::memcpy(images.data(), &n, sizeof n);
  for (uint64_t& image : images) {
    while (image >= size_) [[unlikely]] Once(key, image);
  }
#else
  for (uint64_t& image : images) image = (*this)(key, first++);
#endif
  return images;
}

SourcePorts::SourcePorts(const SourcePortConfig& config)
    : network_v6_(NetworkV6(config.addresses.address)),
      first_address_low_(FirstAddress(config)),
      first_port_(config.first_port),
      port_count_(PortCount(config)),
      capacity_(AddressCount(config) * port_count_),
      tries_(static_cast<uint32_t>(std::min<uint64_t>(kTriesMax, capacity_))),
      permutation_(std::max<uint64_t>(capacity_, 1)),
      secret_(config.secret),
      counters_(kCounters) {
  if (port_count_ == 0) port_count_ = 1;  // a divisor; capacity_ says that there is none
  if (config.steering != nullptr && capacity_ > 0) {
    steered_ = true;
    steering_ = *config.steering;
    first_port_ = static_cast<uint16_t>(FirstBlock(config.first_port, steering_->buckets()));
    for (uint32_t i = 0; i < steering_->buckets(); ++i) {
      if (steering_->OwnerOfBucket(i) == config.worker) {
        buckets_.push_back(static_cast<uint16_t>(i));
      }
    }
  }
  if (config.sequential) {
    permutation_.MakeIdentity();
    return;
  }
  // RFC 6056 3.3.4: the counters start at random values.
  for (uint64_t i = 0; i < kCounters; ++i) {
    counters_[i] = SipHash24(secret_, i, kCounters) % permutation_.size();
  }
}

// The permutation's key and the counter take separate bits of one hash: RFC 6056's F and G.
SourcePorts::Walk SourcePorts::WalkTo(const Endpoint& destination) {
  using Product = unsigned __int128;
  const uint64_t hash =
      SipHash24(secret_, destination.address.high(), destination.address.low(), destination.port);
  const Product product = Product{hash} * (secret_.k1 | 1);
  return {.key = hash,
          .counter = &counters_[static_cast<uint64_t>(product ^ product >> 64) % kCounters],
          .fold = static_cast<Fold>(FoldOf(destination.address) ^ destination.port ^
                                    FoldOf(network_v6_))};
}

SourcePorts::Candidate SourcePorts::Step(const Walk& walk) {
  const uint64_t number = permutation_(walk.key, *walk.counter);
  if (++*walk.counter == permutation_.size()) *walk.counter = 0;
  return CandidateOf(walk, number);
}

// By fours, in vectors: 45 instructions less for each.
void SourcePorts::Draw(const Walk& walk, std::span<Choice> drawn) {
  uint64_t counter = *walk.counter;
  while (!drawn.empty()) {
    size_t count = 1;
    if (drawn.size() >= 4 && permutation_.size() - counter >= 4) [[likely]] {
      count = 4;
      const auto numbers = permutation_.FourFrom(walk.key, counter);
      for (size_t i = 0; i < 4; ++i) drawn[i].candidate = CandidateOf(walk, numbers[i]);
    } else {
      drawn[0].candidate = CandidateOf(walk, permutation_(walk.key, counter));
    }
    counter += count;
    if (counter == permutation_.size()) counter = 0;
    drawn = drawn.subspan(count);
  }
  *walk.counter = counter;
}

SourcePorts::Candidate SourcePorts::SteeredCandidateOf(const Walk& walk, uint64_t number) const {
  const uint32_t address = first_address_low_ + static_cast<uint32_t>(number / port_count_);
  const auto of_address = static_cast<uint32_t>(number % port_count_);
  const auto owned = static_cast<uint32_t>(buckets_.size());
  const uint32_t block = first_port_ + of_address / owned * steering_->buckets();
  const auto rest = static_cast<Fold>(walk.fold ^ FoldOf(address));
  const uint32_t port = steering_->LowPort(buckets_[of_address % owned], rest, block);
  return {.address_low = address, .port = static_cast<uint16_t>(port)};
}

void SourcePorts::LeaveLast() {
  if (drawn_ahead_) {
    uint64_t& counter = *last_walk_.counter;
    const uint64_t used = ahead_at_ % kBatch;
    const uint64_t left = used == 0 ? kBatch : kAhead - used;
    counter = (counter + left * permutation_.size() - left) % permutation_.size();
  }
  drawn_ahead_ = false;
  ahead_at_ = 0;
  last_walk_.counter = nullptr;
}

SourcePorts::Candidate SourcePorts::Next(const Endpoint& destination) {
  LeaveLast();
  return Step(WalkTo(destination));
}

}  // namespace millrace::stack
