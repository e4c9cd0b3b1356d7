// apps/millrace/load.cc - `millrace load run` and `load hold`: one measured run.

#include <time.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/load/capacity.h"
#include "apps/load/load_report.h"
#include "apps/load/load_watch.h"
#include "apps/millrace/load_flags.h"
#include "apps/millrace/load_output.h"
#include "apps/millrace/load_profile.h"
#include "apps/millrace/load_search.h"
#include "apps/millrace/load_streams.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/result_files.h"

namespace millrace::apps {
namespace {

// Compares with --baseline. False when the result is worse.
absl::StatusOr<bool> HoldsBaseline(const LoadFlags& flags, Result* result) {
  if (flags.baseline.empty()) return true;
  absl::StatusOr<Result> baseline = ReadResult(flags.baseline);
  if (!baseline.ok()) return baseline.status();
  const std::vector<std::string> worse = WorseThan(*baseline, *result, flags.regress_share);
  for (const std::string& what : worse) result->notes.push_back("regression: " + what);
  return worse.empty();
}

// Writes what the workers kept of failed connections, and says so in the result.
absl::Status WriteFailed(const CaptureSpec& spec, LoadRun& run, Result* result) {
  if (spec.path.empty()) return absl::OkStatus();
  std::vector<FlightRecorder*> recorders;
  for (const auto& member : run.members) recorders.push_back(member->recorder.get());
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t unix_ns = static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  auto summary = WriteCapture(spec, recorders, unix_ns - run.clock.Now().ns());
  if (!summary.ok()) return summary.status();
  result->notes.push_back(summary->Text(spec.path));
  return absl::OkStatus();
}

int RunOnce(const LoadFlags& flags, LoadSetup& setup, LoadBench& bench, StopSignals& signals) {
  if (absl::Status can = CheckCapture(setup.capture); !can.ok()) return Report(can);
  auto streams = LoadStreams::Open(flags, setup);
  if (!streams.ok()) return Report(streams.status());
  auto run = bench.Start(setup.plan);
  if (!run.ok()) return Report(run.status());
  LiveView view(setup.live, flags.text(), setup.plan.length(), streams->listeners());
  const LoadOutcome outcome = Watch(bench, **run, flags.interval, view, signals);
  Result result = ResultOf(setup.plan, outcome, bench);
  DescribeRun(setup.plan, bench, setup.names, &result);
  result.configuration = setup.configuration;
  Judge(setup.plan, outcome, setup.slos, &result);
  const absl::Status captured = WriteFailed(setup.capture, **run, &result);
  const absl::StatusOr<bool> holds = HoldsBaseline(flags, &result);
  if (!holds.ok()) return Report(holds.status());
  const int code = Deliver(result, setup.output, view.log());
  if (!captured.ok()) return Report(captured);
  return streams->Finish(result, code == kPass && !*holds ? kRegression : code);
}

int Run(const LoadFlags& flags, const CLI::App& app, StopSignals& signals) {
  absl::StatusOr<LoadSetup> setup = ReadLoadFlags(flags, app);
  if (!setup.ok()) return Report(setup.status());
  auto bench = OpenBench(flags, &setup->plan);
  if (!bench.ok()) return Report(bench.status());
  if (const int code = Announce(flags, *setup, **bench); code != kPass) return code;
  return RunOnce(flags, *setup, **bench, signals);
}

Subcommand AddRun(CLI::App& load) {
  CLI::App* app = load.add_subcommand("run", "one measured run");
  auto flags = std::make_shared<LoadFlags>();
  flags->AddTo(*app);
  flags->AddLoadTo(*app);
  flags->AddBaselineTo(*app);
  flags->AddCaptureTo(*app);
  return {app, [app, flags](StopSignals& signals) { return Run(*flags, *app, signals); }};
}

Subcommand AddHold(CLI::App& load) {
  CLI::App* app = load.add_subcommand(
      "hold", "hold --conns connections open while --rate more come and go each second");
  auto flags = std::make_shared<LoadFlags>();
  flags->AddTo(*app);
  flags->AddCaptureTo(*app);
  AddCount(*app, {"--conns", "N", "held open", ""}, &flags->plan.hold, 1, 50'000'000)->required();
  AddRate(*app, {"--rate", "N", "connections a second besides", ""}, &flags->plan.rate_per_s);
  AddRate(*app, {"--rps", "N", "requests a second over all held connections", ""},
          &flags->plan.held_requests_per_s);
  return {app, [app, flags](StopSignals& signals) { return Run(*flags, *app, signals); }};
}

}  // namespace

std::vector<Subcommand> AddLoad(CLI::App& program) {
  CLI::App* load = program.add_subcommand("load", "load a server and measure it");
  load->require_subcommand(0, 1);
  return {AddRun(*load), AddHold(*load), AddFindMax(*load), AddSweep(*load), AddProfile(*load)};
}

}  // namespace millrace::apps
