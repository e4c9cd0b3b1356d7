// base/prng.h - reproducible pseudo-random numbers: xoshiro256** (Blackman and Vigna, 2018),
// seeded by splitmix64, as its authors recommend.
//
// For simulation, load and tests: the same seed gives the same numbers on every machine. Not for
// secrets, see base/secret.h. Threading: one owner. Cost: Next() 1 to 6 ns.
#ifndef MILLRACE_BASE_PRNG_H_
#define MILLRACE_BASE_PRNG_H_

#include <array>
#include <bit>
#include <cstdint>

#include "millrace/base/check.h"

namespace millrace {

class Prng {
 public:
  // Every seed is good, 0 included.
  explicit constexpr Prng(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e37'79b9'7f4a'7c15;  // splitmix64
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
      z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
      word = z ^ (z >> 31);
    }
  }

  // 64 uniform bits.
  constexpr uint64_t Next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in 0..n-1, without bias (Lemire, 2019). REQUIRES: n > 0.
  constexpr uint64_t Below(uint64_t n) {
    MR_DCHECK(n > 0);
    using Wide = unsigned __int128;
    Wide product = Wide{Next()} * n;
    if (static_cast<uint64_t>(product) < n) {
      const uint64_t threshold = (0 - n) % n;  // 2^64 mod n: how many products to refuse
      while (static_cast<uint64_t>(product) < threshold) product = Wide{Next()} * n;
    }
    return static_cast<uint64_t>(product >> 64);
  }

  // Uniform in [0, 1), a multiple of 2^-53.
  constexpr double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  // True with probability p; never for p <= 0, always for p >= 1.
  constexpr bool Chance(double p) { return Uniform() < p; }

 private:
  std::array<uint64_t, 4> state_{};
};

}  // namespace millrace

#endif  // MILLRACE_BASE_PRNG_H_
