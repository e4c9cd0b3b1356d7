// base/seq.h - TCP sequence numbers: 32 bits that wrap (RFC 9293 section 3.4).
//
// The only place where sequence numbers are compared; scripts/tidy.py refuses raw comparisons
// elsewhere. a < b holds when a is less than 2^31 before b on the circle.
#ifndef MILLRACE_BASE_SEQ_H_
#define MILLRACE_BASE_SEQ_H_

#include <cstdint>

namespace millrace {

class SeqNum {
 public:
  constexpr SeqNum() = default;
  explicit constexpr SeqNum(uint32_t value) : value_(value) {}

  constexpr uint32_t value() const { return value_; }

  constexpr SeqNum operator+(uint32_t n) const { return SeqNum(value_ + n); }
  constexpr SeqNum operator-(uint32_t n) const { return SeqNum(value_ - n); }
  constexpr SeqNum& operator+=(uint32_t n) {
    value_ += n;
    return *this;
  }
  // Signed distance from `b` to this: negative when this comes before `b`.
  constexpr int32_t operator-(SeqNum b) const { return static_cast<int32_t>(value_ - b.value_); }

  constexpr bool operator==(const SeqNum&) const = default;
  constexpr bool operator<(SeqNum b) const { return *this - b < 0; }
  constexpr bool operator<=(SeqNum b) const { return *this - b <= 0; }
  constexpr bool operator>(SeqNum b) const { return *this - b > 0; }
  constexpr bool operator>=(SeqNum b) const { return *this - b >= 0; }

  // Octets from `left` up to this, 0 to 2^32-1. REQUIRES: left <= *this on the caller's range.
  constexpr uint32_t Since(SeqNum left) const { return value_ - left.value_; }

  // True when left <= *this < left + size.
  constexpr bool InWindow(SeqNum left, uint32_t size) const { return value_ - left.value_ < size; }

 private:
  uint32_t value_ = 0;
};

constexpr SeqNum Max(SeqNum a, SeqNum b) { return a < b ? b : a; }
constexpr SeqNum Min(SeqNum a, SeqNum b) { return a < b ? a : b; }

}  // namespace millrace

#endif  // MILLRACE_BASE_SEQ_H_
