// stack/group_reports.h - when an IPv6 host reports the groups that it is in (RFC 3810 6).
//
// On joining: twice, since a report may be lost (the robustness variable, RFC 3810 9.1); once
// before the solicitations of address detection, from ::, and again from the link-local address
// when that is there (RFC 3810 5.2.13, RFC 3590). To queries: once, within the time that they give.
// Several queries are answered together, and never more often than every 100 ms. Threading: one
// owner; not on the packet path.
#ifndef MILLRACE_STACK_GROUP_REPORTS_H_
#define MILLRACE_STACK_GROUP_REPORTS_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "millrace/base/ip_address.h"
#include "millrace/base/prng.h"
#include "millrace/base/time.h"
#include "millrace/wire/mld.h"

namespace millrace::stack {

class GroupReports {
 public:
  // Delays differ between hosts: they are drawn from the MAC address.
  explicit GroupReports(const MacAddress& mac) : dice_(SeedOf(mac)) {}

  // Groups are joined, or the source address of the reports has changed: `reports` times from now.
  void OnJoin(uint8_t reports, Instant now) {
    joins_left_ = reports;
    next_join_ = now;
  }
  // RFC 3810 6.2: "it is not answered immediately", but after a random part of the time given.
  void OnQuery(Duration max_response, Instant now) {
    const Instant wanted = now + Part(std::min(max_response, kMaxResponse));
    next_answer_ = std::min(next_answer_, std::max(wanted, last_ + kBetween));
  }

  // The report that is due, or nullopt; to be called until then.
  std::optional<wire::GroupRecord> Next(Instant now) {
    if (joins_left_ > 0 && now >= next_join_) {
      --joins_left_;
      next_join_ = now + Part(kUnsolicitedInterval);
      last_ = now;
      return wire::GroupRecord::kChangeToExclude;
    }
    if (now < next_answer_) return std::nullopt;
    next_answer_ = Instant::Never();
    last_ = now;
    return wire::GroupRecord::kModeIsExclude;
  }
  Instant NextDeadline() const {
    return joins_left_ > 0 ? std::min(next_join_, next_answer_) : next_answer_;
  }

 private:
  static constexpr Duration kUnsolicitedInterval = Duration::Seconds(1);  // RFC 3810 9.11
  static constexpr Duration kBetween = Duration::Milliseconds(100);
  static constexpr Duration kMaxResponse = Duration::Seconds(600);  // a querier would have given up

  static uint64_t SeedOf(const MacAddress& mac) {
    uint64_t seed = 0;
    for (const uint8_t octet : mac.octets) seed = seed << 8 | octet;
    return seed;
  }
  Duration Part(Duration whole) {
    return Duration::Nanoseconds(static_cast<int64_t>(
        dice_.Below(static_cast<uint64_t>(std::max<int64_t>(whole.ns(), 0)) + 1)));
  }

  Prng dice_;
  uint8_t joins_left_ = 0;
  Instant next_join_, last_;
  Instant next_answer_ = Instant::Never();
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_GROUP_REPORTS_H_
