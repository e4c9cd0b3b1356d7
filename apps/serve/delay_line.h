// serve/delay_line.h - connections that wait for an instant. Cost: O(log n) each way.
#ifndef MILLRACE_APPS_SERVE_DELAY_LINE_H_
#define MILLRACE_APPS_SERVE_DELAY_LINE_H_

#include <queue>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

class DelayLine {
 public:
  void Push(Instant due, stack::ConnectionId id) { waiting_.push({due, id}); }
  // Takes one that is due at `now`, the earliest first. False when there is none.
  bool Pop(Instant now, stack::ConnectionId* id) {
    if (waiting_.empty() || waiting_.top().due > now) return false;
    *id = waiting_.top().id;
    waiting_.pop();
    return true;
  }
  // Of the first; Never() when empty.
  Instant NextDue() const { return waiting_.empty() ? Instant::Never() : waiting_.top().due; }

 private:
  struct Entry {
    Instant due;
    stack::ConnectionId id;
    bool operator<(const Entry& other) const { return due > other.due; }  // earliest on top
  };
  std::priority_queue<Entry> waiting_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_DELAY_LINE_H_
