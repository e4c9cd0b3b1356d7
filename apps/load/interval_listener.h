// load/interval_listener.h - who is told of each interval of a run while it goes on.
#ifndef MILLRACE_APPS_LOAD_INTERVAL_LISTENER_H_
#define MILLRACE_APPS_LOAD_INTERVAL_LISTENER_H_

#include "apps/load/live_load.h"
#include "apps/load/load_result.h"
#include "apps/result/result.h"

namespace millrace::apps {

class IntervalListener {
 public:
  virtual ~IntervalListener() = default;
  // By the thread that watches the run. `intended`: latencies of this interval, from the intended
  // start. `stage`: kMeasuring, or kLeading in ramp and warm-up.
  virtual void OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage) = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_INTERVAL_LISTENER_H_
