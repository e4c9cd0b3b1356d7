// sim/due_queue.h - things that become due at an instant, earliest first, at most so many.
//
// Among equal instants the order is that of Push, so a simulation repeats exactly.
// Cost: O(log n) per operation.
#ifndef MILLRACE_SIM_DUE_QUEUE_H_
#define MILLRACE_SIM_DUE_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "millrace/base/check.h"
#include "millrace/base/time.h"

namespace millrace::sim {

template <class T>
class DueQueue {
 public:
  explicit DueQueue(size_t capacity) : capacity_(capacity) {}

  bool IsFull() const { return heap_.size() >= capacity_; }
  bool IsEmpty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  Instant NextDue() const { return heap_.empty() ? Instant::Never() : heap_.front().due; }
  bool HasDue(Instant now) const { return !heap_.empty() && heap_.front().due <= now; }

  // REQUIRES: !IsFull()
  void Push(Instant due, T value) {
    MR_CHECK(!IsFull());
    heap_.push_back({due, next_order_++, std::move(value)});
    std::push_heap(heap_.begin(), heap_.end(), ComesLater());
  }

  // The earliest, which stays. REQUIRES: !IsEmpty()
  T& Front() {
    MR_CHECK(!heap_.empty());
    return heap_.front().value;
  }

  // Takes the earliest, due or not. REQUIRES: !IsEmpty()
  T Pop() {
    MR_CHECK(!heap_.empty());
    std::pop_heap(heap_.begin(), heap_.end(), ComesLater());
    T value = std::move(heap_.back().value);
    heap_.pop_back();
    return value;
  }

 private:
  struct Entry {
    Instant due;
    uint64_t order;
    T value;
  };
  struct ComesLater {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.due != b.due ? a.due > b.due : a.order > b.order;
    }
  };

  size_t capacity_;
  uint64_t next_order_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_DUE_QUEUE_H_
