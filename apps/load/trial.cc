#include "apps/load/trial.h"

#include <algorithm>
#include <optional>

#include "apps/common/units.h"
#include "apps/load/load_result.h"

namespace millrace::apps {
namespace {

uint64_t ConnectP99(const Result& result) {
  for (const auto& [state, latency] : result.latency) {
    if (state == ToString(LatencyState::kConnect)) return latency.intended.ValueAtQuantile(0.99);
  }
  return 0;
}

// Of the workers that a generator runs on: "client", "client and server", "rank 1 client".
double BusiestGenerator(const GeneratorHealth& health) {
  double busiest = 0;
  for (const CoreHealth& core : health.cores) {
    if (core.role.find("client") != std::string::npos) busiest = std::max(busiest, core.busy_share);
  }
  return busiest;
}

}  // namespace

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

absl::StatusOr<TrialOutcome> RunTrial(Measurement& measurement, const RunPlan& plan,
                                      const std::vector<Slo>& slos, Duration interval,
                                      LiveView& view) {
  absl::StatusOr<Result> result = measurement.Run(plan, slos, interval, view);
  if (!result.ok()) return result.status();
  TrialOutcome trial;
  trial.result = *std::move(result);
  trial.interrupted = trial.result.verdict.interrupted;
  const Counts& counts = trial.result.counts;
  // Without a start nothing was tried.
  trial.is_void = trial.result.verdict.outcome == Outcome::kInvalidGenerator || counts.due == 0;
  trial.row = {.offered_per_s = trial.result.load.offered_per_s,
               .achieved_per_s = trial.result.load.achieved_per_s,
               .length_s = plan.duration.seconds(),
               .failed_share = counts.due == 0 ? 0
                                               : static_cast<double>(counts.failed) /
                                                     static_cast<double>(counts.due),
               .connect_p99_ns = ConnectP99(trial.result),
               .generator_busy_share = BusiestGenerator(trial.result.generator)};
  return trial;
}

bool Meets(const SearchGoal& goal, const TrialOutcome& trial) {
  if (trial.result.counts.due == 0) return false;
  if (!goal.slos) return trial.row.failed_share <= goal.failed_share_max;
  const std::vector<Objective>& all = trial.result.objectives;
  return std::all_of(all.begin(), all.end(), [](const Objective& o) { return o.passed; });
}

}  // namespace millrace::apps
