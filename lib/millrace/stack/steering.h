// stack/steering.h - which worker owns a connection: the Toeplitz hash of its tuple and a table.
//
// The function is that of receive-side scaling (RSS), so that a NIC and this code agree. The key is
// symmetric: 16 bits, repeated (Woo and Park, 2012), which makes the hash the same for both
// directions of a connection, and for the segment that an ICMP error quotes. With such a key every
// 16-bit word of the tuple is hashed alike, so that
//
//   hash(tuple) = M * (all 16-bit words of addresses and ports XOR-ed)     over GF(2)
//
// where M is a circulant matrix: two table look-ups, whatever the family. `Fold` is the argument.
// The 16-bit pattern has an odd number of ones, which makes M invertible (x^16 - 1 = (x - 1)^16),
// so that no bucket is more likely than another; and its lowest bits are such that for each bucket
// and each choice of the other bits of a port there is exactly one choice of the lowest ones
// (LowPort), so that a port that leads to a worker is computed, not searched.
// What symmetry costs: whoever sends SYNs can aim them at one bucket without knowing the key, by
// keeping the fold. Each worker therefore bears its own flood (stack/listener.h), and what is
// handed over has bounds (stack/steered_port.h).
// A value: copied to each worker. Cost: OwnerOf is three look-ups in 2.5 KiB.
#ifndef MILLRACE_STACK_STEERING_H_
#define MILLRACE_STACK_STEERING_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "millrace/base/ip_address.h"

namespace millrace::stack {

// All 16-bit words of a part of a tuple, XOR-ed; the parts are XOR-ed too.
using Fold = uint16_t;
constexpr Fold FoldOf(uint32_t words) { return static_cast<Fold>(words >> 16 ^ words); }
constexpr Fold FoldOf(uint64_t words) { return FoldOf(static_cast<uint32_t>(words >> 32 ^ words)); }
constexpr Fold FoldOf(const IpAddress& address) {
  return address.IsV4() ? FoldOf(address.v4()) : FoldOf(address.high() ^ address.low());
}

class Steering {
 public:
  static constexpr uint32_t kBucketsMin = 64, kBucketsMax = 512;  // sizes of NICs' tables
  static constexpr size_t kWorkersMax = 128;

  // Whether a pattern has both properties above: one in four has.
  static bool IsGoodPattern(uint16_t pattern, uint32_t buckets);
  // A good pattern, picked by a random number.
  static uint16_t DrawPattern(uint64_t random, uint32_t buckets);

  // Buckets are dealt to the workers in turn, from `first_owner` on: workers before it own none
  // (a dispatcher). REQUIRES: a good pattern; a power of two from kBucketsMin to kBucketsMax;
  // first_owner < workers <= kWorkersMax.
  Steering(uint16_t pattern, uint32_t buckets, uint32_t workers, uint32_t first_owner = 0);

  // Octet i of the key as a NIC takes it, whatever its length.
  uint8_t KeyOctet(size_t i) const {
    return static_cast<uint8_t>(i % 2 == 0 ? pattern_ >> 8 : pattern_);
  }
  uint32_t workers() const { return workers_; }
  uint32_t first_owner() const { return first_owner_; }
  uint32_t buckets() const { return bucket_mask_ + 1; }
  uint32_t OwnerOfBucket(uint32_t bucket) const { return owners_[bucket]; }
  void SetOwner(uint32_t bucket, uint32_t worker) {
    owners_[bucket] = static_cast<uint8_t>(worker);
  }
  uint32_t BucketsOf(uint32_t worker) const;

  // The lower half of the 32-bit hash, which is all that a table of at most 2^16 entries looks at;
  // the upper half is the same.
  uint16_t Hash(Fold fold) const {
    return static_cast<uint16_t>(hash_low_[fold & 0xFF] ^ hash_high_[fold >> 8]);
  }
  uint32_t BucketOf(Fold fold) const { return Hash(fold) & bucket_mask_; }
  uint32_t OwnerOf(Fold fold) const { return owners_[BucketOf(fold)]; }

  // The port number from block to block + buckets() - 1 for which a tuple, whose other words XOR to
  // `rest`, falls into `bucket`. REQUIRES: block is a multiple of buckets().
  uint32_t LowPort(uint32_t bucket, Fold rest, uint32_t block) const {
    const uint32_t wanted = bucket ^ BucketOf(static_cast<Fold>(rest ^ block));
    return block | low_port_[wanted];
  }

 private:
  uint16_t pattern_;
  uint32_t workers_, first_owner_;
  uint32_t bucket_mask_;
  std::array<uint16_t, 256> hash_low_{}, hash_high_{};
  std::array<uint8_t, kBucketsMax> owners_{};
  std::array<uint16_t, kBucketsMax> low_port_{};  // the inverse of BucketOf on its lowest bits
};

// What worker `index` of `count` gets of a total: the shares differ by one at most and add up.
template <std::unsigned_integral T>
constexpr T ShareOf(T total, uint32_t index, uint32_t count) {
  return total / count + (index < total % count ? 1 : 0);
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_STEERING_H_
