// stack/half_open_queue.h - when half-open connections time out: first-in-first-out lists through
// the records of their pool, one for each number of retransmissions.
//
// All of a list wait equally long since their last SYN-ACK, so whoever comes last is due last and
// nothing has to be sorted or stored: the deadline follows from the record
// (tcp::HalfOpenWaitUs). A link in a wheel and its tick would be 8 octets more of the 64 that a SYN
// may cost. Microseconds wrap after 71 minutes: what has passed is an unsigned difference, so that
// after a jump of the clock all are due at once, and none waits longer than it would have anyway.
//
// REQUIRES: HalfOpen::tcp.retransmits and .sent_us do not change while an entry is in.
// Threading: one owner. Cost: all O(1), Advance O(entries that are due).
#ifndef MILLRACE_STACK_HALF_OPEN_QUEUE_H_
#define MILLRACE_STACK_HALF_OPEN_QUEUE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/check.h"
#include "millrace/base/slab.h"
#include "millrace/stack/records.h"
#include "millrace/tcp/half_open.h"

namespace millrace::stack {

class HalfOpenQueue {
 public:
  // Appends. REQUIRES: the entry is not in; its last SYN-ACK is not older than that of any other
  // with as many retransmissions.
  void Append(Slab<HalfOpen>& slab, uint32_t index) {
    HalfOpen& entry = slab[index];
    List& list = lists_[entry.tcp.retransmits];
    entry.prev = list.tail;
    entry.next = 0;
    if (list.tail == 0) {
      list.head = index + 1;
      occupied_ |= 1u << entry.tcp.retransmits;
    } else {
      slab[list.tail - 1].next = index + 1;
    }
    list.tail = index + 1;
  }

  // Takes the entry out. REQUIRES: it is in.
  void Remove(Slab<HalfOpen>& slab, uint32_t index) {
    const HalfOpen& entry = slab[index];
    List& list = lists_[entry.tcp.retransmits];
    (entry.next != 0 ? slab[entry.next - 1].prev : list.tail) = entry.prev;
    (entry.prev != 0 ? slab[entry.prev - 1].next : list.head) = entry.next;
    if (list.head == 0) occupied_ &= ~(1u << entry.tcp.retransmits);
  }

  // Takes those out that are due at `now_us`, `work_max` at most of all lists together, and calls
  // fire(index) for each, which may append it again. What did not fit comes in the next call, which
  // begins with the list that this one ended in, or behind it if it had its turn.
  template <class Fire>
  void Advance(Slab<HalfOpen>& slab, const tcp::Config& config, uint32_t now_us, size_t work_max,
               Fire&& fire) {
    const uint32_t behind = occupied_ & (~0u << first_);
    for (uint32_t lists : {behind, occupied_ & ~behind}) {
      for (; lists != 0; lists &= lists - 1) {
        const auto number = static_cast<uint32_t>(__builtin_ctz(lists));
        const List& list = lists_[number];
        const uint32_t next_first = (number + (work_max > 0 ? 1 : 0)) % kLists;
        while (list.head != 0 && DueInUs(slab[list.head - 1], config, now_us) == 0) {
          if (work_max == 0) {
            first_ = next_first;
            return;
          }
          --work_max;
          const uint32_t index = list.head - 1;
          if (slab[index].next != 0) __builtin_prefetch(&slab[slab[index].next - 1].tcp);
          Remove(slab, index);
          fire(index);
        }
      }
    }
  }

  // Microseconds from `now_us` to the first deadline, 0 when it has passed; nullopt when empty.
  std::optional<uint32_t> NextInUs(const Slab<HalfOpen>& slab, const tcp::Config& config,
                                   uint32_t now_us) const {
    std::optional<uint32_t> next;
    for (uint32_t rest = occupied_; rest != 0; rest &= rest - 1) {
      const List& list = lists_[static_cast<uint32_t>(__builtin_ctz(rest))];
      const uint32_t in_us = DueInUs(slab[list.head - 1], config, now_us);
      next = std::min(next.value_or(in_us), in_us);
    }
    return next;
  }

 private:
  static constexpr uint32_t kLists = tcp::HalfOpen::kRetransmitsMax + 1;
  struct List {
    uint32_t head = 0, tail = 0;  // index + 1, 0: empty
  };

  static uint32_t DueInUs(const HalfOpen& entry, const tcp::Config& config, uint32_t now_us) {
    const uint32_t passed_us = now_us - entry.tcp.sent_us;
    const uint32_t wait_us = tcp::HalfOpenWaitUs(entry.tcp, config);
    return passed_us < wait_us ? wait_us - passed_us : 0;
  }

  std::array<List, kLists> lists_;  // by HalfOpen::tcp.retransmits
  uint32_t occupied_ = 0;           // bit per list
  uint32_t first_ = 0;              // where Advance begins
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_HALF_OPEN_QUEUE_H_
