// bench/rate/side_by_side.h - polls the two ends of one or several pairs until all clients are
// done.
#ifndef MILLRACE_BENCH_RATE_SIDE_BY_SIDE_H_
#define MILLRACE_BENCH_RATE_SIDE_BY_SIDE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/end.h"
#include "bench/rate/modes.h"
#include "millrace/dpdk/clock.h"

namespace millrace::bench {

// Polled by one thread. Both outlive the run.
struct Both {
  End *client, *server;
};

// Nothing that is measured takes longer: set-up, the run, the drain.
Duration Patience(const Plan& plan);
absl::Status GaveUp();
// A stop signal came: no result.
absl::Status Interrupted();

// All on the calling thread.
absl::StatusOr<RunResult> RunAllInTurn(const Plan& plan, const std::vector<Both>& pairs,
                                       dpdk::Clock clock, apps::StopSignals& stop);
// Pair i on the i-th CPU of the process, whose CPU time is counted.
absl::StatusOr<RunResult> RunEachOnACore(const Plan& plan, const std::vector<Both>& pairs,
                                         dpdk::Clock clock, apps::StopSignals& stop);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_SIDE_BY_SIDE_H_
