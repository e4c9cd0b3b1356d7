// load/run_limit.h - when a run has to be over: a generator that hangs is stopped all the same.
#ifndef MILLRACE_APPS_LOAD_RUN_LIMIT_H_
#define MILLRACE_APPS_LOAD_RUN_LIMIT_H_

#include <cstdint>

#include "apps/load/live_load.h"
#include "apps/load/plan.h"

namespace millrace::apps {

// The clock of a run says when it ends; its other stages are over when nothing happens in them any
// more. Waiting for other generators, and for the last of a number of connections, has no limit.
class RunLimit {
 public:
  // A generator that is so late is not going to end.
  static constexpr Duration kGrace = Duration::Seconds(10);

  explicit RunLimit(const RunPlan& plan)
      : clock_(plan.duration == Duration() ? Duration() : plan.length() + kGrace),
        quiet_(kGrace +
               (plan.timeouts.connect == Duration() ? kSynGivesUp : plan.timeouts.connect)),
        drain_(kGrace + plan.drain) {}

  // To be asked now and then. `progress` changes with all that the generators do.
  bool Over(LoadStage stage, uint64_t progress, int64_t now_ns) {
    const bool by_clock = stage == LoadStage::kLeading || stage == LoadStage::kMeasuring;
    if (by_clock != by_clock_ || stage == LoadStage::kReady ||
        (!by_clock && (stage != stage_ || progress != progress_))) {
      since_ns_ = now_ns;
    }
    by_clock_ = by_clock;
    stage_ = stage;
    progress_ = progress;
    if (stage == LoadStage::kReady || stage == LoadStage::kDone) return false;
    const Duration limit = by_clock ? clock_ : stage == LoadStage::kDraining ? drain_ : quiet_;
    return limit != Duration() && now_ns - since_ns_ > limit.ns();
  }

 private:
  // The stack's own patience with a SYN, and more.
  static constexpr Duration kSynGivesUp = Duration::Seconds(300);

  Duration clock_, quiet_, drain_;
  LoadStage stage_ = LoadStage::kReady;
  uint64_t progress_ = 0;
  int64_t since_ns_ = 0;
  bool by_clock_ = false;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_RUN_LIMIT_H_
