#include "apps/load/trial.h"

#include <algorithm>
#include <optional>

#include "apps/common/units.h"
#include "apps/load/load_report.h"
#include "apps/load/load_watch.h"

namespace millrace::apps {

std::string ParseGoal(std::string_view text, SearchGoal* goal) {
  *goal = {.text = std::string(text)};
  if (text == "ndr") return "";
  if (text == "slo") {
    goal->slos = true;
    return "";
  }
  constexpr std::string_view kPartial = "pdr:";
  if (text.starts_with(kPartial)) {
    const std::optional<double> share = ParseShare(text.substr(kPartial.size()));
    if (share) {
      goal->failed_share_max = *share;
      return "";
    }
  }
  return "\"" + goal->text + "\" is no goal; there are ndr, pdr:0.5% and slo";
}

absl::StatusOr<TrialOutcome> RunTrial(LoadBench& bench, const RunPlan& plan,
                                      const std::vector<Slo>& slos,
                                      const std::vector<IntervalListener*>& listeners,
                                      StopSignals& signals) {
  auto run = bench.Start(plan);
  if (!run.ok()) return run.status();
  LiveView view(LiveMode::kNone, stdout, plan.length(), listeners);
  const LoadOutcome outcome = Watch(bench, **run, Duration::Seconds(1), view, signals);
  TrialOutcome trial;
  trial.interrupted = outcome.interrupted;
  trial.result = ResultOf(plan, outcome, bench);
  Judge(plan, outcome, slos, &trial.result);
  const Counts& counts = trial.result.counts;
  // Without a start nothing was tried.
  trial.is_void = trial.result.verdict.outcome == Outcome::kInvalidGenerator || counts.due == 0;
  const Histogram& connect = outcome.intended.intended[LatencyState::kConnect];
  trial.row = {.offered_per_s = trial.result.load.offered_per_s,
               .achieved_per_s = trial.result.load.achieved_per_s,
               .length_s = plan.duration.seconds(),
               .failed_share = counts.due == 0 ? 0
                                               : static_cast<double>(counts.failed) /
                                                     static_cast<double>(counts.due),
               .connect_p99_ns = connect.ValueAtQuantile(0.99),
               .generator_busy_share = outcome.BusiestShare()};
  return trial;
}

bool Meets(const SearchGoal& goal, const TrialOutcome& trial) {
  if (trial.result.counts.due == 0) return false;
  if (!goal.slos) return trial.row.failed_share <= goal.failed_share_max;
  const std::vector<Objective>& all = trial.result.objectives;
  return std::all_of(all.begin(), all.end(), [](const Objective& o) { return o.passed; });
}

}  // namespace millrace::apps
