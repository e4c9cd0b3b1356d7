// load/measure.h - one measured run: by this generator alone, or by a group of ranks at one time.
#ifndef MILLRACE_APPS_LOAD_MEASURE_H_
#define MILLRACE_APPS_LOAD_MEASURE_H_

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/stop_signals.h"
#include "apps/load/live_view.h"
#include "apps/load/load_bench.h"
#include "apps/ranks/session.h"
#include "apps/result/result.h"
#include "apps/result/slo.h"

namespace millrace::apps {

class Measurement {
 public:
  using Describe = std::function<void(LoadRun& run, RankSession* ranks, Result* result)>;

  // `describe` fills in what a run does not know of itself: identity, machine, configuration. It is
  // called when the run's workers have ended.
  Measurement(LoadBench& bench, StopSignals& signals, Describe describe)
      : bench_(bench), signals_(signals), describe_(std::move(describe)) {}

  // From now on runs are those of the group. The coordinator outlives this.
  void Lead(Coordinator* group) { group_ = group; }

  // Runs `plan`. Of a group: the merged result of all ranks, and objectives are those of the whole.
  // kFailedPrecondition when the group came to its end; coordinator's failure() says why.
  absl::StatusOr<Result> Run(const RunPlan& plan, const std::vector<Slo>& slos, Duration interval,
                             LiveView& view);
  // What this process itself found in the last run of a group.
  const std::optional<Result>& own() const { return own_; }

  // Runs `plan` as often, at the rates and for the times that rank 0 says, until it ends the group;
  // client.failure() says how.
  // `view`: of a run of that length.
  absl::Status Follow(RankClient& client, const RunPlan& plan, Duration interval,
                      const std::function<LiveView(Duration length)>& view);

 private:
  // This process' part. A target that is not there ends the group.
  absl::StatusOr<Result> RunPart(const RunPlan& plan, const std::vector<Slo>& slos,
                                 Duration interval, LiveView& view, RankSession* ranks);
  // Waits for what the other ranks found, and adds it up.
  absl::StatusOr<Result> Gather(const std::vector<Slo>& slos);

  LoadBench& bench_;
  StopSignals& signals_;
  Describe describe_;
  Coordinator* group_ = nullptr;
  std::optional<Result> own_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_MEASURE_H_
