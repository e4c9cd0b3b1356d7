// bench/rate/workers.h - a client and a server of several workers each, as the programs run them:
// over as many queues as workers, steered by the device, or over fewer, handed over by software.
#ifndef MILLRACE_BENCH_RATE_WORKERS_H_
#define MILLRACE_BENCH_RATE_WORKERS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/modes.h"
#include "bench/rate/plan.h"
#include "millrace/dpdk/clock.h"

namespace millrace::bench {

struct WorkersRun {
  uint32_t workers = 2;
  uint32_t queues = 2;    // of each of the two devices, at most as many as workers
  bool in_turn = false;   // all on the calling thread: for counting instructions
  bool indirect = false;  // the steering stands on a stack::AnyPort, as behind other layers
  uint16_t mtu = 0;       // 0: 1500
};

// Worker i of both ends is polled on the i-th CPU of the process. Both ends steer alike, so that
// with a queue each every frame arrives at its owner. REQUIRES: Work::kConnections; not metered.
absl::StatusOr<RunResult> RunWorkers(const Plan& plan, const WorkersRun& run, dpdk::Clock clock,
                                     apps::StopSignals& stop);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_WORKERS_H_
