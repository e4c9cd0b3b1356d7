// apps/millrace/load_ranks.h - a `load` subcommand by itself, as rank 0 of a group, or as another.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_RANKS_H_
#define MILLRACE_APPS_MILLRACE_LOAD_RANKS_H_

#include <functional>

#include "apps/common/stop_signals.h"
#include "apps/load/measure.h"
#include "apps/millrace/load_flags.h"
#include "apps/millrace/load_streams.h"

namespace millrace::apps {

// Opens the bench and the streams, says what will be done, and calls `body`, which measures and
// returns the exit code. With --coordinator only rank 0 calls it, when all ranks are there, and the
// others do what it measures. The exit code of a group that something went wrong with is that of
// the failure.
int RunLoad(const LoadFlags& flags, LoadSetup& setup, StopSignals& signals,
            const std::function<int(Measurement& measurement, LoadStreams& streams)>& body);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_RANKS_H_
