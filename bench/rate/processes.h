// bench/rate/processes.h - the two ends as two processes that this one starts, waits for with a
// bound, and ends.
#ifndef MILLRACE_BENCH_RATE_PROCESSES_H_
#define MILLRACE_BENCH_RATE_PROCESSES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/flags.h"
#include "bench/rate/modes.h"

namespace millrace::bench {

// Runs this program twice, as server and as client, over a memif whose socket lies in a directory
// of its own. `arguments` are those of this process without its name. The client reports first;
// then the server is told to stop, and the client to go, so that nobody polls a memif whose other
// end is being closed. A stop signal ends both, and the directory goes: kCancelled.
absl::StatusOr<RunResult> RunMemifPair(const Flags& flags, std::vector<std::string> arguments,
                                       bool metered, apps::StopSignals& stop);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_PROCESSES_H_
