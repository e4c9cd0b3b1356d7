// stack/control.h - what is asked of a worker from outside: counts, lists, listeners, the end.
//
// Requests and answers are messages on two rings. The worker takes a request in its poll, works it
// off in slices of at most kSliceSlots connections, writes what was asked into memory that the
// asker owns, and answers: nothing waits for anybody, and what the asker reads is a snapshot.
// Threading: Ask and NextAnswer belong to one thread, Poll to the worker. What a request points to
// must stay until its answer has come.
// Cost: Poll one load when there is nothing.
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
  EngineSnapshot* snapshot = nullptr;  // kCount
  std::span<ConnectionRow> rows;       // kList
  Endpoint endpoint;                   // kListen, kCloseListener
  uint32_t backlog = 0;                // kListen: this worker's share
  uint64_t user_data = 0;              // kListen
  Duration grace;                      // kDrain
};

struct ControlAnswer {
  ControlKind kind = ControlKind::kCount;
  ListenResult listen = ListenResult::kOk;  // kListen
  uint32_t count = 0;                       // kList: rows; kDrain: connections that were reset
};

class Control {
 public:
  static constexpr uint32_t kRequestsMax = 16;
  static constexpr uint32_t kSliceSlots = 256;  // of the connection pool per poll

  // False: too many requests wait.
  bool Ask(const ControlRequest& request) { return requests_.Push({&request, 1}) == 1; }
  std::optional<ControlAnswer> NextAnswer() {
    ControlAnswer answer;
    return answers_.Pop({&answer, 1}) == 1 ? std::optional(answer) : std::nullopt;
  }

  // The worker's part, once per poll. Returns whether something was done.
  bool Poll(Engine& engine, Instant now);

 private:
  enum class Stage : uint8_t { kIdle, kListing, kClosing, kResetting };

  void Begin(Engine& engine, Instant now);
  void Answer(const ControlAnswer& answer);
  ListenResult Listen(Engine& engine) const;
  void ListSlice(Engine& engine);
  void CloseSlice(Engine& engine, Instant now);
  void ResetSlice(Engine& engine);

  SpscRing<ControlRequest> requests_{kRequestsMax};
  SpscRing<ControlAnswer> answers_{kRequestsMax};
  // The worker's.
  Stage stage_ = Stage::kIdle;
  ControlRequest request_;
  uint32_t cursor_ = 0;  // slot of the connection pool that is looked at next
  uint32_t count_ = 0;
  Instant deadline_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_CONTROL_H_
