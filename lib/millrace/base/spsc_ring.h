// base/spsc_ring.h - a bounded queue from one thread to one other, in bursts, without a lock.
//
// Each side keeps a copy of the other's position and looks at the real one only when the copy says
// that there is no room (nothing to take): two busy cores exchange a cache line per lap of what
// fits, not per burst. One release store per burst publishes it.
// Our own and not rte_ring, because the simulator, ThreadSanitizer and the interleaving test
// (tests/interleave/interleave.h) run this code: `Atomic` is std::atomic everywhere but there.
// Invariants: head - tail <= capacity; slots [tail, head) hold items.
// Threading: Push and its neighbours belong to the producer, Pop to the consumer; size to anyone.
// Cost: a few ns per burst, a copy per item.
#ifndef MILLRACE_BASE_SPSC_RING_H_
#define MILLRACE_BASE_SPSC_RING_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/base/check.h"

namespace millrace {

template <class T, template <class> class Atomic = std::atomic>
class SpscRing {
 public:
  // REQUIRES: a power of two, at most 2^31.
  explicit SpscRing(uint32_t capacity) : mask_(capacity - 1), slots_(capacity) {
    MR_CHECK(std::has_single_bit(capacity) && capacity <= uint32_t{1} << 31);
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // Appends the first n items and returns n: all, unless fewer than `spare` slots would stay free.
  size_t Push(std::span<const T> items, uint32_t spare = 0);
  // Takes the oldest items, at most out.size(), and returns how many.
  size_t Pop(std::span<T> out);

  uint32_t capacity() const { return mask_ + 1; }
  // Items inside; a moment ago, when the other side is at work.
  uint32_t size() const {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    return head_.load(std::memory_order_relaxed) - tail;
  }

 private:
  // Positions count items since the start and wrap. The two sides' lines are kept apart, also from
  // what stands beside the ring; prefetchers fetch lines in pairs.
  static constexpr size_t kApart = 128;

  const uint32_t mask_;
  std::vector<T> slots_;
  alignas(kApart) Atomic<uint32_t> head_{0};  // written by the producer
  uint32_t tail_seen_ = 0;                    // the producer's copy
  alignas(kApart) Atomic<uint32_t> tail_{0};  // written by the consumer
  uint32_t head_seen_ = 0;                    // the consumer's copy
};

// Inline definitions

template <class T, template <class> class Atomic>
size_t SpscRing<T, Atomic>::Push(std::span<const T> items, uint32_t spare) {
  const uint32_t head = head_.load(std::memory_order_relaxed);
  const auto room = [&] {
    const uint32_t free = capacity() - (head - tail_seen_);
    return free > spare ? free - spare : 0;
  };
  // The slots that Pop left are ours only after its release.
  if (room() < items.size()) tail_seen_ = tail_.load(std::memory_order_acquire);
  const size_t count = std::min<size_t>(room(), items.size());
  if (count == 0) return 0;
  for (size_t i = 0; i < count; ++i) slots_[(head + i) & mask_] = items[i];
  head_.store(head + static_cast<uint32_t>(count), std::memory_order_release);
  return count;
}

template <class T, template <class> class Atomic>
size_t SpscRing<T, Atomic>::Pop(std::span<T> out) {
  const uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (head_seen_ - tail < out.size()) head_seen_ = head_.load(std::memory_order_acquire);
  const size_t count = std::min<size_t>(head_seen_ - tail, out.size());
  if (count == 0) return 0;
  for (size_t i = 0; i < count; ++i) out[i] = slots_[(tail + i) & mask_];
  tail_.store(tail + static_cast<uint32_t>(count), std::memory_order_release);
  return count;
}

}  // namespace millrace

#endif  // MILLRACE_BASE_SPSC_RING_H_
