// stack/fast_open_cache.h - cookies that servers gave us (RFC 7413 4.1.3), per pair of addresses.
//
// A fixed number of entries in sets of four; a new one takes the place of its set's oldest. A
// destination whose SYN with data was lost is left alone for a while (4.1.3.1: "negative
// responses").
// Threading: one owner. Memory: 40 KiB when used, none otherwise. Cost: one set per call.
#ifndef MILLRACE_STACK_FAST_OPEN_CACHE_H_
#define MILLRACE_STACK_FAST_OPEN_CACHE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/base/time.h"

namespace millrace::stack {

class FastOpenCache {
 public:
  static constexpr size_t kEntries = 1024, kWays = 4;

  struct Entry {
    uint64_t addresses = 0;  // of FlowKey; 0: free
    Instant blocked_until;
    uint16_t mss = 0;    // the server's, for the size of data on a SYN
    uint8_t length = 0;  // of the cookie, 0: none
    std::array<std::byte, 16> cookie{};
    std::span<const std::byte> bytes() const { return {cookie.data(), length}; }
  };

  explicit FastOpenCache(bool used) : entries_(used ? kEntries : 0) {}
  bool used() const { return !entries_.empty(); }

  // Null when nothing is known. REQUIRES for all: made as used.
  const Entry* Find(uint64_t addresses) const {
    for (const Entry& entry : std::span(entries_).subspan(SetOf(addresses), kWays)) {
      if (entry.addresses == addresses) return &entry;
    }
    return nullptr;
  }
  // REQUIRES: cookie.size() <= 16.
  void Learn(uint64_t addresses, std::span<const std::byte> cookie, uint16_t mss) {
    Entry& entry = At(addresses);
    std::copy(cookie.begin(), cookie.end(), entry.cookie.begin());
    entry.length = static_cast<uint8_t>(cookie.size());
    entry.mss = mss;
  }
  void LearnMss(uint64_t addresses, uint16_t mss) { At(addresses).mss = mss; }
  void Block(uint64_t addresses, Instant until) { At(addresses).blocked_until = until; }

 private:
  static size_t SetOf(uint64_t addresses) {
    const uint64_t mixed = (addresses ^ addresses >> 32) * 0x9E37'79B9'7F4A'7C15ull;
    return static_cast<size_t>(mixed >> 56) * kWays;
  }
  static_assert(kEntries == 256 * kWays);

  Entry& At(uint64_t addresses) {
    const std::span set = std::span(entries_).subspan(SetOf(addresses), kWays);
    const auto same = std::find_if(set.begin(), set.end(),
                                   [&](const Entry& e) { return e.addresses == addresses; });
    if (same != set.end()) return *same;
    std::rotate(set.begin(), set.end() - 1, set.end());  // newest first
    set.front() = Entry{.addresses = addresses};
    return set.front();
  }

  std::vector<Entry> entries_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_FAST_OPEN_CACHE_H_
