// apps/common/pattern.h - the octets of generated bodies: octet i is (i * 7 + 13) mod 251.
//
// The period is 251 (a prime, and 7 is no multiple of it), so one block of a multiple of 251
// octets holds every body, from any position on: bodies are sent from it without a copy, and a
// client can check any part of one. Threading: constant after construction, share it freely.
#ifndef MILLRACE_APPS_COMMON_PATTERN_H_
#define MILLRACE_APPS_COMMON_PATTERN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace millrace::apps {

class Pattern {
 public:
  static constexpr uint64_t kPeriod = 251;
  static constexpr size_t kBlockBytes = 4178 * kPeriod;  // 1 048 678: just above 1 MiB

  static constexpr std::byte At(uint64_t position) {
    return static_cast<std::byte>((position % kPeriod * 7 + 13) % kPeriod);
  }

  Pattern() : block_(kBlockBytes) {
    for (size_t i = 0; i < block_.size(); ++i) block_[i] = At(i);
  }

  // The octets from `position` of a body on, as many of `length` as lie in one piece (at least 1
  // when length is).
  std::span<const std::byte> Piece(uint64_t position, uint64_t length) const {
    // Starting again within the first period keeps nearly the whole block ahead.
    const auto at = static_cast<size_t>(position % kPeriod);
    return {block_.data() + at, static_cast<size_t>(std::min<uint64_t>(length, kBlockBytes - at))};
  }

 private:
  std::vector<std::byte> block_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PATTERN_H_
