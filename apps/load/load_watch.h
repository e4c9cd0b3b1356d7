// load/load_watch.h - the controlling thread's part of a run: waits for its end, takes intervals,
// samples what can only be seen from outside, and collects everything when it is over.
#ifndef MILLRACE_APPS_LOAD_LOAD_WATCH_H_
#define MILLRACE_APPS_LOAD_LOAD_WATCH_H_

#include <optional>
#include <vector>

#include "apps/common/stop_signals.h"
#include "apps/load/live_view.h"
#include "apps/load/load_bench.h"
#include "apps/load/load_result.h"
#include "apps/ranks/session.h"
#include "apps/result/result.h"

namespace millrace::apps {

// All that a run showed.
struct LoadOutcome {
  RunResult load;
  IntervalLoad intended;  // latencies from the intended start, of all intervals
  std::vector<Interval> series;
  Window window;
  std::vector<CoreHealth> cores;  // busy share while measuring
  // Of ports, where there are some.
  std::optional<double> packet_pool_low_share;
  std::optional<dpdk::DpdkPortCounters> nic;  // of the whole run
  ByName<uint64_t> counters;                  // of the generators' engines, those not zero
  uint64_t time_waits_evicted = 0;
  bool interrupted = false;
  bool overdue = false;   // the generator had to be stopped
  Duration started_late;  // after RunPlan::start_unix_ns

  double BusiestShare() const;
};

// Waits for the end of `run`, or for a signal, which ends it early, and stops its workers. What
// takes longer than load/run_limit.h lets it is ended as by a signal, and overdue.
// `ranks`: of a run that is one of several at the same time, whose clock the group starts; may be
// null. The window is then in rank 0's time.
LoadOutcome Watch(LoadBench& bench, LoadRun& run, Duration interval, LiveView& view,
                  StopSignals& signals, RankSession* ranks = nullptr);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_WATCH_H_
