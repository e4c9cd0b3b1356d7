// stack/source_limit.h - how many SYNs per second one source address may send to a worker.
//
// Two uses: a flood from real addresses that completes its handshakes gets a share, not the pool
// (SFL-09); and a victim whose address is forged gets few of our SYN-ACKs (SFL-10). A source is an
// IPv4 address or the /64 of an IPv6 address, which is what one customer has (RFC 6177).
//
// Bounded: 4096 sets of four sources, chosen by a keyed hash. A new source in a full set takes the
// place of the one that is furthest from its limit, so many sources at once are never kept out by
// each other; they are what cookies are for.
// Threading: one owner. Cost: a SipHash and a cache line per SYN; nothing when it is off.
#ifndef MILLRACE_STACK_SOURCE_LIMIT_H_
#define MILLRACE_STACK_SOURCE_LIMIT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/siphash.h"
#include "millrace/base/time.h"

namespace millrace::stack {

class SourceLimit {
 public:
  static constexpr uint32_t kRateMax = 1'000'000;

  // `rate` SYNs per second, at most kRateMax; 0: no limit. `burst` at once after silence, 1 and
  // more, of at most 1000 seconds' worth.
  SourceLimit(uint32_t rate, uint32_t burst, SipKey key)
      : key_(key),
        interval_us_(rate == 0 ? 0 : kMicroseconds / std::min(rate, kRateMax)),
        tolerance_us_(static_cast<uint32_t>(
            std::min<uint64_t>(uint64_t{interval_us_} * (std::max(burst, 1u) - 1), kAheadMax))),
        sets_(rate == 0 ? 0 : kSets) {}

  bool enabled() const { return interval_us_ != 0; }

  // Counts a SYN; false: it is one too many.
  bool Take(const IpAddress& source, Instant now) {
    const IpAddress who = source.IsV4() ? source : IpAddress::V6(source.high(), 0);
    const uint64_t hash = SipHash24(key_, who.high(), who.low());
    const auto tag = static_cast<uint32_t>(hash >> 32);
    const auto now_us = static_cast<uint32_t>(now.ns() / 1000);
    auto& set = sets_[hash % kSets];
    Entry* entry = std::find_if(set.begin(), set.end(), [&](Entry& e) { return e.tag == tag; });
    if (entry == set.end()) {
      entry = std::min_element(set.begin(), set.end(), [&](const Entry& a, const Entry& b) {
        return Ahead(a, now_us) < Ahead(b, now_us);
      });
      *entry = {tag, now_us};
    }
    // The generic cell rate algorithm (ITU-T I.371): `due_us` is when the next one would come of a
    // source that sends evenly.
    const int32_t ahead = Ahead(*entry, now_us);
    if (ahead > static_cast<int32_t>(tolerance_us_)) return false;
    entry->due_us = now_us + static_cast<uint32_t>(ahead) + interval_us_;
    return true;
  }

 private:
  struct Entry {
    uint32_t tag = 0;
    uint32_t due_us = 0;  // wraps after 71 minutes
  };
  static constexpr uint32_t kMicroseconds = 1'000'000, kSets = 4096;
  static constexpr uint32_t kAheadMax = 1'000'000'000;  // 1000 s: half of a wrap is 2147 s

  // How far ahead of an even rate the source is; what is long past, on either side of a wrap, is 0.
  static int32_t Ahead(const Entry& e, uint32_t now_us) {
    const auto ahead = static_cast<int32_t>(e.due_us - now_us);
    return ahead < 0 || ahead > int32_t{kAheadMax + kMicroseconds} ? 0 : ahead;
  }

  SipKey key_;
  uint32_t interval_us_, tolerance_us_;
  std::vector<std::array<Entry, 4>> sets_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_SOURCE_LIMIT_H_
