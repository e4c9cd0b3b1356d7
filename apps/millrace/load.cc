// apps/millrace/load.cc - `millrace load run` and `load hold`: one measured run.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/load/load_report.h"
#include "apps/millrace/load_flags.h"
#include "apps/millrace/load_output.h"
#include "apps/millrace/load_profile.h"
#include "apps/millrace/load_ranks.h"
#include "apps/millrace/load_search.h"
#include "apps/millrace/load_streams.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/result_files.h"

namespace millrace::apps {
namespace {

int RunOnce(const LoadFlags& flags, const LoadSetup& setup, const std::optional<Result>& baseline,
            Measurement& measurement, LoadStreams& streams) {
  LiveView view(setup.live, flags.text(), setup.plan.length(), streams.listeners());
  absl::StatusOr<Result> result = measurement.Run(setup.plan, setup.slos, flags.interval, view);
  if (!result.ok()) return Report(result.status());
  const bool holds = HoldsBaseline(baseline, flags.regress_share, &*result);
  const int code = Deliver(*result, setup.output, view.log());
  return streams.Finish(*result, code == kPass && !holds ? kRegression : code);
}

int Run(const LoadFlags& flags, const CLI::App& app, StopSignals& signals) {
  absl::StatusOr<LoadSetup> setup = ReadLoadFlags(flags, app);
  if (!setup.ok()) return Report(setup.status());
  const auto baseline = ReadBaseline(flags.baseline, /*search=*/false);
  if (!baseline.ok()) return Report(baseline.status());
  return RunLoad(flags, *setup, signals, [&](Measurement& measurement, LoadStreams& streams) {
    return RunOnce(flags, *setup, *baseline, measurement, streams);
  });
}

Subcommand RunOf(CLI::App* app, const std::shared_ptr<LoadFlags>& flags) {
  return {.app = app,
          .run = [app, flags](StopSignals& signals) { return Run(*flags, *app, signals); },
          .check = [app, flags] { return CheckLoadFlags(*flags, *app); }};
}

Subcommand AddRun(CLI::App& load) {
  CLI::App* app = load.add_subcommand("run", "one measured run");
  auto flags = std::make_shared<LoadFlags>();
  flags->AddTo(*app);
  flags->AddLoadTo(*app);
  flags->AddBaselineTo(*app);
  flags->AddOneRunTo(*app);
  return RunOf(app, flags);
}

Subcommand AddHold(CLI::App& load) {
  CLI::App* app = load.add_subcommand(
      "hold", "hold --conns connections open while --rate more come and go each second");
  auto flags = std::make_shared<LoadFlags>();
  flags->AddTo(*app);
  flags->AddBaselineTo(*app);
  flags->AddOneRunTo(*app);
  AddCount(*app, {"--conns", "N", "held open", ""}, &flags->plan.hold, 1, 50'000'000)->required();
  AddRate(*app, {"--rate", "N", "connections a second besides", ""}, &flags->plan.rate_per_s);
  AddRate(*app, {"--rps", "N", "requests a second over all held connections", ""},
          &flags->plan.held_requests_per_s);
  return RunOf(app, flags);
}

}  // namespace

std::vector<Subcommand> AddLoad(CLI::App& program) {
  CLI::App* load = program.add_subcommand("load", "load a server and measure it");
  load->require_subcommand(0, 1);
  return {AddRun(*load), AddHold(*load), AddFindMax(*load), AddSweep(*load), AddProfile(*load)};
}

}  // namespace millrace::apps
