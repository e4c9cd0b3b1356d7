// apps/millrace/load_output.h - what `demo` and the `load` subcommands print and write.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_OUTPUT_H_
#define MILLRACE_APPS_MILLRACE_LOAD_OUTPUT_H_

#include <cstdio>
#include <string>
#include <vector>

#include "apps/load/load_bench.h"
#include "apps/load/plan.h"
#include "apps/result/result.h"
#include "apps/result/show.h"

namespace millrace::apps {

// The words that this process was started with.
std::vector<std::string> CommandLine();

// "open loop, 20 k conn/s poisson, 1 request, close fin, 5.00s".
std::string DescribeLoad(const RunPlan& plan);

// What names a run.
struct RunNames {
  std::string command;
  std::string name;
  ByName<std::string> labels;
};

// Where a result goes, besides the screen.
struct OutputFlags {
  std::string folder;             // "": none
  std::string json;               // file, "-" for the standard output, "" for none
  PercentileColumns percentiles;  // of the text; empty: the usual ones
  LatencyFrom latency = LatencyFrom::kBoth;
  FILE* text = stdout;  // for people
};

// Prints the result, as text or as JSON, and writes what was asked for. `log`: what the run
// showed while it went on. Returns the exit code: that of the result, unless something could not be
// written; the rest is written all the same.
int Deliver(const Result& result, const OutputFlags& output, const std::string& log);

// The result in `path`, of --baseline, read before anything is measured; nullopt without. Of a
// search when `search`: only rates that were found alike can be compared.
absl::StatusOr<std::optional<Result>> ReadBaseline(const std::string& path, bool search);
// Notes what is worse than in `baseline` by more than `share`. False when something is.
bool HoldsBaseline(const std::optional<Result>& baseline, double share, Result* result);

RunIdentity IdentityOf(const RunPlan& plan, const RunNames& names, int64_t start_unix_ns);

// Fills in identity and machine.
void DescribeRun(const RunPlan& plan, LoadBench& bench, const RunNames& names, Result* result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_OUTPUT_H_
