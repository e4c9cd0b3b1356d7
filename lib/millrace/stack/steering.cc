#include "millrace/stack/steering.h"

#include <bit>

#include "millrace/base/check.h"

namespace millrace::stack {
namespace {

// Toeplitz: the hash is the XOR of the key's windows at the ones of the input. The window that
// begins at bit i of a key of repeated 16 bits is the pattern, rotated: its lower half here.
uint16_t HashOf(uint16_t pattern, Fold fold) {
  uint16_t hash = 0;
  for (int bit = 0; bit < 16; ++bit) {
    if ((fold >> (15 - bit) & 1) != 0) hash ^= std::rotl(pattern, bit);
  }
  return hash;
}

}  // namespace

bool Steering::IsGoodPattern(uint16_t pattern, uint32_t buckets) {
  if (std::popcount(pattern) % 2 == 0) return false;
  // A linear map of the lowest bits to the lowest bits is one to one when only zero goes to zero.
  for (uint32_t low = 1; low < buckets; ++low) {
    if ((HashOf(pattern, static_cast<Fold>(low)) & (buckets - 1)) == 0) return false;
  }
  return true;
}

uint16_t Steering::DrawPattern(uint64_t random, uint32_t buckets) {
  // Good ones do not lie evenly, so a bad one is not followed by its neighbour.
  auto pattern = static_cast<uint16_t>(random);
  while (!IsGoodPattern(pattern, buckets)) {
    pattern = static_cast<uint16_t>(pattern + 0x9E37);  // odd: comes by all
  }
  return pattern;
}

Steering::Steering(uint16_t pattern, uint32_t buckets, uint32_t workers, uint32_t first_owner)
    : pattern_(pattern), workers_(workers), first_owner_(first_owner), bucket_mask_(buckets - 1) {
  MR_CHECK(std::has_single_bit(buckets) && buckets >= kBucketsMin && buckets <= kBucketsMax);
  MR_CHECK(first_owner < workers && workers <= kWorkersMax);
  MR_CHECK(IsGoodPattern(pattern, buckets));
  for (uint32_t i = 0; i < 256; ++i) {
    hash_low_[i] = HashOf(pattern, static_cast<Fold>(i));
    hash_high_[i] = HashOf(pattern, static_cast<Fold>(i << 8));
  }
  for (uint32_t i = 0; i < buckets; ++i) {
    SetOwner(i, first_owner + i % (workers - first_owner));
    low_port_[BucketOf(static_cast<Fold>(i))] = static_cast<uint16_t>(i);
  }
}

uint32_t Steering::BucketsOf(uint32_t worker) const {
  uint32_t count = 0;
  for (uint32_t i = 0; i < buckets(); ++i) count += owners_[i] == worker ? 1 : 0;
  return count;
}

}  // namespace millrace::stack
