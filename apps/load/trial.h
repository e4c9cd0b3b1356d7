// load/trial.h - one trial of a search: a short run at a rate, and which goals it met.
#ifndef MILLRACE_APPS_LOAD_TRIAL_H_
#define MILLRACE_APPS_LOAD_TRIAL_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/load/live_view.h"
#include "apps/load/measure.h"
#include "apps/result/result.h"
#include "apps/result/slo.h"

namespace millrace::apps {

// "ndr": no connection fails. "pdr:0.5%": at most so many do. "slo": the objectives are met.
struct SearchGoal {
  std::string text;
  double failed_share_max = 0;
  bool slos = false;
};
// "" or what is wrong.
std::string ParseGoal(std::string_view text, SearchGoal* goal);

struct TrialOutcome {
  Result result;
  Trial row;
  bool is_void = false;  // the generator was the limit
  bool interrupted = false;
};

// Runs `plan`, which has the rate and the length.
absl::StatusOr<TrialOutcome> RunTrial(Measurement& measurement, const RunPlan& plan,
                                      const std::vector<Slo>& slos, Duration interval,
                                      LiveView& view);

bool Meets(const SearchGoal& goal, const TrialOutcome& trial);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_TRIAL_H_
