#include "millrace/stack/source_port.h"

#include <bit>

#include "millrace/base/check.h"

namespace millrace::stack {

namespace {

// Three in each direction. The key is good for one destination only, so that whoever could solve
// the network from the ports he sees would learn the order of his own ports.
constexpr uint32_t kRounds = 6;

uint64_t Fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t AddressCount(const IpPrefix& prefix) {
  if (!prefix.address.IsV4()) return 1;
  MR_CHECK(prefix.length_bits >= 0 && prefix.length_bits <= 32);
  const uint64_t all = uint64_t{1} << (32 - prefix.length_bits);
  return all <= 2 ? all : all - 2;
}

uint32_t FirstAddress(const IpPrefix& prefix) {
  if (!prefix.address.IsV4()) return 0;
  const uint64_t host_mask = (uint64_t{1} << (32 - prefix.length_bits)) - 1;
  const uint32_t network = prefix.address.v4() & ~static_cast<uint32_t>(host_mask);
  return host_mask <= 1 ? network : network + 1;
}

uint32_t PortCount(const SourcePortConfig& config) {
  MR_CHECK(config.first_port > 0 && config.first_port <= config.last_port);
  return uint32_t{config.last_port} - config.first_port + 1;
}

}  // namespace

KeyedPermutation::KeyedPermutation(uint64_t size) : size_(size) {
  MR_CHECK(size >= 1 && size <= uint64_t{1} << 48);
  const int bits = std::max(2, static_cast<int>(std::bit_width(size - 1)));
  low_bits_ = static_cast<uint32_t>(bits) / 2;
  low_mask_ = (uint64_t{1} << low_bits_) - 1;
  high_mask_ = (uint64_t{1} << (static_cast<uint32_t>(bits) - low_bits_)) - 1;
}

uint64_t KeyedPermutation::Once(uint64_t key, uint64_t n) const {
  uint64_t low = n & low_mask_, high = n >> low_bits_;
  for (uint32_t round = 0; round < kRounds; round += 2) {
    key += 0x9E37'79B9'7F4A'7C15;
    high ^= Fold(low ^ key, key | 1) & high_mask_;
    key += 0x9E37'79B9'7F4A'7C15;
    low ^= Fold(high ^ key, key | 1) & low_mask_;
  }
  return high << low_bits_ | low;
}

uint64_t KeyedPermutation::operator()(uint64_t key, uint64_t n) const {
  // Ends: the cycle that n lies on leads back to n at the latest, which is inside.
  do {
    n = Once(key, n);
  } while (n >= size_);
  return n;
}

SourcePorts::SourcePorts(const SourcePortConfig& config)
    : first_address_v4_(FirstAddress(config.addresses)),
      first_port_(config.first_port),
      port_count_(PortCount(config)),
      permutation_(AddressCount(config.addresses) * PortCount(config)),
      secret_(config.secret),
      counters_(kCounters) {
  // RFC 6056 3.3.4: the counters start at random values.
  for (uint64_t i = 0; i < kCounters; ++i) {
    counters_[i] = SipHash24(secret_, i, kCounters) % capacity();
  }
}

// The permutation's key and the counter take separate bits of one hash: RFC 6056's F and G.
SourcePorts::Walk SourcePorts::WalkTo(const Endpoint& destination) {
  const uint64_t hash =
      SipHash24(secret_, destination.address.high(), destination.address.low(), destination.port);
  return {.key = hash, .counter = &counters_[Fold(hash, secret_.k1 | 1) % kCounters]};
}

SourcePorts::Candidate SourcePorts::Step(const Walk& walk) {
  const uint64_t number = permutation_(walk.key, *walk.counter);
  if (++*walk.counter == capacity()) *walk.counter = 0;
  return {.address_v4 = first_address_v4_ + static_cast<uint32_t>(number / port_count_),
          .port = static_cast<uint16_t>(first_port_ + number % port_count_)};
}

void SourcePorts::LeaveLast() {
  if (last_walk_.counter == nullptr) return;
  uint64_t& counter = *last_walk_.counter;
  counter = (counter + kAhead * capacity() - kAhead) % capacity();
  ahead_at_ = 0;
  last_walk_.counter = nullptr;
}

SourcePorts::Candidate SourcePorts::Next(const Endpoint& destination) {
  LeaveLast();
  return Step(WalkTo(destination));
}

}  // namespace millrace::stack
