// load/capacity.h - whether there are enough source addresses and ports for a run: arithmetic that
// is done before it, so that nobody waits for TIME-WAIT in the middle.
#ifndef MILLRACE_APPS_LOAD_CAPACITY_H_
#define MILLRACE_APPS_LOAD_CAPACITY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/load/plan.h"
#include "millrace/stack/engine_config.h"

namespace millrace::apps {

struct Capacity {
  uint64_t addresses = 0, ports = 0;
  uint64_t tuples = 0;  // of one target: addresses times ports
  double needed = 0;    // of the busiest target, at the same time
  bool v4 = true;       // the family
  bool known = true;    // false in a closed loop, whose rate is not known before
  bool sequel = false;  // the rate is so high that the server meets tuples in its TIME-WAIT

  bool Lasts() const { return tuples > 0 && needed <= static_cast<double>(tuples); }
  // "510 addresses x 64 512 ports = 32.9 M tuples per target, 1.20 M needed at a time".
  std::string Text() const;
};

// Connections that the part of this rank starts within `time`, when all ranks together start
// `rate_per_s`. What `count` says is started in the window, besides what goes before it.
double StartsWithin(const RunPlan& plan, double rate_per_s, Duration time);

// Source tuples that `plan` needs with the engines of these ports, alike but for addresses. A tuple
// is in use while its connection is, and for TIME-WAIT after we closed first. Each rank has its
// own.
Capacity CapacityOf(const RunPlan& plan, std::span<const stack::EngineConfig> ports);
inline Capacity CapacityOf(const RunPlan& plan, const stack::EngineConfig& config) {
  return CapacityOf(plan, {&config, 1});
}

// Where connections come from, and for how long a tuple is in use after we closed first.
struct SourceSpace {
  uint64_t addresses = 1, ports = 1;  // of each address
  Duration time_wait;
  double busiest_share = 1;  // of the connections, that of the target that gets most
};
Capacity CapacityIn(const RunPlan& plan, const SourceSpace& space);
// The largest part of the connections that go to one endpoint.
double BusiestShare(const std::vector<Target>& targets);

// What to change when it does not last. Over rings the addresses are as they are.
std::string CapacityAdvice(const Capacity& capacity, bool rings);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_CAPACITY_H_
