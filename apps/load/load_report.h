// load/load_report.h - from what a run showed to a Result, and what to make of it.
#ifndef MILLRACE_APPS_LOAD_LOAD_REPORT_H_
#define MILLRACE_APPS_LOAD_LOAD_REPORT_H_

#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/load/load_bench.h"
#include "apps/load/load_watch.h"
#include "apps/load/plan.h"
#include "apps/result/result.h"
#include "apps/result/slo.h"

namespace millrace::apps {

// When the generator and not the target was the limit. The same bounds for every run.
inline constexpr double kBusyShareMax = 0.97;        // of a worker's cycles
inline constexpr double kNotStartedShareMax = 1e-3;  // of the connections and requests due
inline constexpr uint64_t kLagP99NsMax = 1'000'000;  // 99 of 100 starts are less late
inline constexpr double kPoolLowShareMin = 0.01;     // of the packets
inline constexpr double kDroppedShareMax = 1e-4;     // of the packets, by the driver

// Everything but the run's identity and the machine. `target` is as the user gave it.
Result ResultOf(const RunPlan& plan, const LoadOutcome& outcome, LoadBench& bench);

// Why the generator was the limit, in words; empty when it was not.
std::vector<std::string> GeneratorLimits(const LoadOutcome& outcome);
// Why the load was less than was asked for, or late, though the generator was free.
std::vector<std::string> TargetLimits(const RunPlan& plan, const LoadOutcome& outcome);

// Objectives and verdict. Without objectives a run fails when nothing of it succeeded.
void Judge(const RunPlan& plan, const LoadOutcome& outcome, const std::vector<Slo>& slos,
           Result* result);

// Of a demonstration: every connection has to succeed, and the generator may be the limit.
void JudgeDemo(const LoadOutcome& outcome, Result* result);

// What is worse than in `baseline` by more than `share`, in words: rate of success, and the 99th
// percentiles of connect, first byte and close.
std::vector<std::string> WorseThan(const Result& baseline, const Result& result, double share);

ExitCode ExitCodeOf(const Result& result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_REPORT_H_
