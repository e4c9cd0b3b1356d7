// base/histogram.h - counts of durations with a bounded relative error (HdrHistogram's layout).
//
// Values below 2 * 10^digits have a counter each; above, every power of two is split evenly into
// counters, so that any value shares one with its equals to `digits` significant digits. The
// default, three digits from 1 ns to one hour, takes 264 KiB.
// Threading: one owner; merge with Add. Cost: Record is a count of leading zeros and a shift, about
// 2 ns when the counter is in cache.
#ifndef MILLRACE_BASE_HISTOGRAM_H_
#define MILLRACE_BASE_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/check.h"

namespace millrace {

class Histogram {
 public:
  static constexpr uint64_t kHighestNs = 3'600'000'000'000;  // one hour

  // `digits`: significant decimal digits, 1 to 5. `highest`: what is above counts as this.
  explicit Histogram(int digits = 3, uint64_t highest = kHighestNs)
      : digits_(digits),
        half_bits_(HalfBits(digits)),
        sub_mask_((uint64_t{2} << half_bits_) - 1),
        highest_(highest),
        counts_(IndexOf(highest) + 1) {}

  // Counts `value` (nanoseconds, unless the caller means something else).
  void Record(uint64_t value) {
    value = std::min(value, highest_);
    ++counts_[IndexOf(value)];
    ++count_;
    sum_ += value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }

  // Whether both were constructed with the same arguments.
  bool SameLayout(const Histogram& other) const {
    return other.digits_ == digits_ && other.highest_ == highest_;
  }

  // Adds all of `other`. REQUIRES: SameLayout(other).
  void Add(const Histogram& other) {
    MR_CHECK(SameLayout(other));
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
  }

  // To make a histogram again from what ForEach gave, into an empty one: each counter by any of its
  // values, then the exact figures. False, without effect, for what no histogram of this layout can
  // have said.
  bool RestoreCounter(uint64_t value, uint64_t count) {
    if (value > HighestOf(counts_.size() - 1) || count > UINT64_MAX - count_) return false;
    counts_[IndexOf(value)] += count;
    count_ += count;
    return true;
  }
  bool RestoreTotals(uint64_t sum, uint64_t min, uint64_t max) {
    if (count_ == 0) return sum == 0 && min == 0 && max == 0;
    if (min > max || max > highest_) return false;
    const auto used = [](uint64_t n) { return n != 0; };
    const auto first = std::find_if(counts_.begin(), counts_.end(), used) - counts_.begin();
    const auto last = counts_.rend() - std::find_if(counts_.rbegin(), counts_.rend(), used) - 1;
    if (IndexOf(min) != static_cast<size_t>(first)) return false;
    if (IndexOf(max) != static_cast<size_t>(last)) return false;
    sum_ = sum;
    min_ = min;
    max_ = max;
    return true;
  }

  void Clear() {
    std::fill(counts_.begin(), counts_.end(), 0);
    count_ = 0;
    sum_ = 0;
    min_ = UINT64_MAX;
    max_ = 0;
  }

  // The value that a part `quantile` (0..1) of the recorded ones does not exceed: the upper end of
  // its counter, at most max(). 0 when nothing was recorded.
  uint64_t ValueAtQuantile(double quantile) const {
    if (count_ == 0) return 0;
    // One step down, lest 0.07 * 100 = 7.0000000000000009 ask for the eighth of a hundred.
    const double q = std::nextafter(std::clamp(quantile, 0.0, 1.0), 0.0);
    const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_)));
    const uint64_t rank = std::clamp<uint64_t>(wanted, 1, count_);
    uint64_t seen = 0;
    size_t index = 0;
    while ((seen += counts_[index]) < rank) ++index;
    return std::min(HighestOf(index), max_);
  }

  // Calls visit(highest value of the counter, count) for each counter in use, in ascending order.
  template <class Visitor>
  void ForEach(Visitor visit) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] != 0) visit(HighestOf(i), counts_[i]);
    }
  }

  bool operator==(const Histogram&) const = default;

  int digits() const { return digits_; }
  uint64_t highest() const { return highest_; }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }  // exact; 0 when empty
  uint64_t max() const { return max_; }                    // exact; 0 when empty
  // Exact while the sum of all values is below 2^64 (584 years). 0 when empty.
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

 private:
  // Bits of half the counters of a power of two: HdrHistogram's subBucketHalfCountMagnitude.
  static uint32_t HalfBits(int digits) {
    MR_CHECK(digits >= 1 && digits <= 5);
    uint64_t unit_values = 2;
    for (int i = 0; i < digits; ++i) unit_values *= 10;
    return static_cast<uint32_t>(std::bit_width(unit_values - 1)) - 1;
  }

  // Counters 0 .. 2^(half_bits+1)-1 hold one value each; bucket b >= 1 adds 2^half_bits counters
  // of 2^b values each.
  size_t IndexOf(uint64_t value) const {
    const auto width = static_cast<uint32_t>(std::bit_width(value | sub_mask_));
    const uint64_t bucket = width - half_bits_ - 1;
    return (bucket << half_bits_) + (value >> bucket);
  }
  uint64_t HighestOf(size_t index) const {
    if (index <= sub_mask_) return index;
    const uint64_t bucket = (index >> half_bits_) - 1;
    const uint64_t sub = index - (bucket << half_bits_);
    return ((sub + 1) << bucket) - 1;
  }

  int digits_;
  uint32_t half_bits_;
  uint64_t sub_mask_;
  uint64_t highest_;
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0, sum_ = 0;
  uint64_t min_ = UINT64_MAX, max_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_HISTOGRAM_H_
