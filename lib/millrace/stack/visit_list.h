// stack/visit_list.h - the connections that need a visit, first in, first out.
//
// An array, through which the list moves and which it begins anew when it has run empty, as it does
// in nearly every poll: so it stays in the first-level cache, whatever its capacity. A chain
// through the records took 15 instructions more for each that is put on it, 10 for each taken off.
// Memory: 16 octets of address space a connection, touched only as far as the list ever was long.
// Threading: one owner.
#ifndef MILLRACE_STACK_VISIT_LIST_H_
#define MILLRACE_STACK_VISIT_LIST_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/check.h"
#include "millrace/base/memory.h"
#include "millrace/stack/records.h"

namespace millrace::stack {

class VisitList {
 public:
  static constexpr size_t kPopsMax = 1024;

  // For at most so many connections. See ok().
  explicit VisitList(uint32_t connections)
      : region_((2 * size_t{connections} + kPopsMax) * sizeof(Connection*), Region::Pages::kPlain),
        slots_(reinterpret_cast<Connection**>(region_.data())),
        head_max_(connections) {}

  bool ok() const { return slots_ != nullptr; }
  bool empty() const { return head_ == tail_; }

  // Once a poll, so that Push need not ask: REQUIRES at most kPopsMax calls of Pop until the next.
  void MakeRoom() {
    if (head_ == tail_) {
      head_ = tail_ = 0;
    } else if (head_ > head_max_) [[unlikely]] {
      std::memmove(slots_, slots_ + head_, (tail_ - head_) * sizeof *slots_);
      tail_ -= head_;
      head_ = 0;
    }
  }
  // REQUIRES: it is not on the list.
  void Push(Connection& connection) {
    MR_DCHECK(tail_ < region_.size() / sizeof *slots_);
    slots_[tail_++] = &connection;
  }
  // REQUIRES: !empty().
  Connection& Pop() {
    MR_DCHECK(head_ < tail_ && head_ <= head_max_ + kPopsMax);
    return *slots_[head_++];
  }

 private:
  Region region_;
  Connection** slots_;
  size_t head_max_;
  size_t head_ = 0, tail_ = 0;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_VISIT_LIST_H_
