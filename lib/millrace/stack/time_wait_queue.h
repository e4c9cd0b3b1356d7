// stack/time_wait_queue.h - the order in which TIME-WAITs end: a first-in-first-out list through
// the records of their pool.
//
// 2MSL is the same for all, so whoever comes last ends last and nothing has to be sorted. Measured
// against the coarse wheel that was here before: bench/results/tried.md. When the engine's setting
// is made shorter, those that come then wait for those in front of them: an entry never ends before
// its tick, and after it by no more than the setting was shortened.
//
// Links lie in the records (TimerLink of stack/timer_wheel.h: index + 1, 0 is none), ticks are 32
// bits that wrap. Threading: one owner. Cost: all O(1), Advance O(entries that are due).
#ifndef MILLRACE_STACK_TIME_WAIT_QUEUE_H_
#define MILLRACE_STACK_TIME_WAIT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/check.h"
#include "millrace/base/slab.h"
#include "millrace/stack/records.h"
#include "millrace/stack/timer_wheel.h"

namespace millrace::stack {

class TimeWaitQueue {
 public:
  // Appends. REQUIRES: the entry is not in the queue.
  void Append(Slab<TimeWait>& slab, uint32_t index, uint32_t tick) {
    if (tail_ == 0) {
      head_ = index + 1;
      head_tick_ = tick;
    } else {
      TimerLink& last = slab[tail_ - 1].timer;
      last.next = index + 1;
      if (TickBefore(tick, last.tick)) [[unlikely]]
        tick = last.tick;
    }
    slab[index].timer = {.prev = tail_, .next = 0, .tick = tick};
    tail_ = index + 1;
    ++size_;
  }

  // Takes the entry out. REQUIRES: it is in.
  void Remove(Slab<TimeWait>& slab, uint32_t index) {
    const TimerLink& link = slab[index].timer;
    if (link.next != 0) {
      slab[link.next - 1].timer.prev = link.prev;
    } else {
      tail_ = link.prev;
    }
    if (link.prev != 0) {
      slab[link.prev - 1].timer.next = link.next;
    } else {
      head_ = link.next;
      if (head_ != 0) head_tick_ = slab[head_ - 1].timer.tick;
    }
    MR_DCHECK(size_ > 0);
    --size_;
  }

  // Takes those out that are due at `now_tick`, `work_max` at most, and calls fire(index) for each,
  // which may take out and append others. Returns how many; `work_max`: there may be more.
  template <class Fire>
  size_t Advance(Slab<TimeWait>& slab, uint32_t now_tick, size_t work_max, Fire&& fire) {
    size_t work = 0;
    while (head_ != 0 && !TickBefore(now_tick, head_tick_) && work < work_max) {
      const uint32_t index = head_ - 1;
      Remove(slab, index);  // which reads the next one
      PrefetchSecond(slab);
      ++work;
      fire(index);
    }
    return work;
  }

  // For who is about to take out the first: the one behind it, which is read then.
  void PrefetchSecond(const Slab<TimeWait>& slab) const {
    if (head_ == 0) return;
    const uint32_t second = slab[head_ - 1].timer.next;
    if (second == 0) return;
    __builtin_prefetch(&slab[second - 1].key);  // half of the records lie in two cache lines
    __builtin_prefetch(&slab[second - 1].timer);
  }

  // The tick of the first one; nullopt when there is none.
  std::optional<uint32_t> NextTick() const {
    if (head_ == 0) return std::nullopt;
    return head_tick_;
  }
  // The one that ends first, or kNoIndex: what goes when something has to go early.
  uint32_t Earliest() const { return head_ == 0 ? kNoIndex : head_ - 1; }
  uint32_t size() const { return size_; }

 private:
  uint32_t head_ = 0, tail_ = 0;  // index + 1, 0: empty
  uint32_t head_tick_ = 0;  // beside the head, so that a poll with nothing due reads no record
  uint32_t size_ = 0;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_TIME_WAIT_QUEUE_H_
