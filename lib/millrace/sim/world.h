// sim/world.h - the virtual clock, and the nodes that live by it.
//
// A node says when it wants to run next and is run then: NextRunAt() and Run(now). Hosts, links
// and peers are nodes; PolledNode below makes one of anything that is polled. The world moves its
// clock to the earliest NextRunAt() and runs all nodes that are due, in the order of Add, until
// none is due at that instant. Nothing else moves the clock, and all randomness comes from one
// seed: the same seed, nodes and calls give the same run.
// Threading: one. Cost: one NextRunAt per node and step; meant for tens of nodes.
#ifndef MILLRACE_SIM_WORLD_H_
#define MILLRACE_SIM_WORLD_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "millrace/base/prng.h"
#include "millrace/base/time.h"
#include "millrace/sim/due_queue.h"

namespace millrace::sim {

template <class T>
concept Node = requires(T node, const T const_node, Instant now) {
  // When to run next: an instant, past ones mean now; Never() until something else happens.
  { const_node.NextRunAt() } -> std::same_as<Instant>;
  // Must move NextRunAt beyond `now` in a bounded number of calls.
  { node.Run(now) } -> std::same_as<void>;
};

enum class RunResult : uint8_t {
  kDone,      // the predicate holds
  kDeadline,  // the clock reached the deadline
  kIdle,      // no node and no event will ever run again
  kLivelock,  // the nodes do not let the clock advance
};
const char* ToString(RunResult result);

class World {
 public:
  // The clock starts at one second, so that a deadline computed from a forgotten zero is past.
  explicit World(uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Instant now() const { return now_; }
  uint64_t seed() const { return seed_; }
  uint64_t steps() const { return steps_; }
  // For whoever draws at set-up or in events. A long-lived node should own Prng(NextSeed()), so
  // that its draws do not move those of others.
  Prng& dice() { return dice_; }
  uint64_t NextSeed() { return dice_.Next(); }

  // `node` is borrowed for the life of the world, or until Remove.
  template <Node N>
  void Add(N& node) {
    nodes_.push_back({&node,
                      [](const void* self) { return static_cast<const N*>(self)->NextRunAt(); },
                      [](void* self, Instant now) { static_cast<N*>(self)->Run(now); }});
  }
  // Not from inside a Run.
  template <Node N>
  void Remove(N& node) {
    std::erase_if(nodes_, [&](const NodeEntry& entry) { return entry.self == &node; });
  }

  // Runs `event` once at `when` (past: now), before the nodes of that instant; those of one
  // instant in the order of the calls. For faults: partition now, heal later.
  void At(Instant when, std::function<void()> event) { events_.Push(when, std::move(event)); }
  void After(Duration delay, std::function<void()> event) { At(now_ + delay, std::move(event)); }

  // One pass over everything that is due at the earliest next instant, if that is no later than
  // `deadline`; else the clock stops at `deadline` (when it is not Never).
  // kDone: something ran, or one of the other results.
  RunResult Step(Instant deadline = Instant::Never());

  // Steps until `predicate`, asked before each step, holds or another result ends it.
  [[nodiscard]] RunResult RunUntil(const std::function<bool()>& predicate, Instant deadline);
  // Steps for `duration` of virtual time: kDeadline, when all went well. An idle world's clock
  // advances too.
  RunResult RunFor(Duration duration);

 private:
  // More passes than this at one instant, and the nodes are taken to be stuck.
  static constexpr uint32_t kPassesPerInstantMax = 100'000;

  struct NodeEntry {
    void* self;
    Instant (*next_run_at)(const void* self);
    void (*run)(void* self, Instant now);
  };

  uint64_t seed_;
  Prng dice_;
  Instant now_ = Instant::FromNanoseconds(1'000'000'000);
  uint64_t steps_ = 0;
  uint32_t passes_at_now_ = 0;
  std::vector<NodeEntry> nodes_;
  DueQueue<std::function<void()>> events_;
};

// What a stack looks like from here.
template <class T>
concept Polled = requires(T polled, const T const_polled, Instant now) {
  polled.Poll(now);
  { const_polled.NextDeadline() } -> std::same_as<Instant>;  // Never() when there is none
};

// Polls something when frames wait at its port (rx_queued) and when its next deadline is due, at
// most once per `interval`, as a core with other work would.
template <Polled P, class Port>
class PolledNode {
 public:
  PolledNode(P& polled, const Port& port, Duration interval = Duration::Microseconds(1))
      : polled_(polled), port_(port), interval_(interval) {}

  Instant NextRunAt() const {
    const Instant wanted = wake_ || port_.rx_queued() > 0 ? earliest_ : polled_.NextDeadline();
    return std::max(wanted, earliest_);
  }
  void Run(Instant now) {
    wake_ = false;
    earliest_ = now + interval_;
    polled_.Poll(now);
  }
  // Asks for one poll as soon as possible, after a call from outside gave the stack work.
  void Wake() { wake_ = true; }

 private:
  P& polled_;
  const Port& port_;
  Duration interval_;
  Instant earliest_ = Instant::FromNanoseconds(std::numeric_limits<int64_t>::min());
  bool wake_ = true;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_WORLD_H_
