// stack/half_open_queue.h - when half-open connections time out: first-in-first-out lists through
// the records of their pool, one for each number of retransmissions.
//
// All of a list wait equally long since their last SYN-ACK, so whoever comes last is due last and
// nothing has to be sorted or stored: the deadline follows from the record
// (tcp::HalfOpenDeadlineUs). A link in a wheel and its tick would be 8 octets more of the 64 that
// a SYN may cost.
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

  // Takes those out that are due at `now_us`, `work_max` at most of each list, and calls
  // fire(index) for each, which may append it again.
  template <class Fire>
  void Advance(Slab<HalfOpen>& slab, const tcp::Config& config, uint32_t now_us, size_t work_max,
               Fire&& fire) {
    for (uint32_t rest = occupied_; rest != 0; rest &= rest - 1) {
      const List& list = lists_[static_cast<uint32_t>(__builtin_ctz(rest))];
      for (size_t work = 0; list.head != 0 && work < work_max; ++work) {
        const uint32_t index = list.head - 1;
        const uint32_t deadline_us = tcp::HalfOpenDeadlineUs(slab[index].tcp, config);
        if (static_cast<int32_t>(now_us - deadline_us) < 0) break;
        if (slab[index].next != 0) __builtin_prefetch(&slab[slab[index].next - 1].tcp);
        Remove(slab, index);
        fire(index);
      }
    }
  }

  // Microseconds from `now_us` to the first deadline, 0 when it has passed; nullopt when empty.
  std::optional<uint32_t> NextInUs(const Slab<HalfOpen>& slab, const tcp::Config& config,
                                   uint32_t now_us) const {
    std::optional<uint32_t> next;
    for (uint32_t rest = occupied_; rest != 0; rest &= rest - 1) {
      const List& list = lists_[static_cast<uint32_t>(__builtin_ctz(rest))];
      const int32_t ahead_us =
          static_cast<int32_t>(tcp::HalfOpenDeadlineUs(slab[list.head - 1].tcp, config) - now_us);
      const uint32_t in_us = static_cast<uint32_t>(std::max(ahead_us, 0));
      next = std::min(next.value_or(in_us), in_us);
    }
    return next;
  }

 private:
  struct List {
    uint32_t head = 0, tail = 0;  // index + 1, 0: empty
  };
  std::array<List, tcp::HalfOpen::kRetransmitsMax + 1> lists_;  // by HalfOpen::tcp.retransmits
  uint32_t occupied_ = 0;                                       // bit per list
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_HALF_OPEN_QUEUE_H_
