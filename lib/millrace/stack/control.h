// stack/control.h - what is asked of a worker from outside: counts, lists, listeners, the end.
//
// Requests and answers are messages on two rings. The worker takes a request in its poll, works it
// off in slices of at most kSliceSlots connections, writes what was asked into memory that the
// asker owns, and answers: nothing waits for anybody, and what the asker reads is a snapshot.
// A drain goes on beside other requests; a second one takes the place of the first, which is
// answered with what it has done.
// Threading: Ask and NextAnswer belong to one thread, Poll to the worker. What a request points to
// must stay until its answer has come.
// Cost: Poll three loads of two cache lines when there is nothing.
#ifndef MILLRACE_STACK_CONTROL_H_
#define MILLRACE_STACK_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "millrace/base/ip_address.h"
#include "millrace/base/spsc_ring.h"
#include "millrace/base/time.h"
#include "millrace/stack/engine.h"

namespace millrace::stack {

// The state of an engine at an instant.
struct EngineSnapshot {
  Instant at;
  Counters counters;
  tcp::Counters tcp_counters;
  uint32_t connections = 0, half_open = 0, time_wait = 0;
  // Of the connections: those whose peer has closed and whose application has not, and for how long
  // the first of them has been so.
  uint32_t close_wait = 0;
  Duration oldest_close_wait;
};

struct ConnectionRow {
  Endpoint local, remote;
  tcp::State state = tcp::State::kClosed;
  uint32_t unread_bytes = 0;  // received in order, not yet consumed
  uint32_t unsent_bytes = 0;  // not yet acknowledged
};

enum class ControlKind : uint8_t {
  kCount,          // fills *snapshot
  kList,           // fills rows, as many as there are or as fit; answer.count says how many
  kListen,         // opens a listener, or gives an open one another backlog
  kCloseListener,  // half-open connections of it go on
  kDrain,  // closes all: listeners, then connections by FIN; RST to what is left after grace
};

struct ControlRequest {
  ControlKind kind = ControlKind::kCount;
  uint64_t tag = 0;                    // given back in the answer
  EngineSnapshot* snapshot = nullptr;  // kCount
  std::span<ConnectionRow> rows;       // kList
  Endpoint endpoint;                   // kListen, kCloseListener
  uint32_t backlog = 0;                // kListen: this worker's share
  uint64_t user_data = 0;              // kListen
  Duration grace;                      // kDrain
};

struct ControlAnswer {
  ControlKind kind = ControlKind::kCount;
  uint64_t tag = 0;
  ListenResult listen = ListenResult::kOk;  // kListen
  uint32_t count = 0;                       // kList: rows; kDrain: connections that were reset
};

class Control {
 public:
  static constexpr uint32_t kRequestsMax = 16;
  static constexpr uint32_t kSliceSlots = 256;  // of the connection pool per poll

  // False: too many requests wait for an answer, or their answers to be taken.
  bool Ask(const ControlRequest& request) {
    if (unanswered_ == kRequestsMax) return false;
    ++unanswered_;
    return requests_.Push({&request, 1}) == 1;  // there is room: it is as long
  }
  std::optional<ControlAnswer> NextAnswer() {
    ControlAnswer answer;
    if (answers_.Pop({&answer, 1}) == 0) return std::nullopt;
    --unanswered_;
    return answer;
  }

  // The worker's part, once per poll. Returns whether something was done.
  bool Poll(Engine& engine, Instant now);

 private:
  enum class DrainStage : uint8_t { kNone, kClosing, kResetting };
  struct Drain {
    DrainStage stage = DrainStage::kNone;
    uint64_t tag = 0;
    uint32_t cursor = 0;  // slot of the connection pool that is looked at next
    uint32_t reset = 0;   // connections
    Instant deadline;
  };

  void Begin(Engine& engine, Instant now);
  void Answer(ControlAnswer answer);
  ListenResult Listen(Engine& engine) const;
  void CountSlice(Engine& engine, Instant now);
  void ListSlice(Engine& engine);
  void DrainSlice(Engine& engine, Instant now);
  void EndDrain();

  SpscRing<ControlRequest> requests_{kRequestsMax};
  SpscRing<ControlAnswer> answers_{kRequestsMax};
  uint32_t unanswered_ = 0;  // the asker's
  // The worker's.
  bool walking_ = false;  // kCount or kList is under way
  ControlRequest request_;
  uint32_t cursor_ = 0, count_ = 0;  // slot that is looked at next; rows of the list
  Drain drain_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_CONTROL_H_
