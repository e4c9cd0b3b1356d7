// bench/rate/modes.h - where the two ends run: on one core in turn, on a core each, or one of them
// alone over a device, with the other in another process or on another machine.
#ifndef MILLRACE_BENCH_RATE_MODES_H_
#define MILLRACE_BENCH_RATE_MODES_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/plan.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::bench {

struct RunResult {
  EndReport client, server;
  double cpu_seconds = 0;  // of both ends in turn on one core; 0 with a core each

  uint64_t retransmits() const { return client.retransmits + server.retransmits; }
};

// REQUIRES for all: Eal has started, by this thread. kCancelled when a stop signal ended a run.

// Joined rings. `mtu` 0: 1500. With two cores the ends run on the first two CPUs of the process.
absl::StatusOr<RunResult> RunOverRings(const Plan& plan, uint32_t cores, uint16_t mtu,
                                       dpdk::Clock clock, apps::StopSignals& stop);

// So many pairs of joined rings that share nothing: each polls its two ends in turn on a CPU of its
// own. The result is that of all together.
absl::StatusOr<RunResult> RunPairs(const Plan& plan, uint32_t pairs, uint16_t mtu,
                                   dpdk::Clock clock, apps::StopSignals& stop);

struct DeviceRun {
  dpdk::PortConfig port;
  bool server = false;
};
// One end. The client ends when it is done, the server when a stop signal comes. Both wait for the
// link first, for ten seconds at most. `tell` is called when nobody polls any more, with the device
// still open.
absl::Status RunOverDevice(const Plan& plan, const DeviceRun& run, dpdk::Clock clock,
                           apps::StopSignals& stop,
                           const std::function<void(const EndReport&)>& tell);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_MODES_H_
