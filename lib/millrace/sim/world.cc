// sim/world.cc - the virtual clock.
#include "millrace/sim/world.h"

#include <utility>

namespace millrace::sim {

const char* ToString(RunResult result) {
  switch (result) {
    case RunResult::kDone:
      return "done";
    case RunResult::kDeadline:
      return "deadline";
    case RunResult::kIdle:
      return "idle";
    case RunResult::kLivelock:
      return "livelock";
  }
  return "?";
}

World::World(uint64_t seed)
    : seed_(seed), dice_(seed), events_(std::numeric_limits<size_t>::max()) {}

RunResult World::Step(Instant deadline) {
  Instant next = events_.NextDue();
  for (const NodeEntry& node : nodes_) next = std::min(next, node.next_run_at(node.self));
  next = std::max(next, now_);
  if (next > deadline || next.IsNever()) {
    if (deadline.IsNever()) return RunResult::kIdle;
    now_ = std::max(now_, deadline);
    passes_at_now_ = 0;
    return next.IsNever() ? RunResult::kIdle : RunResult::kDeadline;
  }

  passes_at_now_ = next == now_ ? passes_at_now_ + 1 : 0;
  if (passes_at_now_ > kPassesPerInstantMax) return RunResult::kLivelock;
  now_ = next;
  ++steps_;
  // Those that an event adds for the same instant wait for the next pass, which is counted.
  for (size_t n = events_.size(); n > 0 && events_.HasDue(now_); --n) events_.Pop()();
  // By index: an event or a node may add nodes.
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const NodeEntry node = nodes_[i];
    if (node.next_run_at(node.self) <= now_) node.run(node.self, now_);
  }
  return RunResult::kDone;
}

RunResult World::RunUntil(const std::function<bool()>& predicate, Instant deadline) {
  while (!predicate()) {
    const RunResult result = Step(deadline);
    if (result != RunResult::kDone) return result;
  }
  return RunResult::kDone;
}

RunResult World::RunFor(Duration duration) {
  const RunResult result = RunUntil([] { return false; }, now_ + duration);
  return result == RunResult::kIdle ? RunResult::kDeadline : result;
}

}  // namespace millrace::sim
