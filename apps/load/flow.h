// load/flow.h - one connection of the load generator, and the queues that its deadlines wait in.
#ifndef MILLRACE_APPS_LOAD_FLOW_H_
#define MILLRACE_APPS_LOAD_FLOW_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "apps/load/failure.h"
#include "millrace/base/time.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

enum class FlowPhase : uint8_t {
  kConnecting,  // until ESTABLISHED
  kAwaiting,    // a request is out, nothing of the response has come
  kReceiving,   // part of the response has come
  kThinking,    // until the next request
  kClosing,     // the last response is whole; until the connection is over
  // Without a deadline:
  kIdle,    // held, and no request is out
  kEnding,  // reset by us, until the engine says that it is over
  kFree,
};
inline constexpr size_t kTimedPhases = 5;

struct Flow {
  static constexpr uint32_t kNone = UINT32_MAX;

  stack::ConnectionId id;
  Instant intended, started;                  // of the connection
  Instant request_intended, request_started;  // of the request that is out
  Instant closing;                            // the close began
  Instant deadline;                           // of the phase, when it has one
  uint64_t received = 0;                      // octets of the response, or of its body
  uint32_t requests_left = 0;
  uint32_t next = kNone, previous = kNone;  // in the queue of the phase
  uint32_t exchange = 0;                    // which of the plan's mix
  uint32_t target = 0;
  FlowPhase phase = FlowPhase::kFree;
  LoadFailure failure = LoadFailure::kNone;  // decided before the connection was over
  bool measured = false;                     // meant to start inside the window
  bool held = false, probe = false;
  bool opened = false;  // the handshake was completed
};

// Connections in one phase, in the order of their deadlines: all wait equally long, so that is the
// order in which they came. Cost: O(1) each.
class PhaseQueue {
 public:
  void Append(std::vector<Flow>& flows, uint32_t index) {
    Flow& flow = flows[index];
    flow.previous = last_;
    flow.next = Flow::kNone;
    (last_ == Flow::kNone ? first_ : flows[last_].next) = index;
    last_ = index;
  }
  void Remove(std::vector<Flow>& flows, uint32_t index) {
    const Flow& flow = flows[index];
    (flow.previous == Flow::kNone ? first_ : flows[flow.previous].next) = flow.next;
    (flow.next == Flow::kNone ? last_ : flows[flow.next].previous) = flow.previous;
  }
  uint32_t first() const { return first_; }  // Flow::kNone when empty

 private:
  uint32_t first_ = Flow::kNone, last_ = Flow::kNone;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_FLOW_H_
