// result/slo.h - objectives: "connect.p99<1ms; first_byte.p99.9<5ms; errors<1e-5; rate>100k".
//
// Metrics: STATE.pN, STATE.max and STATE.mean of each latency state, from the intended start (with
// ".actual" behind the state: from the actual one); errors (failed of due); rate (ended well per
// second); achieved (started of due); lag (the worst). N is a percentage, and 999 stands for 99.9.
#ifndef MILLRACE_APPS_RESULT_SLO_H_
#define MILLRACE_APPS_RESULT_SLO_H_

#include <string>
#include <string_view>
#include <vector>

#include "apps/result/result.h"

namespace millrace::apps {

struct Slo {
  enum class Metric : uint8_t { kQuantile, kMax, kMean, kErrors, kRate, kAchieved, kLag };

  std::string text;  // as the user wrote it
  Metric metric = Metric::kErrors;
  std::string state;  // of latencies
  bool actual = false;
  double quantile = 0;
  bool below = true;  // the measured value must be below the limit; else above
  double limit = 0;   // nanoseconds, share, or per second
};

// A list with semicolons. Returns "" or what is wrong.
std::string ParseSlos(std::string_view text, std::vector<Slo>* slos);
// Whether anything was measured that `slo` is about.
bool IsMeasured(const Slo& slo, const Result& result);
// What `result` says about it. A rate is that of all ranks: one has to reach its part of it. What
// nobody measured passes nothing.
Objective Check(const Slo& slo, const Result& result);
// Adds what `result` says about each objective, and fails it when one is not met.
void CheckObjectives(const std::vector<Slo>& slos, Result* result);
// Whether CheckObjectives gave `reason` for one of these.
bool IsOfObjectives(const std::string& reason, const std::vector<Objective>& objectives);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_SLO_H_
