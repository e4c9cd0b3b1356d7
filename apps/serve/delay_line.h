// serve/delay_line.h - connections that wait for an instant. Cost: O(log n) each way. Memory: 16
// octets each, of those that have gone no more than of others.
#ifndef MILLRACE_APPS_SERVE_DELAY_LINE_H_
#define MILLRACE_APPS_SERVE_DELAY_LINE_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

// An entry whose connection has gone is dropped when it would be due, or as soon as it is one of as
// many as there are others.
class DelayLine {
 public:
  void Push(Instant due, stack::ConnectionId id) {
    waiting_.push_back({due, id});
    std::push_heap(waiting_.begin(), waiting_.end());
  }
  // Takes one that is due at `now` and whose connection waits, the earliest first. False when there
  // is none. `waits(id)`: whether it still does.
  template <class Waits>
  bool Pop(Instant now, Waits&& waits, stack::ConnectionId* id) {
    while (!waiting_.empty() && waiting_.front().due <= now) {
      std::pop_heap(waiting_.begin(), waiting_.end());
      *id = waiting_.back().id;
      waiting_.pop_back();
      if (waits(*id)) return true;
      if (gone_ > 0) --gone_;
    }
    return false;
  }
  // A connection that waited has gone: it waits no more. Cost: O(1), over many.
  template <class Waits>
  void OnGone(Waits&& waits) {
    if (++gone_ < kGoneLeast || 2 * gone_ < waiting_.size()) return;
    std::erase_if(waiting_, [&](const Entry& entry) { return !waits(entry.id); });
    std::make_heap(waiting_.begin(), waiting_.end());
    gone_ = 0;
  }
  // Of the first; Never() when empty.
  Instant NextDue() const { return waiting_.empty() ? Instant::Never() : waiting_.front().due; }
  size_t size() const { return waiting_.size(); }

 private:
  static constexpr size_t kGoneLeast = 64;

  struct Entry {
    Instant due;
    stack::ConnectionId id;
    bool operator<(const Entry& other) const { return due > other.due; }  // earliest on top
  };
  std::vector<Entry> waiting_;  // a heap
  size_t gone_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_DELAY_LINE_H_
